"""What an augmentation policy is; the one that does nothing, and several in a row."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import jax
from jaxtyping import Array, Float, Key

Inputs = Float[Array, "sample *shape"]
Targets = Float[Array, "sample target"]


class Policy(Protocol):
    """A pure function (key, x, y) → (x, y) on a batch, applied at every training step (arXiv:2403.03103, sec. 3).

    Any callable of this signature is one if it is hashable and a frozen dataclass that
    `widesym.models.description.describe` can write down; it is traced by `jit`, and mapped over members' keys by `vmap`
    and `lax.map`.
    """

    def __call__(self, key: Key[Array, ""], x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        """The batch that the step is taken on; its number of samples may differ from x's."""
        ...


class FixedCopies:
    """A policy that makes the same `size` copies of every sample at every step: the batch grows `size`-fold.

    Batches hold all samples of the first copy, then all of the second, and so on. Subclasses say what the copies are.
    """

    @property
    def size(self) -> int:
        """The number of copies that each sample gets."""
        raise NotImplementedError

    def copies(self, x: Inputs) -> Float[Array, "copy sample *shape"]:
        """All copies of the inputs; evaluation sets are recorded on them, too."""
        raise NotImplementedError

    def target_copies(self, y: Targets) -> Float[Array, "copy sample target"]:
        """The targets of the copies."""
        raise NotImplementedError

    def __call__(self, key: Key[Array, ""], x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        return merged(self.copies(x)), merged(self.target_copies(y))


@dataclass(frozen=True)
class NoAugmentation(FixedCopies):
    """The batch as it is: one copy."""

    @property
    def size(self) -> int:
        return 1

    def copies(self, x: Inputs) -> Float[Array, "copy sample *shape"]:
        return x[None]

    def target_copies(self, y: Targets) -> Float[Array, "copy sample target"]:
        return y[None]


@dataclass(frozen=True, init=False)
class Compose:
    """One policy after the other, the first one first, each with a key of its own: batches grow by the product.

    Raises ValueError for none, or for what cannot be called.
    """

    policies: tuple[Policy, ...]

    def __init__(self, policies: Iterable[Policy]):
        policies = tuple(policies)
        for policy in policies:
            if isinstance(policy, type) or not callable(policy):
                raise ValueError(f"Compose: {policy!r} is no policy; it must be a function (key, x, y) -> (x, y)")
        if not policies:
            raise ValueError("Compose: there are no policies; for none use NoAugmentation()")
        object.__setattr__(self, "policies", policies)

    def __call__(self, key: Key[Array, ""], x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        for policy, own in zip(self.policies, jax.random.split(key, len(self.policies)), strict=True):
            x, y = policy(own, x, y)
        return x, y


def merged(copies: Float[Array, "copy sample *shape"]) -> Float[Array, "copy*sample *shape"]:
    """Copy after copy along one axis."""
    return copies.reshape(-1, *copies.shape[2:])
