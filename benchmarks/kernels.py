"""Analytic kernels: the lag engine against neural-tangents on a plain CNN, and what a group-CNN costs."""

import jax

from analysis import analytic_kernel
from analysis.tangents import import_neural_tangents
from benchmarks.timing import median_seconds, print_table
from models import Architecture, Conv, Dense, Flatten, GlobalAvgPool, GroupConv, GroupPool, LiftingConv, Relu, cyclic

LAYERS, PAIRS = 3, {8: 8, 16: 4}  # images a side, by side length: n × n pairs


def main() -> None:
    """Print milliseconds per pair of images."""
    rows = []
    for side, images in PAIRS.items():
        x1, x2 = (jax.random.normal(jax.random.key(seed), (images, side, side, 3)) for seed in (0, 1))
        times = {name: median_seconds(lambda f=f: f(x1, x2).ntk) / images**2 for name, f in kernels().items()}  # noqa: B023
        ratio = times["CNN, neural-tangents"] / times["CNN"]
        rows.append([f"{side}×{side}", *(f"{1e3 * seconds:.3g}" for seconds in times.values()), f"{ratio:.1f}"])
    title = f"NTK: {LAYERS} SAME 3×3 convolutions, ReLU, global pool, Dense; ms per pair"
    print_table(title, ["image", *kernels(), "ratio"], rows)


def kernels():
    """Kernel functions by name: ours, and neural-tangents' of the same CNN."""
    he = {"features": 1, "size": 3, "w_std": 2**0.5}
    group = cyclic(4)
    flat = Architecture((*[layer for _ in range(LAYERS) for layer in (Conv(**he), Relu())], Flatten(), Dense(1)))
    cnn = Architecture((*flat.layers[:-2], GlobalAvgPool(), Dense(1)))
    convolutions = [layer for _ in range(LAYERS - 1) for layer in (GroupConv(group, **he), Relu())]
    gcnn = Architecture((LiftingConv(group, **he), Relu(), *convolutions, GroupPool(), Dense(1)))
    stax = import_neural_tangents().stax
    layers = [
        layer for _ in range(LAYERS) for layer in (stax.Conv(1, (3, 3), padding="SAME", W_std=2**0.5), stax.Relu())
    ]
    _, _, kernel = stax.serial(*layers, stax.GlobalAvgPool(), stax.Dense(1))
    peer = jax.jit(lambda x1, x2: kernel(x1, x2, ("nngp", "ntk")))
    ours = {"CNN, Flatten": analytic_kernel(flat), "C4 GCNN": analytic_kernel(gcnn), "CNN": analytic_kernel(cnn)}
    return {**ours, "CNN, neural-tangents": peer}
