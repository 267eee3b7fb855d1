"""Independent oracles in NumPy float64: theory.md §1-2 spelled out point by point, without lags and without patches.

A signal lives on points (r, t), numbered [group, row, column] in C order; `shape` counts them along each. What a layer
with weights does is told by `reads`: row p lists, tap by tap, the input point that output point p reads, or −1 for
padding. The finite layer and its covariance operator A then take one line each.
"""

import math
from functools import cache
from itertools import product

import numpy as np

from widesym.models import (
    Abs,
    AvgPool,
    Conv,
    Dense,
    Erf,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupFlatten,
    GroupPool,
    Identity,
    LayerNorm,
    LiftingConv,
    Relu,
    Residual,
)

QUARTER_TURN = np.array([[0, -1], [1, 0]])  # ρ of C_4's first element, on (row, column) vectors
MIRROR = np.diag([1, -1])  # of columns


def matrix(group, g):
    """The matrix of ρ_g, on (row, column) vectors from the centre."""
    f, r = divmod(g, group.rotations)
    return np.linalg.matrix_power(QUARTER_TURN, 4 // group.rotations * r) @ np.linalg.matrix_power(MIRROR, f)


def element(group, wanted):
    """The element with this matrix."""
    return next(g for g in group.elements if np.array_equal(matrix(group, g), wanted))


def places(layer, pixels):
    """Where windows start along an axis, as JAX's paddings put them."""
    size, stride = layer.size, layer.stride or layer.size
    if isinstance(layer, AvgPool) or layer.padding == "VALID":
        return list(range(0, pixels - size + 1, stride))
    count = math.ceil(pixels / stride)
    first = -(max((count - 1) * stride + size - pixels, 0) // 2)
    return [first + stride * place for place in range(count)]


@cache
def reads(layer, shape):
    """Points that each output point reads, [output point, tap], with taps in the order of the weights; output shape."""
    if isinstance(layer, Dense):
        return np.arange(np.prod(shape))[:, None], shape
    elements, rows, columns = shape
    starts, size = (places(layer, rows), places(layer, columns)), layer.size
    group = None if isinstance(layer, Conv | AvgPool) else layer.group
    outputs = elements if isinstance(layer, AvgPool) else group.order if group else 1
    centre, table = (size - 1) / 2, []
    for r, *t in product(range(outputs), *starts):
        ρ = matrix(group, r) if group else np.eye(2)
        for y in product(range(size), repeat=2):
            pixel = t + np.rint(ρ @ (np.array(y) - centre) + centre).astype(int)
            if getattr(layer, "padding", "VALID") == "CIRCULAR":
                pixel %= (rows, columns)
            padding = (pixel < 0).any() or (pixel >= (rows, columns)).any()
            if isinstance(layer, AvgPool):
                rq = [r]
            else:  # one element where x is an image
                rq = [element(group, ρ @ matrix(group, q)) for q in range(elements)] if elements > 1 else [0]
            table += [-1 if padding else np.ravel_multi_index((p, *pixel), shape) for p in rq]
    return np.reshape(table, (outputs * len(starts[0]) * len(starts[1]), -1)), (outputs, *map(len, starts))


def affine(layer, weight, bias, x, shape):
    """The finite layer of theory.md §1 on x[channel, point]: [feature, point]."""
    table, _ = reads(layer, shape)
    if isinstance(layer, GroupConv):  # W(y, q) is stored [feature, row, column, channel, q]
        weight = np.moveaxis(weight, -1, -2)
    weight = weight.reshape(len(weight), table.shape[1], len(x))
    padded = np.pad(x, ((0, 0), (0, 1)))  # point −1 is zero
    z = sum(weight[:, tap] @ padded[:, points] for tap, points in enumerate(table.T))
    z = layer.w_std * z / np.sqrt(weight[0].size)
    return z if bias is None else z + layer.b_std * bias[:, None]


def average(layer, covariance, shape):
    """A(K) of theory.md §2 on a full covariance [point, point']."""
    table, _ = reads(layer, shape)
    padded = np.pad(covariance, (0, 1))
    return np.mean([padded[np.ix_(points, points)] for points in table.T], axis=0)


def relu_dual(covariance, variance1, variance2):
    """E[φφ'] and E[φ'φ'] for ReLU on a full covariance; zero where a variance is (theory.md §2)."""
    norm = np.sqrt(np.outer(variance1, variance2))
    cosine = np.clip(covariance / np.where(norm > 0, norm, 1), -1, 1)
    angle = np.pi - np.arccos(cosine)
    return norm / (2 * np.pi) * (np.sqrt(1 - cosine**2) + angle * cosine), (norm > 0) * angle / (2 * np.pi)


def abs_dual(covariance, variance1, variance2):
    """|z| = relu(z) + relu(−z), and its derivative the difference of theirs."""
    same, opposite = (relu_dual(sign * covariance, variance1, variance2) for sign in (1, -1))
    return 2 * (same[0] + opposite[0]), 2 * (same[1] - opposite[1])


def erf_dual(covariance, variance1, variance2):
    """theory.md §2."""
    square = np.outer(1 + 2 * variance1, 1 + 2 * variance2)
    return 2 / np.pi * np.arcsin(2 * covariance / np.sqrt(square)), 4 / np.pi / np.sqrt(square - 4 * covariance**2)


def norm_dual(covariance, variance1, variance2, epsilon=1e-6):
    """Division by the standard deviation over channels, at infinite width a number."""
    scale = 1 / np.sqrt(np.outer(variance1 + epsilon, variance2 + epsilon))
    return covariance * scale, scale


DUALS = {Relu: relu_dual, Abs: abs_dual, Erf: erf_dual, LayerNorm: norm_dual}


def reduced(layer, covariance, shape, group=None):
    """A full covariance after a layer without weights, and the new shape; `group` is what the elements are of."""
    elements, pixels = shape[0], shape[1] * shape[2]
    if isinstance(layer, Flatten):
        return np.diag(covariance).mean(keepdims=True)[None], (1, 1, 1)
    if isinstance(layer, GroupFlatten):
        return flattened_on(group, covariance, shape), (elements, 1, 1)
    if isinstance(layer, GroupPool):
        return covariance.mean(keepdims=True), (1, 1, 1)
    if isinstance(layer, AvgPool):
        table, after = reads(layer, shape)
        return covariance[table][:, :, table].mean((1, 3)), after
    if isinstance(layer, Identity):
        return covariance, shape
    assert isinstance(layer, GlobalAvgPool)
    return covariance.reshape(elements, pixels, elements, pixels).mean((1, 3)), (elements, 1, 1)


def flattened_on(group, covariance, shape):
    """1/P Σ_y K[(ρ_r y, r), (ρ_r' y, r')], pixels turned by matrices about the centre of the grid."""
    elements, rows, columns = shape
    centre = (np.array([rows, columns]) - 1) / 2
    points = [
        [np.ravel_multi_index((r, *np.rint(matrix(group, r) @ (y - centre) + centre).astype(int)), shape) for y in grid]
        for grid in [list(map(np.array, product(range(rows), range(columns))))]
        for r in range(elements)
    ]
    return np.mean([covariance[np.ix_(each, each)] for each in np.transpose(points)], axis=0)


PAIRS = [(0, 1), (0, 0), (1, 1)]


def run(layers, nngp, ntk, shape, group=None):
    """K and Θ of both images with each other and themselves after the layers, by pair, and the shape there."""
    for layer in layers:
        after, group = shape, getattr(layer, "group", group)
        variances = [np.diag(nngp[0, 0]), np.diag(nngp[1, 1])]
        before = nngp, ntk
        nngp, ntk = dict(nngp), dict(ntk)
        for a, b in PAIRS:
            if isinstance(layer, Dense | Conv | LiftingConv | GroupConv):
                after = reads(layer, shape)[1]
                nngp[a, b] = layer.w_std**2 * average(layer, nngp[a, b], shape) + layer.b_std**2
                ntk[a, b] = nngp[a, b] + layer.w_std**2 * average(layer, ntk[a, b], shape)
            elif type(layer) in DUALS:
                nngp[a, b], derivative = DUALS[type(layer)](nngp[a, b], variances[a], variances[b])
                ntk[a, b] = ntk[a, b] * derivative
            elif not isinstance(layer, Residual):
                nngp[a, b], _ = reduced(layer, nngp[a, b], shape, group)
                ntk[a, b], after = reduced(layer, ntk[a, b], shape, group)
        if isinstance(layer, Residual):
            *body, _ = run(layer.body, *before, shape, group)
            nngp, ntk = ({pair: old[pair] + new[pair] for pair in PAIRS} for old, new in zip(before, body, strict=True))
        shape = after
    return nngp, ntk, shape


def pair_kernel(layers, x1, x2):
    """K and Θ of one pair of images [row, column, channel] or vectors, by full covariances (theory.md §2)."""
    x1, x2 = np.float64(x1), np.float64(x2)
    shape = (1, *x1.shape[:2]) if x1.ndim == 3 else (1, 1, 1)
    images = [x.reshape(-1, x.shape[-1]) for x in (x1, x2)]
    nngp = {(a, b): images[a] @ images[b].T / x1.shape[-1] for a, b in PAIRS}
    nngp, ntk, shape = run(layers, nngp, {pair: np.zeros_like(k) for pair, k in nngp.items()}, shape)
    assert shape == (1, 1, 1)
    return nngp[0, 1].item(), ntk[0, 1].item()


def kernel(layers, x1, x2):
    """K and Θ of all pairs, each [n1, n2]."""
    pairs = np.array([[pair_kernel(layers, a, b) for b in x2] for a in x1])
    return pairs[..., 0], pairs[..., 1]
