"""Independent oracles in NumPy float64: theory.md §1-2 spelled out point by point, without lags and without patches.

A signal lives on points (r, t), numbered [group, row, column] in C order; `shape` counts them along each. What a layer
with weights does is told by `reads`: row p lists, tap by tap, the input point that output point p reads, or −1 for
padding. The finite layer and its covariance operator A then take one line each.
"""

from functools import cache
from itertools import product

import numpy as np

from models import Conv, Dense, Flatten, GlobalAvgPool, GroupConv, GroupPool, LiftingConv, Relu

QUARTER_TURN = np.array([[0, -1], [1, 0]])  # ρ of C_4's first element, on (row, column) vectors


def turn(order, r):
    """The matrix of ρ_r in C_order."""
    return np.linalg.matrix_power(QUARTER_TURN, 4 // order * r)


@cache
def reads(layer, shape):
    """Points that each output point reads, [output point, tap], with taps in the order of the weights; output shape."""
    if isinstance(layer, Dense):
        return np.arange(np.prod(shape))[:, None], shape
    elements, rows, columns = shape
    size, valid = layer.size, layer.padding == "VALID"
    order = 1 if isinstance(layer, Conv) else layer.group.order
    grid = (rows - size + 1, columns - size + 1) if valid else (rows, columns)
    corner = 0 if valid else -((size - 1) // 2)
    centre = (size - 1) / 2
    table = []
    for r, *t in product(range(order), *map(range, grid)):
        for y in product(range(size), repeat=2):
            pixel = t + np.rint(turn(order, r) @ (np.array(y) - centre) + centre).astype(int) + corner
            if layer.padding == "CIRCULAR":
                pixel %= (rows, columns)
            padding = (pixel < 0).any() or (pixel >= (rows, columns)).any()
            rq = [(r + q) % elements for q in range(elements)]  # one element where x is an image
            table += [-1 if padding else np.ravel_multi_index((element, *pixel), shape) for element in rq]
    return np.reshape(table, (order * grid[0] * grid[1], -1)), (order, *grid)


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


def reduced(layer, covariance, shape):
    """A full covariance after a layer that leaves the grid or the group, and the new shape."""
    elements, pixels = shape[0], shape[1] * shape[2]
    if isinstance(layer, Flatten):
        return np.diag(covariance).mean(keepdims=True)[None], (1, 1, 1)
    if isinstance(layer, GroupPool):
        return covariance.mean(keepdims=True), (1, 1, 1)
    assert isinstance(layer, GlobalAvgPool)
    return covariance.reshape(elements, pixels, elements, pixels).mean((1, 3)), (elements, 1, 1)


def pair_kernel(layers, x1, x2):
    """K and Θ of one pair of images [row, column, channel] or vectors, by full covariances (theory.md §2)."""
    x1, x2 = np.float64(x1), np.float64(x2)
    shape = (1, *x1.shape[:2]) if x1.ndim == 3 else (1, 1, 1)
    images = [x.reshape(-1, x.shape[-1]) for x in (x1, x2)]
    pairs = [(0, 1), (0, 0), (1, 1)]
    nngp = {(a, b): images[a] @ images[b].T / x1.shape[-1] for a, b in pairs}
    ntk = {pair: np.zeros_like(k) for pair, k in nngp.items()}
    for layer in layers:
        after = shape
        variances = [np.diag(nngp[0, 0]), np.diag(nngp[1, 1])]
        for a, b in pairs:
            if isinstance(layer, Dense | Conv | LiftingConv | GroupConv):
                after = reads(layer, shape)[1]
                nngp[a, b] = layer.w_std**2 * average(layer, nngp[a, b], shape) + layer.b_std**2
                ntk[a, b] = nngp[a, b] + layer.w_std**2 * average(layer, ntk[a, b], shape)
            elif isinstance(layer, Relu):
                nngp[a, b], derivative = relu_dual(nngp[a, b], variances[a], variances[b])
                ntk[a, b] = ntk[a, b] * derivative
            else:
                nngp[a, b], _ = reduced(layer, nngp[a, b], shape)
                ntk[a, b], after = reduced(layer, ntk[a, b], shape)
        shape = after
    assert shape == (1, 1, 1)
    return nngp[0, 1].item(), ntk[0, 1].item()


def kernel(layers, x1, x2):
    """K and Θ of all pairs, each [n1, n2]."""
    pairs = np.array([[pair_kernel(layers, a, b) for b in x2] for a in x1])
    return pairs[..., 0], pairs[..., 1]
