"""Activations on flattened pixels, and windows beyond the image: against NumPy, neural-tangents and finite networks."""

import math
from functools import partial
from importlib.util import find_spec

import jax
import numpy as np
import pytest

from tests.support.networks import STDS, inputs, random_params
from widesym.analysis import analytic_kernel
from widesym.analysis.tangents import to_stax
from widesym.models import Architecture, AtomSum, Conv, Dense, Flatten, Identity, Relu

LOGITS = Dense(1, **STDS)
CASES = {
    "right after": ((4, 3, 2), (Conv(16, 3, **STDS), Flatten(), Relu(), LOGITS)),
    "beyond the image": ((2, 2, 2), (Conv(16, 3, **STDS), Flatten(), Identity(), Relu(), LOGITS)),
    "even and strided": ((1, 3, 1), (Conv(16, 4, stride=2, **STDS), Flatten(), Relu(), LOGITS)),
    "atoms": ((3, 2), (Dense(16, **STDS), Flatten(), Relu(), LOGITS)),
}


def by_hand(x, layer):
    """Mean over pixels of Relu's dual of their patches' K (theory.md §2), image by image in float64."""
    window = layer.window
    images = np.moveaxis(np.float64(x), -1, 1)
    pads = [window.pads(size) for size in images.shape[2:]]
    padded = np.pad(images, ((0, 0), (0, 0), *pads))
    rows, columns = (window.places(size) for size in images.shape[2:])
    nngp = ntk = 0
    for row in range(rows):
        for column in range(columns):
            top, left = row * layer.stride, column * layer.stride
            patch = padded[:, :, top : top + layer.size, left : left + layer.size].reshape(len(x), -1)
            k = STDS["w_std"] ** 2 * patch @ patch.T / patch.shape[1] + STDS["b_std"] ** 2
            q = np.sqrt(np.outer(np.diag(k), np.diag(k)))
            angle = np.arccos(np.clip(k / q, -1, 1))
            nngp = nngp + q * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
            ntk = ntk + k * (np.pi - angle) / (2 * np.pi)
    nngp = STDS["w_std"] ** 2 * nngp / (rows * columns) + STDS["b_std"] ** 2
    return nngp, nngp + STDS["w_std"] ** 2 * ntk / (rows * columns)


@pytest.mark.parametrize("name", [name for name in CASES if name != "atoms"])
def test_kernels_are_means_over_pixels(name):
    shape, layers = CASES[name]
    x = inputs(shape)
    expected = by_hand(x, layers[0])
    found = [analytic_kernel(Architecture(layers))(x)]
    if find_spec("neural_tangents") is not None:
        found.append(jax.jit(lambda x: to_stax(layers)[2](x, None, ("nngp", "ntk")))(x))
    for kernel in found:
        np.testing.assert_allclose(kernel.nngp, expected[0], rtol=1e-5)
        # Of an input with itself arccos turns rounding, 6e-8, into its root.
        np.testing.assert_allclose(kernel.ntk, expected[1], rtol=2e-4)


@pytest.mark.parametrize("name", CASES)
def test_networks_have_the_kernel_as_their_mean(name):
    """One hidden layer's expectations are those of infinite width at any width."""
    shape, layers = CASES[name]
    architecture, members, x = Architecture(layers), 512, inputs(shape)

    def one_member(params):
        jacobian = jax.jacrev(lambda params: architecture.apply(params, x)[:, 0])(params)
        return sum(j.reshape(3, -1) @ j.reshape(3, -1).T for j in jax.tree.leaves(jacobian))

    samples = jax.jit(partial(jax.lax.map, one_member, batch_size=128))(random_params(architecture, shape, members))
    samples, expected = np.float64(samples), analytic_kernel(architecture)(x).ntk
    gap, error = samples.mean(0) - expected, samples.std(0, ddof=1) / math.sqrt(members)
    assert np.all(abs(gap) < 4.5 * error)  # 9 entries at a fixed seed
    assert np.all(error < 0.025 * np.sqrt(np.outer(np.diag(expected), np.diag(expected))))


def test_parts_flatten_late_too():
    """The body of a sum over atoms, each an image."""
    body = (Conv(4, 3, **STDS), Flatten(), Relu(), Dense(1))
    late = (Conv(4, 3, **STDS), Relu(), Flatten(), Dense(1))
    x = inputs((2, 3, 3, 1))
    found, expected = (analytic_kernel(Architecture((AtomSum(layers),)))(x) for layers in (body, late))
    np.testing.assert_array_equal(found, expected)
