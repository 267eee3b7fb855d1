"""Augmentation policies: pure functions (key, x, y) → (x, y) applied to every batch."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from models.groups import Group

Images = Float[Array, "sample row column channel"]
Targets = Float[Array, "sample logit"]


@dataclass(frozen=True)
class NoAugmentation:
    """The batch as it is."""

    def __call__(self, key: Key[Array, ""], x: Images, y: Targets) -> tuple[Images, Targets]:
        return x, y


@dataclass(frozen=True)
class FullOrbit:
    """All g·x for all g of the group, with the targets of x: the batch grows |G|-fold (arXiv:2403.03103, sec. 3)."""

    group: Group

    @property
    def size(self) -> int:
        return self.group.order

    def copies(self, x):
        return self.group.orbit(x).reshape(self.size, *x.shape)

    def __call__(self, key: Key[Array, ""], x: Images, y: Targets) -> tuple[Images, Targets]:
        return self.group.orbit(x), jnp.tile(y, (self.group.order, 1))


Policy = NoAugmentation | FullOrbit
