"""`python -m benchmarks.kernels`: analytic kernels on one core, against neural-tangents' of the same CNN.

Processor time, which on one idle core is wall time.
"""

import jax
import jax.numpy as jnp

from benchmarks.timing import number, pin_to_one_core, print_table, processor_seconds
from widesym.analysis import analytic_kernel
from widesym.analysis.kernels import engines
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
    Relu,
    SO3Conv,
    SO3Pool,
    SphereLifting,
    cyclic,
    dihedral,
)

LAYERS, CHANNELS, GRAM = 5, 3, 1000
HE = {"features": 1, "size": 3, "w_std": 2**0.5}
SIDES = {8: (8, 64), 16: (8, 16), 24: (4, 8), 32: (4, 8)}  # rows and columns of the Gram matrices that are timed
PEER_SIDES = {16: (2, 4), 32: (1, 1)}  # its time a pair does not fall with more
GROUPS = {"C1": cyclic(1), "C2": cyclic(2), "C4": cyclic(4), "D4": dihedral(4)}


def main() -> None:
    """Print milliseconds per pair of inputs, and megabytes."""
    pin_to_one_core()
    print_against_peer()
    print_growth()
    print_sphere()


def print_against_peer() -> None:
    """Milliseconds per pair, ours and neural-tangents'."""
    rows = []
    for side, peer_shape in PEER_SIDES.items():
        ours = {name: ms_per_pair(network, side) for name, network in published().items()}
        theirs = ms_per_pair_of(peer(), side, peer_shape)
        rows.append([f"{side}×{side}", *map(number, ours.values()), number(theirs), f"{theirs / ours['CNN']:.0f}"])
    title = f"NTK: {LAYERS} SAME 3×3 convolutions, ReLU, global pool, Dense; one core, ms per pair"
    print_table(title, ["image", *published(), "CNN, neural-tangents", "ratio"], rows)


def print_growth() -> None:
    """How cost grows with the image, the depth and the group."""
    rows = [[f"{s}×{s}", "5", "–", number(ms_per_pair(cnn(LAYERS), s)), megabytes(cnn(LAYERS), s)] for s in SIDES]
    rows += [["16×16", f"{n}", "–", number(ms_per_pair(cnn(n), 16)), megabytes(cnn(n), 16)] for n in (1, 3, 10)]
    for name, group in GROUPS.items():
        rows.append(["16×16", "5", name, number(ms_per_pair(gcnn(group), 16)), megabytes(gcnn(group), 16)])
    rows.append(["32×32", "5", "C4", number(ms_per_pair(gcnn(cyclic(4)), 32)), megabytes(gcnn(cyclic(4)), 32)])
    title = f"NTK: growth; one core. Memory is what a {GRAM} × {GRAM} Gram matrix takes beside inputs and result"
    print_table(title, ["image", "convolutions", "group", "ms per pair", "MB"], rows)


def print_sphere() -> None:
    """Spherical networks with global filters."""
    rows = []
    for L in (4, 6):
        times = []
        for layers in (3, LAYERS):
            shape = (2 * L, 2 * L - 1, 1)
            times.append(number(_median_ms(analytic_kernel(spherical(L, layers)), (40, *shape), (40, *shape))))
        rows.append([f"L = {L}", *times])
    title = "NTK: spherical lifting, SO(3) convolutions, ReLU, SO(3) pool, Dense; one core, ms per pair"
    print_table(title, ["bandlimit", "3 layers", f"{LAYERS} layers"], rows)


def published() -> dict[str, Architecture]:
    """The networks of the first table."""
    flat = Architecture((*cnn(LAYERS).layers[:-2], Flatten(), Dense(1)))
    return {"CNN, Flatten": flat, "C4 GCNN": gcnn(cyclic(4)), "CNN": cnn(LAYERS)}


def cnn(layers: int) -> Architecture:
    """Convolutions with ReLU, a global pool, and a readout."""
    return Architecture((*[layer for _ in range(layers) for layer in (Conv(**HE), Relu())], GlobalAvgPool(), Dense(1)))


def gcnn(group) -> Architecture:
    """The same on a group."""
    convolutions = [layer for _ in range(LAYERS - 1) for layer in (GroupConv(group, **HE), Relu())]
    return Architecture((LiftingConv(group, **HE), Relu(), *convolutions, GroupPool(), Dense(1)))


def spherical(L: int, layers: int) -> Architecture:
    """The same with global filters on the sphere."""
    convolutions = [layer for _ in range(layers - 1) for layer in (SO3Conv(1, L, L, w_std=2**0.5), Relu())]
    return Architecture((SphereLifting(1, L, L, w_std=2**0.5), Relu(), *convolutions, SO3Pool(), Dense(1)))


def peer():
    """neural-tangents' kernel of the CNN."""
    stax = import_neural_tangents().stax
    layers = [
        layer for _ in range(LAYERS) for layer in (stax.Conv(1, (3, 3), padding="SAME", W_std=2**0.5), stax.Relu())
    ]
    _, _, kernel = stax.serial(*layers, stax.GlobalAvgPool(), stax.Dense(1))
    return jax.jit(lambda x1, x2: kernel(x1, x2, ("nngp", "ntk")))


def ms_per_pair(network: Architecture, side: int) -> float:
    """Of our kernel between different images."""
    return ms_per_pair_of(analytic_kernel(network), side, SIDES[side])


def ms_per_pair_of(kernel, side: int, shape: tuple[int, int]) -> float:
    """Of a kernel function of two batches of so many images."""
    first, second = ((count, side, side, CHANNELS) for count in shape)
    return _median_ms(kernel, first, second)


def _median_ms(kernel, shape1: tuple[int, ...], shape2: tuple[int, ...], repeats: int = 5) -> float:
    x1, x2 = (jax.random.normal(jax.random.key(seed), shape) for seed, shape in enumerate((shape1, shape2)))
    taken = processor_seconds(lambda: kernel(x1, x2).ntk, repeats=repeats)
    return 1e3 * taken / (len(x1) * len(x2))


def megabytes(network: Architecture, side: int) -> str:
    """What the compiled tile of a large Gram matrix holds: prepared rows and columns, and what it works on."""
    engine = engines.choose_engine(network, (side, side, CHANNELS))
    counts = (min(GRAM, engines.ROWS), min(GRAM, engines.tile_width(engine)))
    images = [jax.ShapeDtypeStruct((count, side, side, CHANNELS), jnp.float32) for count in counts]
    rows, columns = (jax.eval_shape(engine.prepare, x) for x in images)
    used = engines._tile.lower(engine, rows, columns, 0).compile().memory_analysis()
    return f"{(used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes) / 1e6:.0f}"


if __name__ == "__main__":
    main()
