"""Small networks of every kind that has an analytic kernel, and inputs for them; shared, so that each compiles once."""

import jax
import numpy as np
import pytest

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
    GroupFlatten,
    GroupPool,
    Identity,
    InvariantScalars,
    LayerNorm,
    LiftingConv,
    OrbitAverage,
    Relu,
    Residual,
    SO3Conv,
    SO3Pool,
    SphereLifting,
    cyclic,
    dihedral,
)

C2, C4, C8, D1, D2, D4 = cyclic(2), cyclic(4), cyclic(8), dihedral(1), dihedral(2), dihedral(4)
WIDTH = 32
STDS = {"w_std": 1.4, "b_std": 0.3}
LOGITS = Dense(1, **STDS)
HIDDEN = Dense(WIDTH, **STDS)


def cnn(padding, *head, size=3):
    """Two convolutions, each with Relu, then the head."""
    conv = Conv(WIDTH, size, padding, **STDS)
    return (conv, Relu(), conv, Relu(), *head)


def gcnn(group, padding, *head, size=3):
    """Lifting and group convolution, each with Relu, then the head."""
    lift, conv = (kind(group, WIDTH, size, padding, **STDS) for kind in (LiftingConv, GroupConv))
    return (lift, Relu(), conv, Relu(), *head)


NETWORKS = {
    "MLP": ((3,), (HIDDEN, Relu(), HIDDEN, Relu(), LOGITS)),
    "CNN, SAME, flattened": ((4, 3, 2), cnn("SAME", Flatten(), LOGITS)),
    "CNN, VALID, pooled": ((4, 5, 2), cnn("VALID", GlobalAvgPool(), LOGITS, size=2)),
    "CNN, CIRCULAR, pooled": ((4, 4, 2), cnn("CIRCULAR", GlobalAvgPool(), LOGITS)),
    "CNN, all paddings, pooled, MLP": (
        (4, 4, 2),
        (
            *(Conv(WIDTH, 3, "CIRCULAR"), Relu(), Conv(WIDTH, 2, "VALID"), Relu(), Conv(WIDTH, 2)),
            *(GlobalAvgPool(), HIDDEN, Relu(), LOGITS),
        ),
    ),
    "CNN, SAME, windows beyond the image": (
        (2, 2, 2),
        (Conv(WIDTH, 3, **STDS), Relu(), Conv(WIDTH, 5, **STDS), Relu(), GlobalAvgPool(), LOGITS),
    ),
    "C2, VALID, pooled": ((4, 5, 2), gcnn(C2, "VALID", GroupPool(), LOGITS, size=2)),
    "C4, VALID, pooled": ((4, 4, 2), gcnn(C4, "VALID", GroupPool(), LOGITS, size=2)),
    "C4, SAME, pooled": ((3, 3, 2), gcnn(C4, "SAME", GroupPool(), LOGITS)),
    "C4, CIRCULAR, pooled": ((4, 4, 2), gcnn(C4, "CIRCULAR", GroupPool(), LOGITS)),
    "C4, VALID, flattened": ((4, 4, 2), gcnn(C4, "VALID", Flatten(), LOGITS, size=2)),
    "C4, VALID, pixels pooled, MLP, pooled": (
        (4, 4, 2),
        gcnn(C4, "VALID", GlobalAvgPool(), HIDDEN, Relu(), GroupPool(), LOGITS, size=2),
    ),
    "C4, VALID, flattened in frames": (
        (4, 4, 2),
        gcnn(C4, "VALID", GroupFlatten(), HIDDEN, Relu(), GroupPool(), LOGITS, size=2),
    ),
    "D2, SAME, flattened in frames": ((3, 4, 2), gcnn(D2, "SAME", GroupFlatten(), GroupPool(), LOGITS)),
    "D1, SAME, pooled": ((3, 4, 2), gcnn(D1, "SAME", GroupPool(), LOGITS)),
    "D2, CIRCULAR, flattened": ((3, 4, 2), gcnn(D2, "CIRCULAR", Flatten(), LOGITS)),
    "D4, VALID, pooled": ((4, 4, 2), gcnn(D4, "VALID", GroupPool(), LOGITS, size=2)),
    "residual, normalised": (
        (4, 3, 2),
        (
            *(Conv(WIDTH, 2, **STDS), Residual((LayerNorm(), Relu(), Conv(WIDTH, 3, **STDS)))),
            *(Residual((Erf(), Conv(WIDTH, 3), Residual((Abs(), Conv(WIDTH, 1))))), LayerNorm(), Relu()),
            *(GlobalAvgPool(), Residual((HIDDEN, Relu(), HIDDEN)), LOGITS),
        ),
    ),
    "strides, SAME": ((5, 4, 2), (Conv(WIDTH, 3, stride=2, **STDS), Relu(), Conv(WIDTH, 2, **STDS), Flatten(), LOGITS)),
    "strides, CIRCULAR, pooled": ((4, 4, 2), (Conv(WIDTH, 3, "CIRCULAR", 2, **STDS), Abs(), GlobalAvgPool(), LOGITS)),
    "C4, linear": ((4, 4, 2), (LiftingConv(C4, WIDTH, 3, **STDS), GroupConv(C4, 1, 2, "VALID", **STDS), GroupPool())),
}


