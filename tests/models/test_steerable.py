"""Group convolutions with filters of circular harmonics, for groups that do not map pixels to pixels (theory.md §1).

The oracle knows the group by its 2 × 2 matrices alone, and the filters by models/layers/circular_harmonics.py, which
tests/models/test_circular_harmonics.py examines, as it does how nearly layers turn by less than right angles.
"""

import math
from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from widesym.models import Architecture, Flatten, GroupConv, GroupPool, LiftingConv, Relu, cyclic, dihedral
from widesym.models.groups import Group
from widesym.models.layers.circular_harmonics import rotated_basis
from widesym.models.signal import Signal

C3, C6, C8, D3, D8 = cyclic(3), cyclic(6), cyclic(8), dihedral(3), dihedral(8)
STDS = {"w_std": 1.3, "b_std": 0.7}
GRID = (4, 4)
# Both sides sum a few hundred products of size one: in float32 they agree to some 1e-6.
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}
LAYERS = [
    LiftingConv(C8, 2, 3, **STDS),
    LiftingConv(D8, 2, 3, "VALID", **STDS),
    LiftingConv(C3, 2, 3, "CIRCULAR", w_std=1.3),
    LiftingConv(C3, 2, 4, "VALID", **STDS),
    GroupConv(C8, 2, 3, "VALID", **STDS),
    GroupConv(D8, 2, 3, "VALID", w_std=1.3),
    GroupConv(C3, 2, 3, **STDS),
    GroupConv(D3, 2, 3, "CIRCULAR", **STDS),
]


def matrix(group, g):
    """On (column, up) vectors: a turn by 2πr/n, after f flips of the columns."""
    f, r = divmod(g, group.rotations)
    cosine, sine = math.cos(2 * math.pi * r / group.rotations), math.sin(2 * math.pi * r / group.rotations)
    return np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([(-1) ** f, 1])


def element(group, wanted):
    """The element with this matrix."""
    (found,) = [g for g in group.elements if np.allclose(matrix(group, g), wanted, atol=1e-9)]
    return found


def signal_before(layer, channels=2):
    return Signal(channels, GRID, layer.group if isinstance(layer, GroupConv) else None)


def run(layer, signal, params, x):
    """The layer on x, [feature, element, row, column, sample]."""
    graph, _ = nnx.split(nnx.eval_shape(lambda: layer.module(signal, nnx.Rngs(0))))
    return np.asarray(jax.jit(lambda params, x: nnx.merge(graph, params)(x))(params, x))


def reads(layer):
    """For each output point (t, g): the pairs (y, t + y) of pixels that are not padding, wrapped where CIRCULAR."""
    size, before = layer.size, 0 if layer.padding == "VALID" else (layer.size - 1) // 2
    new = [pixels - size + 1 if layer.padding == "VALID" else pixels for pixels in GRID]
    for t in product(*map(range, new)):
        read = []
        for y in product(range(size), repeat=2):
            pixel = tuple(a + b - before for a, b in zip(t, y, strict=True))
            if layer.padding == "CIRCULAR":
                pixel = tuple(p % pixels for p, pixels in zip(pixel, GRID, strict=True))
            if all(0 <= p < pixels for p, pixels in zip(pixel, GRID, strict=True)):
                read.append((y, pixel))
        yield t, read


