"""Sums over the parts of an input: theory.md §3's sum written out part by part, at finite and at infinite width."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.networks import C2, C4, D4, HIDDEN, LOGITS, STDS, inputs, random_params
from widesym.analysis import analytic_kernel
from widesym.analysis.kernels.composite import gram
from widesym.models import (
    Architecture,
    AtomSum,
    Canonicalize,
    Conv,
    Dense,
    Flatten,
    GroupConv,
    GroupPool,
    LiftingConv,
    OrbitAverage,
    Relu,
)

MLP = (Dense(6, **STDS), Relu(), Dense(4, **STDS))
CNN = (Conv(4, 2, **STDS), Relu(), Flatten(), Dense(3, **STDS))
VECTORS, IMAGES = (3, 2), (2, 3, 4, 1)  # three atoms in R², two images
BODIES = {"vectors": (VECTORS, MLP), "images": (IMAGES, CNN)}
# Sums of a few dozen products of size one in float32, in another order: some 1e-6.
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}
# Float32's rounding in K; in Θ its square root, where two parts are nearly parallel.
KERNEL_ROUNDING = {"nngp": {"rtol": 1e-5, "atol": 1e-6}, "ntk": {"rtol": 5e-4, "atol": 1e-5}}


def one_network(layers, shape):
    """An architecture, and parameters of one network."""
    architecture = Architecture(layers)
    return architecture, jax.tree.map(lambda leaf: leaf[0], random_params(architecture, shape, 1))


def body_params(params):
    """The parameters of the first layer's body, as those of a network of its own."""
    return {"layers": params["layers"][0]["body"]["layers"]}


def assert_kernels_close(found, expected):
    for field, rounding in KERNEL_ROUNDING.items():
        np.testing.assert_allclose(getattr(found, field), getattr(expected, field), **rounding)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", BODIES)
def test_atom_sum_is_the_sum_over_atoms(kind, shared):
    """z(x) = Σ_a body_a(x_a): with one body, or by slot with the a-th of the weights stacked on a leading axis."""
    shape, body = BODIES[kind]
    architecture, params = one_network((AtomSum(body, shared=shared),), shape)
    x, alone, own = inputs(shape), Architecture(body), body_params(params)
    expected = 0
    for atom in range(shape[0]):
        weights = own if shared else jax.tree.map(lambda leaf, atom=atom: leaf[atom], own)
        expected += alone.apply(weights, jnp.asarray(x[:, atom]))
    np.testing.assert_allclose(architecture.apply(params, jnp.asarray(x)), expected, **ROUNDING)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("kind", BODIES)
def test_slots_of_zeros_do_not_count(kind, shared):
    """Though body(0) ≠ 0 with biases; an atom with a single value that is not zero counts."""
    shape, body = BODIES[kind]
    architecture, params = one_network((AtomSum(body, shared=shared),), shape)
    x = inputs(shape)
    x[0, 1:] = 0
    x[1, 0] = 0
    x[1, 0].flat[-1] = 0.5
    x[2] = 0
    alone, own = Architecture(body), body_params(params)
    by_slot = [own if shared else jax.tree.map(lambda leaf, a=a: leaf[a], own) for a in range(shape[0])]
    at_zero = alone.apply(by_slot[0], jnp.zeros((1, *shape[1:])))
    assert np.max(np.abs(at_zero)) > 0.1  # the biases': counting a slot would show
    f = architecture.apply(params, jnp.asarray(x))
    np.testing.assert_allclose(f[:1], alone.apply(by_slot[0], jnp.asarray(x[:1, 0])), **ROUNDING)
    full = sum(alone.apply(weights, jnp.asarray(x[1:2, a])) for a, weights in enumerate(by_slot))
    np.testing.assert_allclose(f[1:2], full, **ROUNDING)
    np.testing.assert_array_equal(f[2], 0)


@pytest.mark.parametrize("kind", BODIES)
def test_padding_changes_nothing_for_shared_weights(kind):
    """More slots of zeros, anywhere: neither the function nor its kernel."""
    shape, body = BODIES[kind]
    architecture, params = one_network((AtomSum(body), Relu(), LOGITS), shape)
    x = inputs(shape)
    padded = np.insert(x, [0, shape[0] - 1], 0, axis=1)
    assert padded.shape[1] == shape[0] + 2
    f = [architecture.apply(params, jnp.asarray(x)) for x in (x, padded)]
    np.testing.assert_allclose(*f, **ROUNDING)
    kernel = analytic_kernel(architecture)
    assert_kernels_close(kernel(padded), kernel(x))


