"""Empirical NTKs: three algorithms against the definition, against neural-tangents, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.networks import (
    COMPOSITES,
    LOGITS,
    MIXING,
    NETWORKS,
    SPHERES,
    STDS,
    inputs,
    partly_slow,
    random_params,
)
from widesym.analysis import analytic_kernel
from widesym.analysis.empirical import empirical_nngp, empirical_ntk, structured
from widesym.analysis.empirical.plan import tile_ntk
from widesym.analysis.programs.devices import devices_sharing_memory
from widesym.analysis.tangents import import_neural_tangents, to_stax
from widesym.models import (
    Architecture,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    GroupPool,
    LiftingConv,
    MaxPool,
    Relu,
    SO3Conv,
    SO3Pool,
    SphereLifting,
    cyclic,
    dihedral,
)

ALL = {**NETWORKS, **MIXING, **COMPOSITES, **SPHERES}
QUICK = (
    "D4, VALID, pooled",
    "residual, normalised",
    "atoms, by slot",
    "sphere",
)
SMALL = Architecture((Flatten(), Dense(8, **STDS), Relu(), Dense(3, **STDS)))
METHODS = ("structured", "jacobian", "vector_products")
AXES = {"full": "nmkl->nmkl", "diagonal": "nmkk->nmk", "trace": "nmkk->nm"}


def with_logits(layers, number=3):
    """The network with several logits, where it ends in one."""
    return Architecture((*layers[:-1], Dense(number, **STDS)) if layers[-1] is LOGITS else layers)


def by_definition(apply, params, x):
    """Σ_θ ∂f_k(x) ∂f_l(x'), [n, n, k, l], of the whole Jacobian."""
    leaves = jax.tree.leaves(jax.jit(jax.jacrev(lambda params: apply(params, x)))(params))
    jacobian = np.concatenate([np.float64(leaf).reshape(*leaf.shape[:2], -1) for leaf in leaves], axis=-1)
    return np.einsum("nka,mla->nmkl", jacobian, jacobian, optimize=True)


def in_output(full, output):
    found = np.einsum(AXES[output], full)
    return found / full.shape[-1] if output == "trace" else found


def assert_close(found, expected, scale=1.0):
    """float32: sums of thousands of products, relative to the largest entry; no factor 2, or 1/3, would pass."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-6 * scale * np.abs(expected).max())


def one_member(name):
    shape, layers = ALL[name]
    architecture = with_logits(layers)
    return architecture, jax.tree.map(lambda leaf: leaf[0], random_params(architecture, shape, 1)), inputs(shape)


@pytest.mark.parametrize("name", partly_slow(ALL, *(name for name in ALL if name not in QUICK)))
def test_structured_is_the_definition_in_both_orders_of_its_products(name, monkeypatch):
    architecture, params, x = one_member(name)
    full = by_definition(architecture.apply, params, x)

    def in_order(gradients, workspace):
        monkeypatch.setattr(structured, "gradient_cost", lambda *_: 0 if gradients else 2)
        monkeypatch.setattr(structured, "covariance_cost", lambda *_: 1)
        monkeypatch.setattr(structured, "WORKSPACE", workspace)
        tile_ntk.clear_cache()
        return tile_ntk(architecture, "structured", "full", params, x, x[:2])

    assert_close(in_order(True, 1), full[:, :2])  # feature by feature
    assert_close(in_order(False, 1), full[:, :2])  # place by place
    monkeypatch.undo()
    tile_ntk.clear_cache()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("output", AXES)
def test_every_method_in_every_output_and_tile(method, output):
    architecture, params, x = one_member("CNN, VALID, pooled")
    expected = in_output(by_definition(architecture.apply, params, x), output)
    whole = empirical_ntk(architecture, params, x, output=output, method=method)
    assert_close(whole, expected)
    assert_close(empirical_ntk(architecture, params, x[:2], x, output=output, method=method), expected[:2])
    needed = smallest_memory(architecture, params, x, output, method)
    tiled = []
    pieces = empirical_ntk(architecture, params, x, output=output, method=method, memory=needed, report=tiled.append)
    assert tiled[-1].done == tiled[-1].total == 6  # pairs of three samples one by one, the mirrored ones left out
    assert_close(pieces, expected)


def smallest_memory(architecture, params, x, output, method):
    """What one pair takes, as the refusal of less says."""
    with pytest.raises(ValueError, match=f"a single pair of samples takes more: {method} ([0-9.e+-]+) MiB") as refused:
        empirical_ntk(architecture, params, x, output=output, method=method, memory=1)
    return 1.01 * devices_sharing_memory() * 2**20 * float(str(refused.value).split(f"{method} ")[1].split(" MiB")[0])


@pytest.mark.filterwarnings("ignore:size requires ndarray:DeprecationWarning")  # in neural-tangents
@pytest.mark.parametrize("output", partly_slow(AXES, "full", "diagonal"))
def test_against_neural_tangents(output):
    nt = import_neural_tangents()
    architecture, params, x = one_member("C2, VALID, pooled")
    _, apply, _ = to_stax(architecture)
    axes = {"full": {"trace_axes": ()}, "diagonal": {"trace_axes": (), "diagonal_axes": (-1,)}, "trace": {}}[output]
    kinds = nt.NtkImplementation.JACOBIAN_CONTRACTION, nt.NtkImplementation.NTK_VECTOR_PRODUCTS
    found = empirical_ntk(architecture, params, x[:2], x, output=output)
    for kind in kinds:
        expected = nt.empirical_ntk_fn(apply, implementation=kind, vmap_axes=0, **axes)(x[:2], x, params)
        assert_close(found, np.asarray(expected))
    expected = nt.empirical_nngp_fn(apply, **axes)(x[:2], x, params)
    assert_close(empirical_nngp(architecture, params, x[:2], x, output=output), np.asarray(expected))


C4, D4 = cyclic(4), dihedral(4)
ONE_LAYER = {
    "Dense": ((5,), (Dense(3, **STDS),)),
    "Conv, pooled": ((4, 5, 2), (Conv(3, 3, **STDS), GlobalAvgPool())),
    "Conv, strides, pooled": ((5, 5, 2), (Conv(3, 2, "VALID", 2, **STDS), GlobalAvgPool())),
    "lifting to D4, pooled": ((4, 4, 2), (LiftingConv(D4, 3, 3, **STDS), GroupPool())),
    "sphere, pooled": ((6, 5, 2), (SphereLifting(3, 3, 2, **STDS), SO3Pool())),
}


@pytest.mark.parametrize("name", ONE_LAYER)
def test_one_affine_layer_and_a_pool_have_the_analytic_kernel_at_any_width(name):
    """Exactly, whatever its weights are: the NTK of a linear network does not depend on them."""
    shape, layers = ONE_LAYER[name]
    architecture, x = Architecture(layers), inputs(shape)
    params = jax.tree.map(lambda leaf: leaf[0], random_params(architecture, shape, 1))
    found = empirical_ntk(architecture, params, x, output="full")
    expected = analytic_kernel(architecture)(x).ntk
    for k in range(3):
        assert_close(found[..., k, k], np.asarray(expected), scale=3)  # a closed form has rounding of its own
        np.testing.assert_allclose(found[..., k, k - 1], 0, atol=3e-6 * np.abs(expected).max())  # as above


def test_members_of_an_ensemble_are_networks_of_their_own():
    x = inputs((2, 2, 1))
    params = random_params(SMALL, (2, 2, 1), 3)
    found = empirical_ntk(SMALL, params, x, x[:1])
    assert found.shape == (3, 3, 1)
    for member in range(3):
        own = jax.tree.map(lambda leaf, member=member: leaf[member], params)
        assert_close(found[member], in_output(by_definition(SMALL.apply, own, x), "trace")[:, :1])
    logits = np.stack([SMALL.apply(jax.tree.map(lambda leaf, m=m: leaf[m], params), x) for m in range(3)])
    assert_close(empirical_nngp(SMALL, params, x, output="diagonal"), np.einsum("anu,amu->anmu", logits, logits))


@pytest.mark.parametrize("method", ["auto", "jacobian", "vector_products"])
def test_networks_from_anywhere_are_functions_of_parameters_and_inputs(method):
    rng = np.random.default_rng(0)
    params = {"first": rng.standard_normal((4, 6)), "second": rng.standard_normal((6, 2))}
    params = jax.tree.map(np.float32, params)
    x = np.float32(rng.standard_normal((3, 4)))

    def apply(params, x):
        return jnp.tanh(x @ params["first"]) @ params["second"]

    expected = by_definition(apply, params, x)
    assert_close(empirical_ntk(apply, params, x, output="full", method=method), expected)
    two = jax.tree.map(lambda leaf: np.stack([leaf, 2 * leaf]), params)
    assert_close(empirical_ntk(apply, two, x, output="full", method=method)[0], expected)


def test_max_pools_have_an_empirical_kernel():
    architecture = Architecture((Conv(4, 3), MaxPool(2), Relu(), Flatten(), Dense(2)))
    x = inputs((4, 4, 1))
    params = jax.tree.map(lambda leaf: leaf[0], random_params(architecture, (4, 4, 1), 1))
    expected = by_definition(architecture.apply, params, x)
    assert_close(empirical_ntk(architecture, params, x, output="full"), expected)


@pytest.mark.parametrize("parametrization", ["standard", "mup"])
def test_other_parametrizations_have_kernels_of_their_own(parametrization):
    architecture = Architecture(SMALL.layers, parametrization)
    params = jax.tree.map(lambda leaf: leaf[0], random_params(architecture, (2, 2, 1), 1))
    x = inputs((2, 2, 1))
    expected = by_definition(architecture.apply, params, x)
    assert_close(empirical_ntk(architecture, params, x, output="full"), expected)


def test_in_float64_the_methods_agree_to_its_rounding():
    with jax.enable_x64(True):
        architecture = Architecture((SphereLifting(4, 2, 2, **STDS), Relu(), SO3Conv(3, 2, 2), SO3Pool(), Dense(2)))
        params = jax.tree.map(lambda leaf: np.float64(leaf[0]), random_params(architecture, (4, 3, 1), 1))
        x = inputs((4, 3, 1))
        found = [empirical_ntk(architecture, params, x, method=method) for method in METHODS]
    assert all(kernel.dtype == np.float64 for kernel in found)
    for kernel in found[1:]:
        np.testing.assert_allclose(kernel, found[0], rtol=1e-12)  # sums of some thousand products