def design(layer):
    """The linear map of one channel's filter: T[t, g, (b, q), point], so z = σ_w/√(n B |G|) Σ_bq w_bq T x.

    T x = Σ_y B_b(ρ_g⁻¹y) x(t+y), of a stack x(·, gq); points are [element, row, column] in C order.
    """
    group, stack = layer.group, isinstance(layer, GroupConv)
    basis = rotated_basis(group.rotations, group.reflections, layer.size)
    elements = group.order if stack else 1
    table = [*reads(layer)]
    T = np.zeros((len(table), group.order, len(basis), elements, elements, *GRID))
    for g, q in product(group.elements, range(elements)):
        gq = element(group, matrix(group, g) @ matrix(group, q)) if stack else 0
        for point, (_, read) in enumerate(table):
            for y, pixel in read:
                T[point, g, :, q, gq, *pixel] += basis[:, g, *y]
    return T.reshape(len(table), group.order, len(basis) * elements, -1)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_layer_is_its_sum_over_basis_functions(layer):
    """z(t,g) = σ_w/√(n B |G|) Σ_b Σ_q w_bq Σ_y B_b(ρ_g⁻¹y) x(t+y, gq) + σ_b b; LiftingConv without q and |G|."""
    signal, group = signal_before(layer), layer.group
    stack, functions = isinstance(layer, GroupConv), {3: 6, 4: 8}[layer.size]
    shape = (2, functions, 2, *([group.order] if stack else []))
    rng = np.random.default_rng(0)
    module = nnx.eval_shape(lambda: layer.module(signal, nnx.Rngs(0)))
    assert module.weight.shape == shape
    assert module.fan_in == 2 * functions * (group.order if stack else 1)
    params = {"weight": rng.standard_normal(shape, dtype=np.float32)}
    if layer.b_std:
        params["bias"] = rng.standard_normal(2, dtype=np.float32)
    x = rng.standard_normal((2, *signal.axes, 3), dtype=np.float32)
    z = run(layer, signal, params, x)

    # [feature, channel, (b, q)] against [t, g, (b, q), point] and [channel, point, sample].
    weight = np.moveaxis(np.float64(params["weight"]), 2, 1).reshape(2, 2, -1)
    expected = np.einsum("fck,tgkp,cpn->fgtn", weight, design(layer), np.float64(x).reshape(2, -1, 3), optimize=True)
    expected *= layer.w_std / math.sqrt(weight[0].size)
    if layer.b_std:
        expected += layer.b_std * params["bias"][:, None, None, None]
    np.testing.assert_allclose(z.reshape(expected.shape), expected, **ROUNDING)


@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_covariance_is_a_double_sum(layer):
    """Σ_θ ∂z ∂z' = σ_w² A(K) + σ_b² at all pairs of points, free of sampling error.

    A(K)[(t,g),(t',g')] = 1/(B |G|) Σ_bq Σ_yy' B_b(ρ_g⁻¹y) B_b(ρ_g'⁻¹y') K[(t+y,gq),(t'+y',g'q)]. As many features as
    a feature has weights, each of which reads one weight alone, hold the derivatives.
    """
    signal = signal_before(layer, channels=1)
    shape = nnx.eval_shape(lambda: layer.module(signal, nnx.Rngs(0))).weight.shape[1:]
    wide = replace(layer, features=math.prod(shape))
    x = np.random.default_rng(0).standard_normal((1, *signal.axes, 2), dtype=np.float32)
    eye = {"weight": np.eye(wide.features, dtype=np.float32).reshape(-1, *shape)}
    zero = {"weight": np.zeros_like(eye["weight"])}
    if layer.b_std:
        eye["bias"], zero["bias"] = (np.full(wide.features, value, np.float32) for value in (0, 1))
    of_weight, of_bias = (run(wide, signal, params, x) for params in (eye, zero))
    of_weight, of_bias = (np.float64(z).reshape(len(z), -1, 2) for z in (of_weight, of_bias[:1]))
    found = of_weight[..., 0].T @ of_weight[..., 1] + of_bias[..., 0].T @ of_bias[..., 1]

    T = np.swapaxes(design(layer), 0, 1)  # [g, t, (b, q), point]
    T = T.reshape(-1, *T.shape[2:])
    K = np.outer(*np.moveaxis(np.float64(x).reshape(-1, 2), 1, 0))
    expected = layer.w_std**2 * np.einsum("ikp,pr,jkr->ij", T, K, T, optimize=True) / T.shape[1] + layer.b_std**2
    np.testing.assert_allclose(found, expected, **ROUNDING)


def on_the_grid(group, g):
    """ρ_g as an element of D4, which maps pixels to pixels; None where it does not."""
    d4 = dihedral(4)
    return next((h for h in d4.elements if np.allclose(matrix(d4, h), matrix(group, g), atol=1e-9)), None)


def rotated(x, signal, g, group):
    """(ρ_g z)(t, h) = z(ρ_g⁻¹t, g⁻¹h), in the layout [channel, element, row, column, sample]."""
    if signal.group:
        origin = [element(group, np.linalg.inv(matrix(group, g)) @ matrix(group, h)) for h in group.elements]
        x = x[:, np.array(origin)]
    return np.asarray(dihedral(4).rotate(x, on_the_grid(group, g), axes=(-3, -2)))