@pytest.mark.parametrize("kind", BODIES)
def test_permutations_of_atoms(kind):
    """Shared weights: invariant but for the order of the sum. Weights by slot: not, but as the slots permuted alike."""
    shape, body = BODIES[kind]
    x, order = inputs(shape), np.roll(np.arange(shape[0]), 1)
    for shared in (True, False):
        architecture, params = one_network((AtomSum(body, shared=shared),), shape)
        f, moved = (architecture.apply(params, jnp.asarray(x)) for x in (x, x[:, order]))
        if shared:
            np.testing.assert_allclose(moved, f, **ROUNDING)
        else:
            assert np.all(np.max(np.abs(moved - f), axis=1) > 0.1)
            both = jax.tree.map(lambda leaf: leaf[order], params)
            np.testing.assert_allclose(architecture.apply(both, jnp.asarray(x[:, order])), f, **ROUNDING)


@settings(max_examples=8)
@given(st.sampled_from([C2, C4, D4]), st.integers(2, 4), st.integers(2, 4), st.integers(0, 7), st.integers(0, 2**31))
def test_orbit_average_is_the_mean_over_the_orbit(group, rows, columns, g, seed):
    """1/|G| Σ_g body(ρ_g x), by the body's own network on the augmented batch; so invariant but for the sum's order."""
    shape = (rows, rows if group.needs_square else columns, 1)
    architecture, params = one_network((OrbitAverage(CNN, group),), shape)
    x = np.random.default_rng(seed).standard_normal((2, *shape), dtype=np.float32)
    orbit = Architecture(CNN).apply(body_params(params), group.orbit(x)).reshape(group.order, 2, -1)
    f = architecture.apply(params, jnp.asarray(x))
    np.testing.assert_allclose(f, orbit.mean(0), **ROUNDING)
    np.testing.assert_allclose(architecture.apply(params, group.rotate_images(x, g % group.order)), f, **ROUNDING)


def test_the_body_of_an_orbit_average_is_not_invariant():
    architecture, params = one_network(CNN, (3, 3, 1))
    f = [architecture.apply(params, C4.rotate_images(inputs((3, 3, 1)), g)) for g in (0, 1)]
    assert np.max(np.abs(f[1] - f[0])) > 0.1


TRANSFORMED = {
    "shared": (VECTORS, (AtomSum(MLP), LOGITS)),
    "by slot": (VECTORS, (AtomSum(MLP, shared=False), LOGITS)),
    "orbit by slot": ((2, 3, 3, 1), (AtomSum((OrbitAverage((Flatten(), *MLP), C4),), shared=False), LOGITS)),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_jit_vmap_and_grad(name):
    """init under vmap draws what it draws alone; apply under all three is apply; grad is the difference quotient."""
    shape, layers = TRANSFORMED[name]
    architecture, x, keys = Architecture(layers), jnp.asarray(inputs(shape)), jax.random.split(jax.random.key(0), 2)
    ensemble = jax.jit(jax.vmap(lambda key: architecture.init(key, shape)))(keys)
    f = jax.jit(jax.vmap(architecture.apply, (0, None)))(ensemble, x)
    for member in (0, 1):
        params = architecture.init(keys[member], shape)
        jax.tree.map(lambda a, b, m=member: np.testing.assert_allclose(a[m], b, **ROUNDING), ensemble, params)
        np.testing.assert_allclose(f[member], architecture.apply(params, x), **ROUNDING)
    assert np.max(np.abs(f[1] - f[0])) > 0.1

    @jax.jit
    def loss(params):
        return jnp.sum(jnp.sin(architecture.apply(params, x)))

    gradient = jax.grad(loss)(params)
    rng, step = np.random.default_rng(2), 1e-2
    direction = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape, dtype=np.float32) / 8, params)
    ahead, behind = (loss(jax.tree.map(lambda p, d, s=s: p + s * d, params, direction)) for s in (step, -step))
    slope = sum(jnp.vdot(d, g) for d, g in zip(*map(jax.tree.leaves, (direction, gradient)), strict=True))
    # Float32's 1e-6 over the step, and a possible kink of Relu in between, against slopes of size one.
    np.testing.assert_allclose((ahead - behind) / (2 * step), slope, rtol=0.02, atol=2e-3)
    assert abs(slope) > 0.1


def test_slots_draw_weights_of_their_own():
    """Standard normal each, and uncorrelated between slots, over an ensemble."""
    architecture = Architecture((AtomSum((Dense(8, b_std=1.0), Relu(), Dense(4)), shared=False),))
    keys = jax.random.split(jax.random.key(0), 256)
    params = jax.jit(jax.vmap(lambda key: architecture.init(key, VECTORS)))(keys)
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    assert sorted(shapes) == [(256, 3, 4, 8), (256, 3, 8), (256, 3, 8, 2)]
    for leaf in jax.tree.leaves(params):
        slots = np.float64(leaf).swapaxes(0, 1).reshape(3, -1)
        # A mean of n products of independent normals errs by 1/√n, of squares by √(2/n): 4.5 of these.
        error = 4.5 / np.sqrt(slots.shape[1])
        covariance = slots @ slots.T / slots.shape[1]
        assert np.all(np.abs(covariance - np.eye(3)) < error * np.where(np.eye(3), np.sqrt(2), 1))
        assert np.all(np.abs(slots.mean(1)) < error)


