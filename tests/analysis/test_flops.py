"""Counts of operations on traced programs, against counts by hand."""

import jax
import jax.numpy as jnp
import pytest

from widesym.analysis.programs.flops import product_flops

A, B, X = jnp.ones((3, 4)), jnp.ones((4, 5)), jnp.ones((2, 6, 6, 3))
FILTER = jnp.ones((2, 2, 3, 7))
NUMBERS = ("NHWC", "HWIO", "NHWC")


def convolution(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=NUMBERS)


@pytest.mark.parametrize(
    ("function", "arguments", "flops"),
    [
        (lambda a, b: a @ b, (A, B), 2 * 3 * 4 * 5),
        (lambda a: jnp.tanh(a) + 1, (A,), 0),
        (jnp.matmul, (jnp.ones((7, 3, 4)), jnp.ones((7, 4, 5))), 7 * 2 * 3 * 4 * 5),
        (convolution, (X, FILTER), 2 * (2 * 5 * 5 * 7) * (2 * 2 * 3)),
        (lambda a, b: jax.lax.map(lambda _: a @ b, jnp.arange(11)), (A, B), 11 * 2 * 3 * 4 * 5),
        (lambda a, b: jax.lax.map(lambda _: jax.jit(jnp.matmul)(a, b), jnp.arange(11)), (A, B), 11 * 2 * 3 * 4 * 5),
        (lambda a, b: jax.lax.cond(a[0, 0] > 0, lambda: a @ b, lambda: 0 * a @ b @ b.T @ b), (A, B), 3 * 2 * 3 * 4 * 5),
    ],
    ids=["product", "none", "batched", "convolution", "loop", "call in a loop", "the costlier branch"],
)
def test_products_are_counted(function, arguments, flops):
    assert product_flops(jax.make_jaxpr(function)(*arguments)) == flops
