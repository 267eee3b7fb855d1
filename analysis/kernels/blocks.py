"""Batches of pairs cut into blocks that are worked on together: what a CPU's caches hold, all at once elsewhere."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# Array elements of a block: four float32 arrays of so many fill half a megabyte, as much as a core's second cache.
BLOCK_ELEMENTS = {"cpu": 2**15}
LANES = 8  # float32 numbers that a CPU works on at once: the pairs of a block are the innermost axis of its arrays


def block_size(pairs: int, elements: int) -> int:
    """How many of the pairs, at so many elements each, make a block; one, or as many as fill vector registers."""
    limit = BLOCK_ELEMENTS.get(jax.default_backend())
    if limit is None:
        return pairs
    if min(pairs, limit // elements) < LANES:
        return 1
    blocks = -(-pairs * elements // limit)
    return -(-pairs // (blocks * LANES)) * LANES


def in_lanes(pairs: int) -> int:
    """As many or a few less, so that vector registers are filled; at least one."""
    return max(1, pairs if pairs < LANES else pairs // LANES * LANES)


def in_blocks(function: Callable[[tuple[Any, Any]], Any], first: Any, seconds: Any, elements: int) -> Any:
    """function((first, seconds)), block by block along the first axis of all arrays; a single `first` is in each."""
    return in_blocks_of(block_size(len(jax.tree.leaves(seconds)[0]), elements), function, first, seconds)


def in_blocks_of(size: int, function: Callable[[tuple[Any, Any]], Any], first: Any, seconds: Any) -> Any:
    """The same as `in_blocks`, in blocks of so many pairs."""
    pairs, single = len(jax.tree.leaves(seconds)[0]), len(jax.tree.leaves(first)[0]) == 1
    if size >= pairs:
        return function((first, seconds))
    missing = -pairs % size

    def cut(f: jax.Array) -> jax.Array:
        filled = jnp.concatenate([f, jnp.repeat(f[:1], missing, axis=0)])
        return filled.reshape(-1, size, *f.shape[1:])

    seconds = jax.tree.map(cut, seconds)
    if single:
        results = jax.lax.map(lambda block: function((first, block)), seconds)
    else:
        results = jax.lax.map(function, (jax.tree.map(cut, first), seconds))
    return jax.tree.map(lambda f: f.reshape(-1, *f.shape[2:])[:pairs], results)
