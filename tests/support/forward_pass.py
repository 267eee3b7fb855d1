"""A finite network's logits in NumPy float64, layer by layer, and derivatives of a loss of them by central differences.

Nothing here is compiled, and of models/ only the specs are used. Signals are z[channel, point, sample] on points
numbered as in tests/support/oracles.py; parameters are the nested dicts of `Architecture.init`, of one member.
"""

from itertools import combinations

import numpy as np

from tests.support.activation_references import ALL
from tests.support.oracles import reads
from widesym.models import (
    AtomSum,
    AvgPool,
    Canonicalize,
    Conv,
    Dense,
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
    Residual,
)

STEP = 1e-6  # of central differences: cut off at 1e-12, and rounded at 1e-10 of a loss of size one


def logits(layers, params, x):
    """[sample, logit] of inputs [sample, *point, channel], as users lay them out."""
    z, _ = from_input(layers, params, np.float64(x))
    return z[:, 0].T


def from_input(layers, params, x):
    """The signal after the layers, and its shape; the first may be one that acts on inputs as they are."""
    first, own = layers[0], of(params, 0)
    if isinstance(first, AtomSum):
        slots = [own["body"] if first.shared else slot(own["body"], atom) for atom in range(x.shape[1])]
        parts = [from_input(first.body, params, x[:, atom])[0] for atom, params in enumerate(slots)]
        there = np.any(x != 0, axis=tuple(range(2, x.ndim)))
        z, shape = sum(part * there[:, atom] for atom, part in enumerate(parts)), (1, 1, 1)
    elif isinstance(first, OrbitAverage):
        parts = [from_input(first.body, own["body"], turned(x, first.group, g))[0] for g in first.group.elements]
        z, shape = np.mean(parts, axis=0), (1, 1, 1)
    elif isinstance(first, Canonicalize):
        orbit = np.stack([turned(x, first.group, g) for g in first.group.elements])
        template = np.random.default_rng(0).standard_normal(x.shape[1:])
        best = np.argmax((orbit * template).sum((2, 3, 4)), axis=0)
        z, shape = from_input(first.body, own["body"], orbit[best, range(len(x))])
    elif isinstance(first, InvariantScalars):
        z, shape = scalars(x, first.determinants).T[:, None], (1, 1, 1)
    else:
        z = np.moveaxis(x, (0, -1), (-1, 0))
        shape = (1, *z.shape[1:3]) if z.ndim == 4 else (1, 1, 1)
        return through(layers, params, z.reshape(len(z), -1, z.shape[-1]), shape)
    return through(layers[1:], {"layers": {index - 1: own for index, own in params["layers"].items()}}, z, shape)


def of(params, index):
    """The parameters of a layer, which may have none."""
    return params.get("layers", {}).get(index, {})


def slot(tree, index):
    """One atom's weights, of those that are stacked."""
    return {key: slot(value, index) if isinstance(value, dict) else value[index] for key, value in tree.items()}


def turned(x, group, g):
    """ρ_g x of images [sample, row, column, channel]: mirrored left to right, then turned to the left."""
    mirrored, rotation = divmod(g, group.rotations)
    return np.rot90(x[:, :, ::-1] if mirrored else x, rotation * 4 // group.rotations, axes=(1, 2))


def scalars(x, determinants):
    """Inner products, and determinants, of vectors [sample, vector, dimension]."""
    pairs = [(x[:, a] * x[:, b]).sum(-1) for a in range(x.shape[1]) for b in range(a, x.shape[1])]
    minors = [np.linalg.det(x[:, list(rows)]) for rows in combinations(range(x.shape[1]), x.shape[2])]
    return np.stack([*pairs, *(minors if determinants else [])], axis=-1)


def through(layers, params, z, shape):
    """A signal after the layers, and its shape."""
    for index, layer in enumerate(layers):
        own = of(params, index)
        if isinstance(layer, Dense | Conv | LiftingConv | GroupConv):
            z, shape = affine(layer, own, z, shape)
        elif isinstance(layer, MaxPool | AvgPool):
            z, shape = pooled(layer, z, shape)
        elif isinstance(layer, Residual):
            z = z + through(layer.body, own["body"], z, shape)[0]
        elif isinstance(layer, Flatten):
            z, shape = z.reshape(-1, 1, z.shape[-1]), (1, 1, 1)
        elif isinstance(layer, GroupPool):
            z, shape = z.mean(1, keepdims=True), (1, 1, 1)
        elif isinstance(layer, GlobalAvgPool):
            z, shape = z.reshape(len(z), shape[0], -1, z.shape[-1]).mean(2), (shape[0], 1, 1)
        elif isinstance(layer, LayerNorm):
            z = (z - z.mean(0)) / np.sqrt(z.var(0) + layer.epsilon)
        elif not isinstance(layer, Identity):
            z = ALL[layer][0](z)
    return z, shape


def affine(layer, params, z, shape):
    """σ_w/√fan_in Σ W x + σ_b b (theory.md §1)."""
    table, after = reads(layer, shape)
    weight = np.float64(params["weight"])
    if isinstance(layer, GroupConv):  # W(y, q) is stored [feature, row, column, channel, q]
        weight = np.moveaxis(weight, -1, -2)
    weight = layer.w_std / np.sqrt(weight[0].size) * weight.reshape(len(weight), table.shape[1], len(z))
    padded = np.pad(z, ((0, 0), (0, 1), (0, 0)))  # point −1 is zero
    found = np.tensordot(weight, padded[:, table], ([2, 1], [0, 2]))
    return found if "bias" not in params else found + layer.b_std * np.float64(params["bias"])[:, None, None], after


def pooled(layer, z, shape):
    """The mean or the maximum of each window that fits."""
    size, stride = layer.size, layer.stride or layer.size
    windows = np.lib.stride_tricks.sliding_window_view(z.reshape(len(z), *shape, -1), (size, size), (2, 3))
    windows = windows[:, :, ::stride, ::stride]
    reduced = windows.max((-2, -1)) if isinstance(layer, MaxPool) else windows.mean((-2, -1))
    return reduced.reshape(len(z), -1, z.shape[-1]), (shape[0], *reduced.shape[2:4])


def flat(tree):
    """Every array of nested dicts, by the way to it."""
    return {
        (key, *path): leaf
        for key, value in tree.items()
        for path, leaf in (flat(value).items() if isinstance(value, dict) else [((), value)])
    }


def moved(tree, change, way=()):
    """Nested dicts of parameters in float64, with `change` added to the arrays that it has by their ways."""
    return {
        key: moved(value, change, (*way, key))
        if isinstance(value, dict)
        else np.float64(value) + change.get((*way, key), 0)
        for key, value in tree.items()
    }


def derivative(function, params, direction, step=STEP):
    """d function(params + h·direction)/dh at h = 0, for a direction of some of the arrays, by the ways to them."""
    ahead, behind = (
        function(moved(params, {way: sign * step * change for way, change in direction.items()})) for sign in (1, -1)
    )
    return (ahead - behind) / (2 * step)


def jacobian(layers, params, x):
    """∂f_k(x)/∂θ of all parameters, [sample, logit, parameter]."""
    columns = []
    for way, leaf in flat(params).items():
        for unit in np.eye(leaf.size):
            direction = {way: unit.reshape(leaf.shape)}
            columns.append(derivative(lambda params: logits(layers, params, x), params, direction))
    return np.stack(columns, axis=-1)
