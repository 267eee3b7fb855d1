"""How far analytic kernels lie from independent computations of the same, as a table for docs/kernels.md.

    python -m examples.kernel_agreement       # about three minutes on two cores

Largest deviations over all pairs of different images, three smooth ones and three of white noise, relative to
√(K(x,x) K(x',x')). Of an image with itself Θ is as right as arccos at 1, in either of the two computations.
"""

from collections.abc import Callable, Iterator

import jax
import numpy as np
from scipy.ndimage import gaussian_filter

from widesym.analysis import analytic_kernel
from widesym.analysis.kernels import Kernel
from widesym.analysis.kernels.engines import gram_by_engine
from widesym.analysis.kernels.full import FullEngine
from widesym.analysis.tangents import to_stax
from widesym.models import (
    Architecture,
    Conv,
    Dense,
    Erf,
    Flatten,
    Gelu,
    GlobalAvgPool,
    GroupConv,
    GroupPool,
    LiftingConv,
    Relu,
    cyclic,
    dihedral,
)

DEPTH, SIDE = 10, 8
Found = Callable[[np.ndarray], Kernel]


def main() -> None:
    """Print the table."""
    print("| network | compared with | K, float32 | Θ, float32 | K, float64 | Θ, float64 |\n|---|---|---|---|---|---|")
    for name, other, architecture, oracle in rows():
        single = deviations(architecture, oracle, np.float32)
        with jax.enable_x64(True):
            double = deviations(architecture, oracle, np.float64)
        print(f"| {name} | {other} | {' | '.join(f'{value:.0e}' for value in (*single, *double))} |", flush=True)


def rows() -> Iterator[tuple[str, str, Architecture, Found]]:
    """Networks, and another way to their kernels."""
    for kind in (Relu, Erf, Gelu):
        dense = [layer for _ in range(DEPTH) for layer in (Dense(1, w_std=1.4, b_std=0.1), kind())]
        mlp = Architecture((Flatten(), *dense, Dense(1)))
        yield f"MLP, {DEPTH} × {kind.__name__}", "neural-tangents", mlp, stax_kernel(mlp)
        cnn = planar(kind, DEPTH, "SAME")
        yield f"CNN, {DEPTH} × {kind.__name__}, SAME, pooled", "neural-tangents", cnn, stax_kernel(cnn)
    for padding, stride in (("VALID", 1), ("CIRCULAR", 1), ("SAME", 2)):
        cnn = planar(Relu, 3, padding, stride)
        yield f"CNN, 3 × Relu, {padding}, stride {stride}, pooled", "neural-tangents", cnn, stax_kernel(cnn)
    for group in (cyclic(4), dihedral(4)):
        gcnn = grouped(group)
        yield f"{group} group-CNN, 2 × Relu, pooled", "full covariances", gcnn, full_kernel(gcnn)
        yield f"{group} group-CNN, 2 × Relu, pooled", "mean over g of the CNN's K(x, ρ_g x')", gcnn, averaged(group)


def planar(kind: type, depth: int, padding: str, stride: int = 1) -> Architecture:
    """Convolutions, the first with the stride, each with the nonlinearity; a global pool; logits."""
    first, conv = (Conv(1, 3, padding, stride=s, w_std=1.4, b_std=0.1) for s in (stride, 1))
    return Architecture((first, kind(), *(conv, kind()) * (depth - 1), GlobalAvgPool(), Dense(1)))


def grouped(group) -> Architecture:
    """A lifting and a group convolution with Relu; a group pool; logits."""
    lifting, conv = (kind(group, 1, 3, w_std=1.4, b_std=0.1) for kind in (LiftingConv, GroupConv))
    return Architecture((lifting, Relu(), conv, Relu(), GroupPool(), Dense(1)))


def stax_kernel(architecture: Architecture) -> Found:
    """By neural-tangents' own layers."""
    kernel = jax.jit(to_stax(architecture)[2], static_argnames="get")
    return lambda x: Kernel(*kernel(x, x, get=("nngp", "ntk")))


def full_kernel(architecture: Architecture) -> Found:
    """By covariances between all points."""
    return lambda x: Kernel(*gram_by_engine(FullEngine(architecture, x.shape[1:]), x, x))


def averaged(group) -> Found:
    """Theorem 5 of arXiv:2406.06504."""
    cnn = analytic_kernel(planar(Relu, 2, "SAME"))

    def mean(x: np.ndarray) -> Kernel:
        blocks = [cnn(x, group.rotate_images(x, g)) for g in group.elements]
        return Kernel(*(np.mean([np.asarray(block[i]) for block in blocks], axis=0) for i in (0, 1)))

    return mean


def deviations(architecture: Architecture, oracle: Found, dtype: type) -> tuple[float, float]:
    """Of K and of Θ, off the diagonal."""
    x = inputs().astype(dtype)
    scales = [np.sqrt(np.diag(k)) for k in analytic_kernel(architecture)(x)]
    pairs, apart = zip(analytic_kernel(architecture)(x), oracle(x), scales, strict=True), ~np.eye(len(x), dtype=bool)
    first, second = (float(np.max((np.abs(np.asarray(a) - b) / np.outer(s, s))[apart])) for a, b, s in pairs)
    return first, second


def inputs() -> np.ndarray:
    """Three images of white noise, and three smooth ones."""
    noise = np.random.default_rng(0).standard_normal((6, SIDE, SIDE, 3))
    noise[3:] = 3 * gaussian_filter(noise[3:], (0, 1.5, 1.5, 0))
    return noise


if __name__ == "__main__":
    main()
