"""How JAX computes here, whatever else its process has set: numbers depend on what was asked for alone."""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt32

from widesym.models.checks import check_seed

GENERATOR = "threefry2x32"


@contextlib.contextmanager
def fixed_numerics(x64: bool = False) -> Iterator[None]:
    """Within, in this thread: numbers of 32 bits, or of 64; products of matrices in all of them, where accelerators
    would take fewer; types and shapes promoted, and random bits drawn, as JAX does by default.

    Around compiled functions rather than in them: it is at their call that JAX looks. What helps people to find faults,
    `jax_debug_nans` and its like, stays as they have set it.
    """
    with (
        jax.enable_x64(x64),
        jax.default_matmul_precision("float32"),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.threefry_partitionable(True),
    ):
        yield


def key_data(seed: int) -> UInt32[np.ndarray, "2"]:
    """What the generator starts from: the numbers of `jax.random.key(seed)` as JAX is by default.

    Raises ValueError for what is no seed.
    """
    check_seed(seed)
    return np.array([0, seed], np.uint32)


def key_of_seed(seed: int) -> Key[Array, ""]:
    """The key of a seed; raises ValueError as `key_data` does."""
    return jax.random.wrap_key_data(jnp.asarray(key_data(seed)), impl=GENERATOR)
