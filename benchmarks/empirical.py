"""`python -m benchmarks.empirical`: empirical NTKs of one network on one core, against neural-tangents'.

Processor time, which on one idle core is wall time. The mean over ten logits, float32. The peer has its own layers, and
takes images in batches where its Jacobians of all of them do not fit, or take too long: then one tile is timed.
"""

from functools import partial

import jax
import numpy as np
from jax.example_libraries import stax as plain_stax

from benchmarks.timing import number, pin_to_one_core, print_table, processor_seconds
from widesym.analysis.empirical.checks import checked_arguments
from widesym.analysis.empirical.ntk import DEFAULT_MEMORY
from widesym.analysis.empirical.plan import SLOWNESS, Method, make_plan, tile_ntk
from widesym.analysis.tangents import import_neural_tangents
from widesym.models import (
    Architecture,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupPool,
    LiftingConv,
    MaxPool,
    Relu,
    cyclic,
)

SHAPE, LOGITS, HE = (32, 32, 3), 10, 2**0.5
SIZES = (3, 4, 3, 4, 1, 1)  # of arXiv:2406.06504, table 3, for CIFAR10; MaxPool(2) after the first two
METHODS: tuple[Method, ...] = ("structured", "jacobian", "vector_products")
# Width, images, and the peer's batches for Jacobians and for NTK-vector products.
CASES = ((128, 64, 64, 4), (512, 64, 8, 2))


def main() -> None:
    """Print all tables."""
    pin_to_one_core()
    print_against_peer()
    print_memory()
    print_plans()


def print_against_peer() -> None:
    """Seconds for all pairs of images."""
    rows = []
    for width, images, *batches in CASES:
        network, x = published(width), inputs(images)
        ours = processor_seconds(partial(tile_ntk, network, "structured", "trace"), drawn(network), x, None)
        kinds = zip(("JACOBIAN_CONTRACTION", "NTK_VECTOR_PRODUCTS"), batches, strict=True)
        theirs = [peer_seconds(kind, width, images, batch) for kind, batch in kinds]
        rows.append([str(width), str(images), *map(number, (ours, *theirs, min(theirs) / ours))])
    title = "Empirical NTK of the published CIFAR10 CNN with this many channels in each layer; one core, s"
    header = [
        "width",
        "images",
        "widesym",
        "neural-tangents, Jacobians",
        "neural-tangents, NTK-vector products",
        "ratio",
    ]
    print_table(title, header, rows)


def print_memory() -> None:
    """How memory grows with the width."""
    rows = []
    for width in (64, 128, 256, 512):
        network = published(width)
        params = drawn(network)
        megabytes = [compiled_bytes(network, method, params, inputs(64)) / 1e6 for method in METHODS]
        rows.append([str(width), number(network.count_parameters(SHAPE) / 1e6), *map(number, megabytes)])
    header = ["width", "million weights", *METHODS]
    print_table("Memory beside parameters and inputs, 64 images in one tile, MB", header, rows)


def print_plans() -> None:
    """What the cost model says of each algorithm, against what it takes."""
    rows = []
    for name, (network, count) in networks().items():
        params, x, memory = drawn(network), inputs(count), 16.0 * DEFAULT_MEMORY
        given = checked_arguments(network, params, x, None)
        plans = [make_plan(given, "trace", method, memory) for method in METHODS]
        taken = [processor_seconds(partial(tile_ntk, network, method, "trace"), params, x, None) for method in METHODS]
        rates = [plan.cost / SLOWNESS[plan.method] / seconds / 1e9 for plan, seconds in zip(plans, taken, strict=True)]
        found = [f"{number(seconds)} ({number(rate)})" for seconds, rate in zip(taken, rates, strict=True)]
        chosen, fastest = make_plan(given, "trace", "auto", memory).method, METHODS[int(np.argmin(taken))]
        rows.append([name, str(count), *found, chosen, fastest])
    header = ["network", "images", *METHODS, "chosen", "fastest"]
    print_table("Seconds, and in brackets the operations counted by a second of them, 10⁹", header, rows)


def networks() -> dict[str, tuple[Architecture, int]]:
    """Networks of several kinds, and numbers of images that the slowest algorithm takes seconds for."""
    hidden = {"features": 32, "size": 3, "w_std": HE}
    convolutions = (Conv(**hidden), Relu()) * 3
    group = (LiftingConv(cyclic(4), **hidden), Relu(), GroupConv(cyclic(4), **hidden), Relu(), GroupPool())
    dense = (Flatten(), Dense(512, w_std=HE), Relu(), Dense(512, w_std=HE), Relu())
    return {
        "MLP, width 512": (Architecture((*dense, Dense(LOGITS))), 32),
        "CNN, mean over pixels, width 32": (Architecture((*convolutions, GlobalAvgPool(), Dense(LOGITS))), 6),
        "C4 GCNN, width 32": (Architecture((*group, Dense(LOGITS))), 3),
        "published CNN, width 64": (published(64), 8),
    }


def published(width: int) -> Architecture:
    """The CNN of table 3, all layers but the last with as many channels."""
    layers = []
    for depth, size in enumerate(SIZES):
        layers += [Conv(width, size, "VALID", w_std=HE), *([MaxPool(2)] if depth < 2 else []), Relu()]
    return Architecture((*layers, Conv(LOGITS, 1, "VALID"), Flatten()))


def peer_seconds(implementation: str, width: int, images: int, batch: int) -> float:
    """neural-tangents' time for all pairs of images; one tile's, times those on and above the diagonal, in batches."""
    nt = import_neural_tangents()
    init, apply = _peer(nt.stax, width)
    kind = nt.NtkImplementation[implementation]
    kernel = nt.empirical_ntk_fn(apply, trace_axes=(-1,), vmap_axes=0, implementation=kind)
    _, params = init(jax.random.key(1), (1, *SHAPE))
    first, second, tiles = inputs(batch), inputs(2 * batch)[batch:], images // batch
    tile = jax.jit(lambda params, x1, x2: kernel(x1, x2, params))
    return processor_seconds(tile, params, first, None if tiles == 1 else second) * tiles * (tiles + 1) / 2


def _peer(stax, width: int):
    pool = (*plain_stax.MaxPool((2, 2), (2, 2)), lambda kernel, **_: kernel)
    layers = []
    for depth, size in enumerate(SIZES):
        layers += [
            stax.Conv(width, (size, size), padding="VALID", W_std=HE),
            *([pool] if depth < 2 else []),
            stax.Relu(),
        ]
    init, apply, _ = stax.serial(*layers, stax.Conv(LOGITS, (1, 1), padding="VALID"), stax.Flatten())
    return init, apply


def inputs(images: int):
    """White noise."""
    return jax.random.normal(jax.random.key(0), (images, *SHAPE))


def drawn(network: Architecture):
    """One network's parameters."""
    return jax.jit(lambda key: network.init(key, SHAPE))(jax.random.key(1))


def compiled_bytes(network: Architecture, method: Method, params, x) -> int:
    """What the compiled program holds beside its inputs."""
    used = tile_ntk.lower(network, method, "trace", params, x, None).compile().memory_analysis()
    return used.temp_size_in_bytes + used.output_size_in_bytes


if __name__ == "__main__":
    main()
