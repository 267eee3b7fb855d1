"""Which samples a member sees at which step.

An epoch's order is drawn once, from the epoch's key, and each of its steps takes its share. The key is a member's own,
or common to all members that have the same hyperparameters (`order`); augmentation draws are always a member's own.
"""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float, Int, Key

Order = Literal["own", "common"]
ENDLESS = 2**31 - 1  # steps of an epoch that never ends

Data = tuple[Float[Array, "sample *pixel channel"], Float[Array, "sample logit"]]


@runtime_checkable
class Batches(Protocol):
    """A frozen dataclass that says which samples come when."""

    def steps_per_epoch(self, samples: int) -> int:
        """Steps for which one order holds; raises ValueError where there are too few samples for one step."""
        ...

    def order(self, key: Key[Array, ""], samples: int) -> Any:
        """What an epoch's steps draw from."""
        ...

    def take(self, data: Data, order: Any, position: Int[Array, ""]) -> Data:
        """The batch of the epoch's step `position`."""
        ...


@dataclass(frozen=True)
class FullBatch:
    """All samples at every step: gradient descent, as in theory.md §4."""

    def steps_per_epoch(self, samples: int) -> int:
        """So many steps that no training reaches a second epoch."""
        return ENDLESS

    def order(self, key: Key[Array, ""], samples: int) -> None:
        """None: every step takes all samples, so that they need no order."""

    def take(self, data: Data, order: None, position: Int[Array, ""]) -> Data:
        """All inputs and targets, as they are."""
        return data


@dataclass(frozen=True)
class IndependentDraws:
    """`size` samples a step, drawn independently and uniformly.

    At infinite width the mean over draws equals full-batch descent's (theory.md §4).
    """

    size: int
    order_of: Order = "own"

    def __post_init__(self):
        check_batches(self.size, self.order_of)

    def steps_per_epoch(self, samples: int) -> int:
        """Every step draws for itself."""
        return ENDLESS

    def order(self, key: Key[Array, ""], samples: int) -> Key[Array, ""]:
        """The key that the steps' draws come from."""
        return key

    def take(self, data: Data, order: Key[Array, ""], position: Int[Array, ""]) -> Data:
        """Samples drawn for this step."""
        x, y = data
        chosen = jax.random.randint(jax.random.fold_in(order, position), (self.size,), 0, len(x))
        return x[chosen], y[chosen]


@dataclass(frozen=True)
class ShuffledEpochs:
    """`size` samples a step, each sample at most once an epoch; what is left of an incomplete batch sits out.

    The mean over draws is full-batch descent's only approximately (theory.md §4).
    """

    size: int
    order_of: Order = "own"

    def __post_init__(self):
        check_batches(self.size, self.order_of)

    def steps_per_epoch(self, samples: int) -> int:
        """Whole batches in the data set."""
        if samples < self.size:
            raise ValueError(f"batches of {self.size} samples are asked for, but there are {samples}; use FullBatch()")
        return samples // self.size

    def order(self, key: Key[Array, ""], samples: int) -> Int[Array, " sample"]:
        """A permutation of the samples."""
        return jax.random.permutation(key, samples)

    def take(self, data: Data, order: Int[Array, " sample"], position: Int[Array, ""]) -> Data:
        """The next `size` samples of the permutation."""
        x, y = data
        chosen = jax.lax.dynamic_slice(order, (position * self.size,), (self.size,))
        return x[chosen], y[chosen]


def check_batches(size: int, order: Order) -> None:
    """Raise ValueError for a batch size or an order that does not exist."""
    if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
        raise ValueError(f"the batch size is {size!r}; it must be a positive whole number")
    if order not in ("own", "common"):
        raise ValueError(f"order_of is {order!r}; it must be 'own' or 'common'")
