"""What training refuses, said before it begins."""

from collections.abc import Iterable, Mapping, Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.ensembles.batches import Data
from widesym.ensembles.recipe import TrainingRecipe
from widesym.models.architecture import Architecture
from widesym.models.checks import MOST_MEMBERS, shown

SHOWN = 10  # members that a message names
NOBODY = 2**32 - 1  # the member whose key is everyone's


def listed(members: Iterable[int]) -> str:
    """Members by number, for messages: "members 3, 5", the first ten of more."""
    numbers = list(members)
    return f"members {', '.join(map(str, numbers[:SHOWN]))}{', …' if len(numbers) > SHOWN else ''}"


def check_members(members: int) -> None:
    """Raise ValueError for what is no number of members."""
    if not isinstance(members, int) or isinstance(members, bool) or members < 1:
        raise ValueError(f"members is {members!r}; an ensemble needs at least one, a whole number")
    if members > MOST_MEMBERS:
        raise ValueError(f"members is {shown(members)}; an ensemble has {MOST_MEMBERS} at most")


def check_member_numbers(numbers: tuple[int, ...] | None, members: int) -> None:
    """Raise ValueError for what are not the numbers of so many members."""
    if numbers is None:
        return
    if not isinstance(numbers, tuple) or len(numbers) != members:
        found = f"{len(numbers)} numbers" if isinstance(numbers, tuple) else repr(numbers)
        raise ValueError(f"member_numbers are {found}; give one whole number for each of {members} members, or none")
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < NOBODY:
            raise ValueError(f"member_numbers hold {number!r}; a member's number is whole, from 0 to {NOBODY - 1}")


def check_data(
    architecture: Architecture,
    recipe: TrainingRecipe,
    data: Data,
    evaluation: Mapping[str, Float[Array, "sample *pixel channel"]],
) -> None:
    """Raise ValueError for inputs or targets that are not finite, or that do not fit each other, the architecture, the
    loss or the batches.
    """
    x, y = data
    expected = (len(x), architecture.signals(x.shape[1:])[-1].channels)
    if not len(x) or y.shape != expected:  # the loss would broadcast them
        raise ValueError(
            f"targets have shape {y.shape}; for {len(x)} inputs (at least one is needed) and this architecture's "
            f"logits it must be {expected}"
        )
    if not evaluation:
        raise ValueError("there is no evaluation set; training would leave nothing to look at")
    for name, inputs in evaluation.items():
        if inputs.shape[1:] != x.shape[1:]:
            raise ValueError(f"{name}: inputs have shape {inputs.shape[1:]}, those of training {x.shape[1:]}")
    for name, values in {"training inputs": x, "targets": y, **evaluation}.items():
        if not jnp.isfinite(values).all():
            raise ValueError(f"{name}: {int((~jnp.isfinite(values)).sum())} values are not finite")
    recipe.loss.check_targets(y)
    recipe.batches.steps_per_epoch(len(x))


def check_steps(record_steps: Sequence[int]) -> None:
    """Raise ValueError for recorded steps that training cannot visit in turn."""
    steps = list(record_steps)
    if not steps or steps[0] < 0 or steps != sorted(set(steps)):
        raise ValueError(f"record_steps are {steps}; they must be ascending, distinct and not negative, one at least")
