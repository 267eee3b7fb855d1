"""Small networks of every layer, on grids of odd and even size, with and without bias, in a residual or not.

Compilers have most freedom just after a product: its scale, its bias and what a residual adds are computed wherever
they are read, once more for each reader. So every layer stands behind these.
"""

import numpy as np

from tests.support.activation_references import ALL
from tests.support.networks import C2, C4, D1, D2, D4
from widesym.models import (
    Abs,
    AtomSum,
    AvgPool,
    Canonicalize,
    Conv,
    Dense,
    Erf,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupPool,
    Identity,
    InvariantScalars,
    LayerNorm,
    LiftingConv,
    MaxPool,
    OrbitAverage,
    Relu,
    Residual,
    Tanh,
)

BIAS, NO_BIAS = {"b_std": 0.1}, {}
LOGITS = Dense(3, b_std=0.1)
# Environments that have XLA compile with full optimisation for all that this machine can, and for less: programs differ
# in what they vectorise, round and compute twice. On other processors than x86 both are one.
FULL = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "0"}
INSTRUCTIONS = {"own": {**FULL, "XLA_FLAGS": ""}, "AVX2": {**FULL, "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}}
POOLS = (MaxPool(2), MaxPool(3), MaxPool(2, 1), MaxPool(3, 2), AvgPool(2), AvgPool(3), AvgPool(2, 1), AvgPool(3, 2))
GRIDS = (6, 7, 8)


def before(kind):
    """What hands its output to the layer in question."""
    conv = Conv(6, 3, **BIAS)
    return {
        "": (Conv(6, 3),),
        "bias": (conv,),
        "VALID, bias": (Conv(6, 4, "VALID", **BIAS),),
        "residual": (Conv(6, 3), Residual((Relu(), conv))),
        "Relu": (conv, Relu()),
    }[kind]


def pooled():
    """Convolution, pool, ReLU, by names that say which."""
    return {
        f"{pool.__class__.__name__}({pool.size}, {pool.stride or pool.size}), {size}×{size}, {kind}": (
            (size, size, 1),
            (*before(kind), pool, Relu(), Flatten(), LOGITS),
        )
        for size in GRIDS
        for pool in POOLS
        for kind in ("", "bias", "VALID, bias", "residual", "Relu")
    }


def residual_pools():
    """A pool inside a residual, where it keeps the grid; and two pools in a row."""
    conv = Conv(6, 3, **BIAS)
    return {
        f"{pool.__name__} in a residual, {size}×{size}": (
            (size, size, 1),
            (conv, Residual((conv, pool(1), Relu(), conv)), pool(3, 2), Residual((Relu(), conv)), pool(2), *HEAD),
        )
        for pool in (MaxPool, AvgPool)
        for size in (8, 9)
    }


HEAD = (Relu(), Flatten(), LOGITS)
CONVOLUTIONS = {
    f"{padding}, size {size}, stride {stride}, {pixels}×{pixels}, {'bias' if bias else ''}": (
        (pixels, pixels, 2),
        (Conv(5, size, padding, stride, **bias), Relu(), Conv(4, 2, **bias), *HEAD),
    )
    for padding in ("SAME", "VALID", "CIRCULAR")
    for size in (2, 3)
    for stride in (1, 2, 3)
    for pixels in (6, 7)
    for bias in (BIAS, NO_BIAS)
    if padding != "CIRCULAR" or pixels % stride == 0
}


def on_group(group, size, padding, pool, *head):
    """Lifting, pool, group convolution."""
    lift, conv = LiftingConv(group, 4, 3, padding, **BIAS), GroupConv(group, 4, size, "VALID", **BIAS)
    return (lift, pool, Relu(), conv, *head)


GROUPS = {
    "C4, MaxPool, 8×8": ((8, 8, 1), on_group(C4, 2, "SAME", MaxPool(2), Relu(), GroupPool(), LOGITS)),
    "C4, MaxPool(3, 2), 7×7": ((7, 7, 1), on_group(C4, 2, "SAME", MaxPool(3, 2), Relu(), GroupPool(), LOGITS)),
    "D4, MaxPool(2, 1), 6×6": ((6, 6, 1), on_group(D4, 3, "CIRCULAR", MaxPool(2, 1), Relu(), GroupPool(), LOGITS)),
    "C4, AvgPool(3, 2), 7×7": ((7, 7, 1), on_group(C4, 2, "VALID", AvgPool(3, 2), Relu(), Flatten(), LOGITS)),
    "C2, 5×4": ((5, 4, 1), on_group(C2, 3, "SAME", Identity(), LayerNorm(), Erf(), GlobalAvgPool(), Flatten(), LOGITS)),
    "D2, residual, 6×6": (
        (6, 6, 1),
        (
            LiftingConv(D2, 4, 3, **BIAS),
            Residual((LayerNorm(), Relu(), GroupConv(D2, 4, 3, **BIAS))),
            MaxPool(2),
            *HEAD,
        ),
    ),
    "D1, pixels pooled, then the group, 5×5": (
        (5, 5, 1),
        (LiftingConv(D1, 4, 3, **BIAS), Tanh(), GlobalAvgPool(), Dense(6, **BIAS), Abs(), GroupPool(), LOGITS),
    ),
}
ACTIVATIONS = {
    f"{activation}, {grid}×{grid}": (
        (grid, grid, 1),
        (Conv(5, 3, **BIAS), LayerNorm(), activation, MaxPool(2), Conv(4, 2, "VALID", **BIAS), activation, *HEAD[1:]),
    )
    for activation in ALL
    for grid in (6, 7)
}
OTHERS = {
    "MLP": ((5,), (Dense(8, **BIAS), Relu(), Residual((Dense(8, **BIAS), LayerNorm(), Relu())), LOGITS)),
    "two MaxPools, residuals, LayerNorm": (
        (9, 9, 2),
        (
            Conv(6, 3, **BIAS),
            LayerNorm(),
            Residual((MaxPool(1), Relu(), Conv(6, 3, **BIAS))),
            MaxPool(2),
            Residual((Relu(), Conv(6, 3, **BIAS))),
            MaxPool(3, 1),
            GlobalAvgPool(),
            Dense(8, **BIAS),
            Relu(),
            LOGITS,
        ),
    ),
    "Dense on a grid, oblong": ((5, 7, 2), (Dense(6, **BIAS), MaxPool(2), *HEAD)),
    "atoms, images": (
        (3, 5, 5, 1),
        (
            AtomSum((LiftingConv(C4, 4, 3, **BIAS), MaxPool(3, 1), Relu(), GroupPool())),
            Dense(6, **BIAS),
            Relu(),
            LOGITS,
        ),
    ),
    "atoms, by slot": (
        (2, 5, 5, 1),
        (AtomSum((Conv(4, 3, **BIAS), MaxPool(2), Relu(), Flatten(), Dense(4)), shared=False), Relu(), LOGITS),
    ),
    "scalars": ((4, 3), (InvariantScalars(determinants=True), Dense(8, **BIAS), Relu(), LOGITS)),
    "orbit average": (
        (5, 5, 1),
        (OrbitAverage((Conv(4, 3, **BIAS), MaxPool(2), Relu(), Flatten(), Dense(4)), D4), Relu(), LOGITS),
    ),
    "canonical": ((5, 5, 1), (Canonicalize((Conv(4, 3, **BIAS), MaxPool(2), Relu()), C4), Flatten(), LOGITS)),
}
ALL_NETWORKS = pooled() | residual_pools() | CONVOLUTIONS | GROUPS | ACTIVATIONS | OTHERS
QUICK = [
    "MaxPool(2, 2), 8×8, VALID, bias",
    "MaxPool(2, 2), 7×7, residual",
    "MaxPool(3, 3), 8×8, bias",
    "MaxPool(3, 2), 8×8, bias",
    "MaxPool(2, 2), 8×8, Relu",
    "AvgPool(2, 2), 7×7, bias",
    "VALID, size 2, stride 3, 7×7, bias",
    "C4, MaxPool, 8×8",
    "two MaxPools, residuals, LayerNorm",
    "atoms, by slot",
    "MLP",
]


def inputs(shape, samples=5):
    """Random images with a blank border on two sides, where whole windows are alike; sets of vectors without."""
    x = np.random.default_rng(0).standard_normal((samples, *shape))
    if len(shape) > 2:
        x[..., :2, :, :] = x[..., -1:, :] = 0
    return np.float32(x)