@pytest.mark.parametrize(("group", "exact"), [(C8, 4), (D8, 8), (C6, 2), (C3, 1), (D3, 2)], ids=str)
@pytest.mark.parametrize("kind", [LiftingConv, GroupConv])
@pytest.mark.parametrize("taps", [(3, "SAME"), (4, "VALID"), (3, "SAME", 3)], ids=str)
def test_commutes_with_the_elements_that_map_pixels_to_pixels(kind, group, exact, taps):
    """Exactly: C8 contains C4 as every second element, D8 contains D4, C6 half a turn and D3 the mirror."""
    layer = kind(group, 2, *taps, b_std=0.5)
    signal = signal_before(layer)
    elements = [g for g in group.elements if on_the_grid(group, g) is not None]
    assert len(elements) == exact
    rng, module = np.random.default_rng(0), nnx.eval_shape(lambda: layer.module(signal, nnx.Rngs(0)))
    params = {name: rng.standard_normal(getattr(module, name).shape, dtype=np.float32) for name in ("weight", "bias")}
    x = rng.standard_normal((2, *signal.axes, 2), dtype=np.float32)
    moved = np.concatenate([rotated(x, signal, g, group) for g in elements], axis=-1)
    z = run(layer, signal, params, np.concatenate([x, moved], axis=-1))
    for g, of_moved in zip(elements, np.split(z[..., 2:], exact, axis=-1), strict=True):
        np.testing.assert_allclose(of_moved, rotated(z[..., :2], layer.output(signal), g, group), **ROUNDING)
        if g:  # the check sees a turn of pixels alone
            change = of_moved - np.asarray(dihedral(4).rotate(z[..., :2], on_the_grid(group, g), axes=(-3, -2)))
            assert np.max(np.abs(change)) > 0.05


def test_pooled_network_is_invariant_under_right_angles():
    """And a flattened one is not."""
    layers = (LiftingConv(C8, 4, 3), Relu(), GroupConv(C8, 4, 3), Relu())
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 1), dtype=np.float32)
    for pool, invariant in ((GroupPool(), True), (Flatten(), False)):
        architecture = Architecture((*layers, pool))
        params = jax.jit(lambda key, architecture=architecture: architecture.init(key, (5, 5, 1)))(jax.random.key(0))
        f, moved = (architecture.apply(params, x) for x in (jnp.asarray(x), cyclic(4).rotate_images(x, 1)))
        assert np.allclose(f, moved, **ROUNDING) == invariant


BAD = [
    (
        lambda: LiftingConv(C8, 2, 1),
        "LiftingConv: filters on C8 are turned between pixels and need a size of at least 3",
    ),
    (lambda: GroupConv(D3, 2, 2, "VALID"), "GroupConv: filters on D3 are turned between pixels and need a size of at"),
    (lambda: LiftingConv(C3, 2, 4), "LiftingConv: with SAME padding an even filter (4×4) sits off the pixel's centre"),
    (lambda: LiftingConv(C8, 2, 3).output(Signal(1, (4, 5))), "LiftingConv: C8 needs a square image, but gets 1 chan"),
    (lambda: LiftingConv(C3, 2, 3).output(Signal(1, (5, 4))), "LiftingConv: C3 needs a square image, but gets 1 chan"),
    (lambda: GroupConv(D8, 2, 3).output(Signal(1, (4, 5), D8)), "GroupConv: D8 needs a square image, but gets 1 chan"),
    (lambda: GroupConv(D8, 2, 3).output(Signal(1, GRID, C8)), "GroupConv(D8, …) needs a signal on D8, but gets 1 chan"),
    (
        lambda: LiftingConv(C8, 2, 3, stride=2).output(Signal(1, GRID)),
        "stride 2 and SAME padding do not lie symmetrica",
    ),
    (
        lambda: C8.orbit(np.zeros((1, 4, 4, 1))),
        "C8 does not map a pixel grid to itself; images are rotated exactly for",
    ),
    (lambda: Group(2.5), "a group of n rotations has n = 1, 2, 3, …, not 2.5"),
    (lambda: cyclic(0), "a group of n rotations has n = 1, 2, 3, …, not 0"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 the text is compared below, free of regular expressions
        make()
    assert message in str(error.value)
