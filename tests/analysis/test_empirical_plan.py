"""How empirical NTKs are planned - algorithm, tiles, memory - and bad input."""

import jax
import numpy as np
import pytest

from tests.support.networks import NETWORKS, SPHERES, STDS, inputs, random_params
from widesym.analysis.empirical import empirical_nngp, empirical_ntk
from widesym.analysis.empirical.checks import checked_arguments
from widesym.analysis.empirical.plan import make_plan, tile_ntk
from widesym.analysis.programs.devices import devices_sharing_memory
from widesym.models import Architecture, Conv, Dense, Flatten, GlobalAvgPool, Relu

METHODS = ("structured", "jacobian", "vector_products")
SMALL = Architecture((Flatten(), Dense(8, **STDS), Relu(), Dense(3, **STDS)))


def plan(architecture, shape, memory=2.0**40, count=3, **options):
    params = jax.tree.map(lambda leaf: leaf[0], random_params(architecture, shape, 1))
    x = np.ones((count, *shape), np.float32)
    return make_plan(checked_arguments(architecture, params, x, None), "trace", options.get("method", "auto"), memory)


WIDE = Architecture((Dense(64), Relu(), Dense(64), Relu(), Dense(2)))


def test_auto_takes_the_least_work():
    """A wide MLP's gradients are products of vectors, which the structured method alone does not multiply out."""
    costs = {method: plan(WIDE, (5,), method=method).cost for method in METHODS}
    assert plan(WIDE, (5,)) == plan(WIDE, (5,), method="structured")
    assert costs["structured"] < 0.5 * min(costs["jacobian"], costs["vector_products"])


def test_auto_takes_another_method_where_memory_is_short():
    """Many places: inputs and cotangents of all pixels are more than one gradient of a small filter."""
    pixels = Architecture((Conv(2, 3), Relu(), Conv(2, 3), Relu(), GlobalAvgPool(), Dense(30)))
    needed = {method: plan(pixels, (32, 32, 1), method=method, count=1).bytes for method in METHODS}
    least = min(needed, key=needed.get)
    assert least != "structured"
    assert plan(pixels, (32, 32, 1), memory=1.001 * devices_sharing_memory() * needed[least], count=1).method == least


def test_tiles_are_halved_until_they_fit():
    whole = plan(WIDE, (5,), method="jacobian", count=16)
    assert whole.tile == 16
    part = plan(WIDE, (5,), method="jacobian", count=16, memory=0.5 * devices_sharing_memory() * whole.bytes)
    assert part.tile in (2, 4, 8)
    assert part.bytes <= 0.5 * whole.bytes


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["CNN, VALID, pooled", "sphere"])
def test_compiled_programs_take_no_more_memory_than_planned(name, method):
    shape, layers = {**NETWORKS, **SPHERES}[name]
    architecture, x = Architecture(layers), inputs(shape)
    params = jax.tree.map(lambda leaf: leaf[0], random_params(architecture, shape, 1))
    used = tile_ntk.lower(architecture, method, "diagonal", params, x, None).compile().memory_analysis()
    taken = used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes
    planned = make_plan(checked_arguments(architecture, params, x, None), "diagonal", method, 2.0**40).bytes
    assert 0.2 * planned < taken <= planned  # below a fifth, tiles would be far smaller than they could be


PARAMS = jax.tree.map(lambda leaf: leaf[0], random_params(SMALL, (2, 2, 1), 1))
ENSEMBLE = random_params(SMALL, (2, 2, 1), 3)
X = inputs((2, 2, 1))


def changed(params, function):
    """The parameters with the first weight changed."""
    leaves, tree = jax.tree.flatten(params)
    return jax.tree.unflatten(tree, [*leaves[:-1], function(leaves[-1])])


def nan_in(member):
    def function(leaf):
        leaf = np.array(leaf)
        leaf[member, 0] = np.nan
        return leaf

    return function


@pytest.mark.parametrize(
    ("network", "params", "x", "options", "message"),
    [
        (SMALL, changed(PARAMS, lambda leaf: leaf[:2]), X, {}, r"layers.3.weight has shape \(2, 8\), and \(3, 8\) is"),
        (SMALL, changed(ENSEMBLE, lambda leaf: leaf[:2]), X, {}, "different numbers of members: .*weight of 2"),
        (SMALL, {"layers": {}, "more": X}, X, {}, "not of this architecture: layers.1.bias is missing"),
        (SMALL, {}, X, {}, "there are no parameters"),
        (SMALL, changed(ENSEMBLE, nan_in(1)), X, {}, r"1 of 3 members' parameters are not finite \(members 1\)"),
        (SMALL, changed(PARAMS, lambda leaf: leaf * np.nan), X, {}, "the parameters are not finite"),
        (SMALL, jax.tree.map(np.float64, PARAMS), X, {}, "float64, with which JAX computes under"),
        (SMALL, jax.tree.map(lambda leaf: leaf * 1e30, PARAMS), X, {}, "the kernel is not finite"),
        (SMALL, PARAMS, X * np.inf, {}, "x1 has values that are not finite"),
        (SMALL, PARAMS, X[:0], {}, r"x1 has shape \(0, 2, 2, 1\)"),
        (SMALL, PARAMS, X, {"x2": X[:, :1]}, r"x1 has inputs of shape \(2, 2, 1\), x2 of shape \(1, 2, 1\)"),
        (SMALL, PARAMS, X, {"output": "all"}, "output is 'all'; it must be one of trace, diagonal, full"),
        (SMALL, PARAMS, X, {"method": "fast"}, "method is 'fast'; it must be one of auto, structured"),
        (SMALL.apply, PARAMS, X, {"method": "structured"}, "which takes an Architecture; functions allow jacobian"),
        (
            SMALL,
            PARAMS,
            X,
            {"memory": 1},
            "MiB a device, but a single pair of samples takes more",
        ),
        (SMALL, PARAMS, X, {"memory": 1, "method": "jacobian"}, "allow that, or try structured, vector_products"),
        ("cnn", PARAMS, X, {}, "network is 'cnn'; it must be an Architecture, or a function"),
        (SMALL, jax.tree.map(lambda leaf: leaf[:0], ENSEMBLE), X, {}, "the parameters are of no member at all"),
        (SMALL, changed(PARAMS, lambda leaf: np.int32(leaf)), X, {}, "have an array of int32; all must be floating"),
        (lambda params, x: x, PARAMS, X, {}, r"cannot be applied to these parameters .* not \[sample, logit\]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input(network, params, x, options, message):
    with pytest.raises(ValueError, match=message):
        empirical_ntk(network, params, x, **options)


def test_logits_that_overflow_have_no_kernel():
    with pytest.raises(ValueError, match="the kernel is not finite, as logits overflow"):
        empirical_nngp(SMALL, PARAMS, X * 1e25)