def test_kernel_of_shared_atoms_sums_over_pairs_of_atoms():
    """K(x, x') = Σ_ab K_body(x_a, x'_b), Θ likewise; slots of zeros left out (arXiv:2406.06504, F.3)."""
    for shape, body in BODIES.values():
        x = inputs(shape)
        x[2, 0] = 0
        found, counts = analytic_kernel(Architecture((AtomSum(body),)))(x), x.reshape(*x.shape[:2], -1).any(-1)
        pairs = analytic_kernel(Architecture(body))(x.reshape(-1, *shape[1:]))
        for field, rounding in KERNEL_ROUNDING.items():
            every = np.reshape(getattr(pairs, field), (*counts.shape, *counts.shape))  # [n, a, n', b]
            expected = [[every[n][counts[n]][:, m][:, counts[m]].sum() for m in range(3)] for n in range(3)]
            np.testing.assert_allclose(getattr(found, field), expected, **rounding)


def test_kernel_of_atoms_by_slot():
    """Σ_a K_body(x_a, x'_a) where the body's outputs are centred; if it ends in Relu, K gains the products of means.

    There K = Σ_a K_a + Σ_{a≠b} m_a m'_b with m = √(q/2π) the mean of relu(u), u ~ N(0, q); Θ gains nothing.
    """
    x, hidden = inputs(VECTORS), Dense(6, **STDS)
    for body in (MLP, (hidden, Relu())):
        found = gram((AtomSum(body, shared=False),), x, x)
        alone = [gram(body, x[:, a], x[:, a]) for a in range(3)]
        nngp, ntk = (sum(getattr(kernel, field) for kernel in alone) for field in ("nngp", "ntk"))
        if body is not MLP:
            means = np.sqrt((STDS["w_std"] ** 2 * np.mean(x**2, -1) + STDS["b_std"] ** 2) / (2 * np.pi))
            products = means[:, None, :, None] * means[None, :, None, :]  # [n, n', a, b]
            nngp += np.sum(products * (1 - np.eye(3)), axis=(2, 3))
        np.testing.assert_allclose(found.nngp, nngp, **KERNEL_ROUNDING["nngp"])
        np.testing.assert_allclose(found.ntk, ntk, **KERNEL_ROUNDING["ntk"])


@pytest.mark.parametrize(("name", "group"), [("MLP", C2), ("MLP", D4), ("CNN", C4), ("CNN", D4)], ids=str)
def test_orbit_average_averages_one_argument_of_the_kernel(name, group):
    """(1/|G|²) Σ_gh K(ρ_g x, ρ_h x') = (1/|G|) Σ_g K(x, ρ_g x'), where K(ρ_g x, ρ_g x') = K(x, x').

    So of the MLP, and of a CNN with an odd filter. Of the MLP it is theorem 7: this is the kernel of the pooled GCNN
    with filters as large as the image, too (arXiv:2406.06504).
    """
    conv, x = Conv(6, 3, **STDS), inputs((3, 3, 1))
    body = (Flatten(), HIDDEN, Relu(), HIDDEN, Relu()) if name == "MLP" else (conv, Relu(), conv, Relu(), Flatten())
    found = analytic_kernel(Architecture((OrbitAverage(body, group), LOGITS)))(x)
    alone = analytic_kernel(Architecture((*body, LOGITS)))
    kernels = [alone(x, group.rotate_images(x, g)) for g in group.elements]
    assert np.max(np.ptp(np.stack([k.nngp for k in kernels]), axis=0)) > 0.05  # no term is the average
    assert_kernels_close(found, jax.tree.map(lambda *terms: sum(terms) / group.order, *kernels))
    if name == "MLP":
        lift, conv = LiftingConv(group, 6, 3, "VALID", **STDS), GroupConv(group, 6, 1, "VALID", **STDS)
        gcnn = Architecture((lift, Relu(), conv, Relu(), GroupPool(), LOGITS))
        assert_kernels_close(found, analytic_kernel(gcnn)(x))


NESTED = {
    "orbits of atoms": (AtomSum((OrbitAverage((Flatten(), HIDDEN, Relu()), C2), HIDDEN)), Relu(), LOGITS),
    "by slot, orbits": (
        AtomSum((OrbitAverage((Flatten(), HIDDEN, Relu()), C4),), shared=False),
        HIDDEN,
        Relu(),
        LOGITS,
    ),
    "canonical atoms": (AtomSum((Canonicalize((Flatten(), HIDDEN), D4), Relu()), shared=False), HIDDEN, Relu(), LOGITS),
}


@pytest.mark.parametrize("name", NESTED)
def test_diagonal_is_that_of_the_gram(name):
    kernel, x = analytic_kernel(Architecture(NESTED[name])), inputs((2, 3, 3, 1))
    x[2, 1] = 0
    assert_kernels_close(kernel.diagonal(x), jax.tree.map(jnp.diagonal, kernel(x)))
