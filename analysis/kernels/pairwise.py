"""Engines that know a single pair of inputs, made ones of batches (engines.Engine)."""

from functools import partial
from typing import Any

import jax
from jaxtyping import Array, Float

from widesym.models.covariance import Covariance

ELEMENTS = {"cpu": 2**18}  # array elements worked on at once: on a CPU what its caches hold, elsewhere what fills it
ELEMENTS_ELSEWHERE = 2**26


class PairwiseEngine:
    """Batches of inputs and pairs, as many together as the device holds well."""

    @property
    def elements(self) -> int:
        """Array elements that one pair of inputs takes."""
        raise NotImplementedError

    def prepare_one(self, x: Float[Array, "*point channel"]) -> Any:
        """What every pair of an input shares."""
        raise NotImplementedError

    def pair(self, first: Any, second: Any) -> Covariance:
        """(K, Θ) of the logits of two prepared inputs."""
        raise NotImplementedError

    def own(self, prepared: Any) -> Covariance:
        """(K, Θ) of the logits of an input with itself."""
        raise NotImplementedError

    def prepare(self, x: Float[Array, "n *point channel"]) -> Any:
        """What every pair of an input shares, of each input in a batch: `prepare_one` on each, so many at once."""
        return jax.lax.map(self.prepare_one, x, batch_size=self._together)

    def row(self, first: Any, seconds: Any) -> Covariance:
        """`pair`, of one prepared input with each of a batch."""
        return jax.vmap(partial(self.pair, first))(seconds)

    def diagonal(self, prepared: Any) -> Covariance:
        """(K, Θ) of the logits of each prepared input with itself, [n]: `own` on each, so many at once."""
        return jax.lax.map(self.own, prepared, batch_size=self._together)

    @property
    def _together(self) -> int:
        return max(1, ELEMENTS.get(jax.default_backend(), ELEMENTS_ELSEWHERE) // self.elements)
