"""The largest eigenvalue of a network's NTK, against all eigenvalues of the whole matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widesym.analysis.empirical import empirical_ntk
from widesym.analysis.empirical.sharpness import largest_ntk_eigenvalue
from widesym.models import (
    Architecture,
    Conv,
    Dense,
    Flatten,
    GroupConv,
    GroupPool,
    LiftingConv,
    MaxPool,
    Relu,
    cyclic,
)

C4 = cyclic(4)
HIDDEN = {"w_std": 2**0.5}
NETWORKS = {
    "MLP": (Flatten(), Dense(16, **HIDDEN), Relu(), Dense(3, b_std=0.2)),
    "CNN with max pooling": (Conv(6, 3, **HIDDEN), MaxPool(2), Relu(), Flatten(), Dense(3)),
    "GCNN": (LiftingConv(C4, 4, 3, **HIDDEN), Relu(), GroupConv(C4, 4, 3, **HIDDEN), Relu(), GroupPool(), Dense(3)),
}


def images(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 6, 6, 1)).astype("f")


def dense(network, params, x):
    """λ_max of Θ[(n, k), (m, l)] as one matrix."""
    ntk = np.asarray(empirical_ntk(network, params, x, output="full", method="jacobian"), np.float64)
    rows = ntk.shape[0] * ntk.shape[2]
    return np.linalg.eigvalsh(ntk.transpose(0, 2, 1, 3).reshape(rows, rows))[-1]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("count", [1, 9])
def test_it_is_the_largest_of_all(name, count):
    """Also with fewer rows than the method would hold vectors."""
    network, x = Architecture(NETWORKS[name]), images(count)
    params = network.init(jax.random.key(1), x.shape[1:])
    expected = dense(network, params, x)
    # 1e-3 is what is asked for; a Ritz value's error is the square of its vector's, here down to float32's rounding.
    np.testing.assert_allclose(largest_ntk_eigenvalue(network, params, x), expected, rtol=1e-4)
    np.testing.assert_allclose(largest_ntk_eigenvalue(network, params, x, tolerance=1e-6), expected, rtol=5e-6)


def test_functions_have_one_as_well():
    """f = (x W) v of one logit: Θ = X Xᵀ |v|² + (X W)(X W)ᵀ."""
    rng = np.random.default_rng(0)
    weights = {"W": rng.standard_normal((4, 5)).astype("f"), "v": rng.standard_normal((5, 1)).astype("f")}
    x = rng.standard_normal((8, 4)).astype("f")
    ntk = x @ x.T * np.sum(weights["v"] ** 2) + x @ weights["W"] @ (x @ weights["W"]).T
    found = largest_ntk_eigenvalue(lambda weights, x: x @ weights["W"] @ weights["v"], weights, x, tolerance=1e-6)
    np.testing.assert_allclose(found, np.linalg.eigvalsh(ntk)[-1], rtol=5e-6)  # float32
    one = largest_ntk_eigenvalue(lambda weights, x: x @ weights["W"] @ weights["v"], weights, x[:1])
    np.testing.assert_allclose(one, ntk[0, 0], rtol=5e-6)


def test_a_network_that_does_not_depend_on_its_parameters_has_zero():
    x = np.ones((3, 2), "f")
    assert largest_ntk_eigenvalue(lambda weights, x: x + 0 * weights, jnp.ones(2), x) == 0


def test_what_has_no_such_number_is_refused():
    network, x = Architecture(NETWORKS["MLP"]), images(2)
    stacked = jax.vmap(lambda key: network.init(key, x.shape[1:]))(jax.random.split(jax.random.key(0), 3))
    with pytest.raises(ValueError, match="the parameters are those of 3 members; give one member's"):
        largest_ntk_eigenvalue(network, stacked, x)
    one = jax.tree.map(lambda leaf: leaf[0], stacked)
    with pytest.raises(ValueError, match="the kernel is not finite, as gradients overflow"):
        largest_ntk_eigenvalue(network, jax.tree.map(lambda leaf: 1e30 * leaf, one), x)