# Networks that mix lags, whose covariance is carried whole.
MIXING = {
    "local pools": (
        (5, 4, 2),
        (
            Conv(WIDTH, 2, **STDS),
            Erf(),
            AvgPool(2, 1),
            Identity(),
            Conv(WIDTH, 2),
            Relu(),
            AvgPool(2),
            Flatten(),
            LOGITS,
        ),
    ),
    "strides and pools on C4": (
        (5, 5, 1),
        (
            LiftingConv(C4, WIDTH, 3, stride=2, **STDS),
            Relu(),
            AvgPool(2, 1),
            GroupConv(C4, WIDTH, 1),
            Relu(),
            GroupPool(),
            LOGITS,
        ),
    ),
    "conv before lifting": (
        (3, 3, 1),
        (Conv(WIDTH, 3), Relu(), LiftingConv(C2, WIDTH, 3), Relu(), GroupPool(), LOGITS),
    ),
}


# Networks that act on parts of their input, or on a function of it.
COMPOSITES = {
    "atoms, shared": ((3, 2), (AtomSum((HIDDEN, Relu(), HIDDEN)), Relu(), LOGITS)),
    "atoms, by slot": ((3, 2), (AtomSum((HIDDEN, Relu()), shared=False), LOGITS)),
    "atoms, images": (
        (2, 3, 3, 1),
        (AtomSum((LiftingConv(C4, WIDTH, 3), Relu(), GroupPool())), HIDDEN, Relu(), LOGITS),
    ),
    "scalars": ((4, 3), (InvariantScalars(determinants=True), HIDDEN, Relu(), LOGITS)),
    "orbit average": ((3, 3, 1), (OrbitAverage((Flatten(), HIDDEN, Relu(), HIDDEN), D4), Relu(), LOGITS)),
    "canonical": ((3, 3, 1), (Canonicalize((Conv(WIDTH, 3), Relu(), Flatten()), C4), LOGITS)),
    "canonical atoms": (
        (2, 3, 3, 1),
        (AtomSum((Canonicalize((Flatten(), HIDDEN, Relu()), C4), HIDDEN)), Relu(), LOGITS),
    ),
    "C8 filters": (
        (5, 5, 1),
        (LiftingConv(C8, WIDTH, 3, "VALID", **STDS), Relu(), GroupConv(C8, WIDTH, 3), Relu(), GroupPool(), LOGITS),
    ),
}


SPHERES = {
    "sphere": (
        (6, 5, 2),
        (SphereLifting(WIDTH, 3, 2, **STDS), Relu(), SO3Conv(WIDTH, 2, 2, **STDS), Erf(), SO3Pool(), LOGITS),
    ),
    "sphere, on the group": (
        (4, 3, 1),
        (
            *(SphereLifting(WIDTH, 2, 2), Residual((Abs(), SO3Conv(WIDTH, 2, 2, **STDS))), LayerNorm(), HIDDEN, Relu()),
            *(SO3Pool(), HIDDEN, Relu(), LOGITS),
        ),
    ),
    "sphere, flattened": ((4, 3, 1), (SphereLifting(WIDTH, 2, 2), Relu(), SO3Conv(4, 2, 1), Flatten(), LOGITS)),
    "sphere, atoms": (
        (2, 4, 3, 1),
        (AtomSum((SphereLifting(WIDTH, 2, 2), Relu(), SO3Pool()), shared=False), HIDDEN, Relu(), LOGITS),
    ),
}


def random_params(architecture, input_shape, members):
    """Parameters ~ N(0, 1), stacked over networks, from NumPy: JAX's draws take longer to compile than all the rest."""
    shapes = jax.eval_shape(lambda: architecture.init(jax.random.key(0), input_shape))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: rng.standard_normal((members, *leaf.shape), dtype=np.float32), shapes)


def inputs(shape, smooth=False):
    """Three inputs: two correlated, one faint; brighter to one corner, so that no rotation leaves an image alone."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, *shape)) + 0.3
    if smooth:  # neighbouring pixels nearly alike
        rows, columns = np.meshgrid(np.linspace(0, 1, shape[0]), np.linspace(0, 1, shape[1]), indexing="ij")
        waves = rng.uniform(0.3, 2, (3, 3, shape[2], 1, 1))
        x = np.moveaxis(1 + np.sin(waves[0] * rows + waves[1] * columns + 3 * waves[2]), 1, -1)
    x[1] = 0.7 * x[0] + 0.5 * x[1]
    x[2] *= 0.4
    if len(shape) == 3 and min(shape[:2]) > 1:
        x *= np.linspace(0.5, 1.5, shape[0])[:, None, None] + np.linspace(-0.2, 0.4, shape[1])[:, None]
    return np.float32(x)


def partly_slow(names, *slow):
    """Test parameters, those of these names marked slow; all are held against another oracle in the quick tests."""
    assert set(slow) <= set(names)
    return [pytest.param(name, marks=pytest.mark.slow) if name in slow else name for name in names]
