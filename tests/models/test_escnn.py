"""Lifting and group convolutions against escnn's, run by tests/models/escnn/make_arrays.py."""

import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from widesym.models import GroupConv, LiftingConv, cyclic, dihedral
from widesym.models.signal import Signal

ARRAYS = np.load(Path(__file__).parent / "escnn" / "arrays.npz")
GROUPS = {"C2": cyclic(2), "C4": cyclic(4), "D1": dihedral(1), "D2": dihedral(2), "D4": dihedral(4)}
LAYERS = [name for name in ARRAYS["layers"] if name.split("/")[0] in GROUPS]


def element_of(name):
    """Which of our elements is escnn's i-th: the one that moves an image without symmetries as escnn's does."""
    group, image = GROUPS[name], ARRAYS[f"{name}/image"]
    ours = [np.asarray(group.rotate(image, g, axes=(0, 1))) for g in group.elements]
    return [[np.array_equal(moved, image) for image in ours].index(True) for moved in ARRAYS[f"{name}/images"]]


def channel_of(name):
    """The channel of escnn's regular fields that holds z(t, g), for each of our elements g.

    Element i takes channel c to channel permutations[i, c], as ours takes z(·, h) to z(·, gh). With channel 0 for the
    identity, g is where g takes channel 0. (Any other channel would do: the equation of our layers is the same on all.)
    """
    moved = dict(zip(element_of(name), ARRAYS[f"{name}/permutations"][:, 0], strict=True))
    return [int(moved[g]) for g in GROUPS[name].elements]


def in_layout(values, channels):
    """From escnn's [sample, field·channel, row, column] to the networks' [field, group, row, column, sample]."""
    fields = values.reshape(len(values), -1, len(channels), *values.shape[2:])
    return np.moveaxis(fields[:, :, channels], 0, -1)


@pytest.mark.parametrize("name", GROUPS)
def test_groups_are_escnns(name):
    """The same elements, and the same products of them."""
    group, elements, channels = GROUPS[name], element_of(name), channel_of(name)
    assert sorted(elements) == sorted(channels) == list(group.elements)
    for g, permutation in zip(elements, ARRAYS[f"{name}/permutations"], strict=True):
        for h in group.elements:
            assert permutation[channels[h]] == channels[group.product(g, h)]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_escnns(name):
    """escnn's filters for the identity, used as W, give escnn's output on the whole group."""
    group, kind, size, padding, _ = name.split("/")
    x, weight, expected = (ARRAYS[f"{name}/{part}"] for part in ("input", "filter", "output"))
    channels = channel_of(group)
    lifting = kind == "lifting"
    x = np.moveaxis(x, 0, -1) if lifting else in_layout(x, channels)
    if not lifting:
        weight = np.moveaxis(in_layout(weight, channels), -1, 0)
    # From [feature, channel, (element), row, column] to [feature, row, column, channel, (element)].
    weight = np.moveaxis(weight, (-2, -1, 1), (1, 2, 3))
    layer = (LiftingConv if lifting else GroupConv)(
        GROUPS[group], len(weight), int(size), padding, w_std=math.sqrt(math.prod(weight.shape[1:]))
    )
    module = layer.module(Signal(len(x), x.shape[-3:-1], None if lifting else GROUPS[group]), nnx.Rngs(0))
    assert module.weight.shape == weight.shape
    module.weight[...] = jnp.asarray(weight)
    # Sums of up to 400 products of size one or less, in float32 on both sides.
    np.testing.assert_allclose(module(jnp.asarray(x)), in_layout(expected, channels), rtol=1e-5, atol=1e-5)
