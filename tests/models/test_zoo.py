"""The zoo: the published tables' numbers, and the invariance that its table promises, measured."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.networks import random_params
from widesym.models import Conv, GroupConv, LiftingConv, MaxPool, cyclic, dihedral, zoo
from widesym.models.layer import Affine
from widesym.models.spherical.harmonics import rotate_sphere

BY_NAME = {model.name: model for model in zoo.MODELS}
WIDTH = 4
GROUPS = {"C4": cyclic(4), "C4 (≈ C8)": cyclic(4), "D4": dihedral(4)}


def change(model, moved):
    """The largest change of the logits when the input is moved, in units of their spread."""
    architecture = model.make(WIDTH)
    shape = (2, *model.input_shape[1:]) if "molecule" in model.name else model.input_shape
    x = np.random.default_rng(0).standard_normal((3, *shape), dtype=np.float32)
    if "SO(3)" in model.invariance and len(shape) > 2:
        x = rotated_spheres(x, (0.0, 0.0, 0.0))  # band-limited
    params = jax.tree.map(lambda leaf: leaf[0], random_params(architecture, shape, 1))
    f, after = map(np.asarray, jax.jit(architecture.apply)(params, jnp.concatenate([x, moved(x)])).reshape(2, 3, -1))
    return np.abs(after - f).max() / np.std(f)


def rotated_spheres(x, angles):
    """Every sphere of [sample, (atom), θ, φ, channel], rotated."""
    spheres = x.reshape(-1, *x.shape[-3:])
    return np.asarray(
        jnp.moveaxis(rotate_sphere(jnp.moveaxis(spheres, (0, -1), (-1, 0)), angles), (0, -1), (-1, 0))
    ).reshape(x.shape)


@pytest.mark.parametrize("name", [name for name, model in BY_NAME.items() if model.invariance in GROUPS])
def test_invariance_under_planar_groups(name):
    group = GROUPS[BY_NAME[name].invariance]
    for g in group.elements[1:]:  # to float32's rounding over some seven layers
        assert change(BY_NAME[name], lambda x, g=g: group.rotate_images(x, g)) < 1e-4
    if not group.reflections:
        assert change(BY_NAME[name], lambda x: dihedral(1).rotate_images(x, 1)) > 0.03


@pytest.mark.parametrize("name", ["spherical-cnn", "molecule-gcnn"])
def test_invariance_under_rotations_of_the_sphere(name):
    """Up to what nonlinearities alias at twofold oversampling, some 10⁻³ of the logits for noise."""
    assert change(BY_NAME[name], lambda x: rotated_spheres(x, (0.4, 1.1, -2.0))) < 2e-2


def test_invariance_under_rotations_of_vectors():
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    assert change(BY_NAME["invariant-mlp"], lambda x: np.float32(x @ turn)) < 1e-4
    assert change(BY_NAME["invariant-mlp"], lambda x: -x) > 0.1  # determinants flip


@pytest.mark.parametrize("name", [name for name, model in BY_NAME.items() if model.invariance == "none"])
def test_no_invariance_is_left_out(name):
    assert change(BY_NAME[name], lambda x: np.ascontiguousarray(x[..., ::-1, ::-1, :])) > 0.1


@pytest.mark.parametrize("model", zoo.MODELS, ids=lambda model: model.name)
def test_width_scales_every_hidden_layer(model):
    """Twice the width is twice the features of every layer with weights but the last."""
    once, twice = (list(affine(model.make(width).layers)) for width in (8, 16))
    assert len(once) == len(twice) > 1
    for layer, other in zip(once[:-1], twice[:-1], strict=True):
        assert other.features == 2 * layer.features
    assert once[-1].features == twice[-1].features


def affine(layers):
    for layer in layers:
        if isinstance(layer, Affine):
            yield layer
        yield from affine(getattr(layer, "body", ()))


def test_published_sizes():
    """The CNN has the weights of arXiv:2406.06504's table 3; the group-CNN four times as many after its first layer."""
    cnn, gcnn = (BY_NAME[name].make(4).count_parameters((28, 28, 1)) for name in ("mnist-cnn", "mnist-c4-gcnn"))
    assert cnn == 4 * 9 + 4 * 16 * 16 + 16 * 32 * 9 + 32 * 64 * 9 + 64 * 128 + 128 * 32 + 32 * 10
    assert gcnn == 4 * 9 + 4 * (cnn - 4 * 9)


@pytest.mark.parametrize("name", ["mnist-cnn", "mnist-c4-gcnn", "cifar10-cnn", "cifar10-c4-gcnn"])
def test_published_shapes(name):
    """Pixels shrink to one by VALID convolutions and two pools, which lie symmetrically on their grids."""
    model = BY_NAME[name]
    architecture = model.make(4)
    grids = [signal.grid for signal in architecture.signals(model.input_shape) if signal.grid]
    assert grids[-1] == (1, 1)
    sizes = [layer.size for layer in architecture.layers if isinstance(layer, Conv | LiftingConv | GroupConv)]
    assert sizes == [3, 4, 3, 3 if "mnist" in name else 4, 1, 1, 1]
    assert sum(isinstance(layer, MaxPool) for layer in architecture.layers) == 2
    assert all(before[0] % 2 == 0 for before, after in pairwise(grids) if 2 * after[0] == before[0])
