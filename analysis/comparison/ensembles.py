"""What is compared: ensembles at common training times, on common evaluation sets, and what theory says of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, Shaped

from widesym.analysis.dynamics import Prediction
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.orbit_statistics import OrbitSet

MemberValues = Float[np.ndarray, "time member"]
Numbers = Shaped[np.ndarray, " member"]


@dataclass(frozen=True)
class Times:
    """Common training times and their steps, ascending."""

    times: tuple[float, ...]
    steps: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, eq=False)
class Compared:
    """One ensemble: its logits, the index in them of each common time, and where on their sample axis the common sets'
    inputs are (`sets`), and those sets' orbits where they were recorded.

    `labels` are those of the sets that have any, into the classes that logits are of, and `values` those of sets that
    have what logits are of instead, in `unit`. `training` holds the counted members' loss, gradient norm and, of
    classes, accuracy at the common times. `prediction`, by set, is of the common times.
    Ensembles of one `series` differ in width alone.

    `shares` says where the members' randomness is from: in ensembles where that is the same, and not empty, members of
    one number depend on each other; members of different numbers are independent, and so are all others.
    `member_numbers` are those of the counted members, by default their places in the array. Raises ValueError for
    numbers that are not one for each member, or hold one twice.
    """

    name: str
    logits: EnsembleLogits
    indices: tuple[int, ...]
    sets: Mapping[str, slice]
    orbits: Mapping[str, OrbitSet] = field(default_factory=dict)
    labels: Mapping[str, Int[np.ndarray, " sample"]] = field(default_factory=dict)
    training: Mapping[str, MemberValues] = field(default_factory=dict)
    prediction: Mapping[str, Prediction] | None = None
    series: str = ""
    width: int = 0
    values: Mapping[str, Float[np.ndarray, "sample logit"]] = field(default_factory=dict)
    unit: str = "1"
    shares: str = ""
    member_numbers: Numbers | None = None

    def __post_init__(self) -> None:
        numbers, counts = np.unique(self.numbers, return_counts=True)
        if len(self.numbers) != self.members:
            raise ValueError(f"{self.name} has {self.members} members, but {len(self.numbers)} numbers of members")
        if (counts > 1).any():
            raise ValueError(twice(self.name, numbers[counts > 1][0]))

    @property
    def numbers(self) -> Numbers:
        """The numbers of the counted members, in their ensemble or, where those are not known, in `logits`."""
        return self.logits.numbers if self.member_numbers is None else self.member_numbers

    @property
    def members(self) -> int:
        """How many members the comparison counts."""
        return self.logits.members


def check_comparable(ensembles: Sequence[Compared], times: Times) -> None:
    """Raise ValueError for ensembles that do not fit each other, with the reason."""
    if not ensembles or not len(times):
        raise ValueError(f"there are {len(ensembles)} ensembles at {len(times)} times; one of each is needed at least")
    names = [each.name for each in ensembles]
    if len(set(names)) < len(names):
        raise ValueError(f"ensembles are named {', '.join(names)}; each needs a name of its own")
    first = _sizes(ensembles[0])
    for each in ensembles:
        if _sizes(each) != first:
            raise ValueError(f"{each.name} has {_sizes(each)}, but {names[0]} has {first}; they must be the same")
        if len(each.indices) != len(times):
            raise ValueError(f"{each.name} has {len(each.indices)} of the {len(times)} common times")


def twice(name: str, number: int) -> str:
    """Why an ensemble that holds a member twice is refused."""
    return (
        f"{name} holds member {number} more than once, and members of one number are not independent: there is no "
        "telling how their mean scatters. Train each number once, or in ensembles of their own"
    )


def of_name(ensembles: Sequence[Compared], name: str) -> Compared:
    """The ensemble of that name; raises ValueError where there is none."""
    for each in ensembles:
        if each.name == name:
            return each
    raise ValueError(f"there is no ensemble named {name!r}; there are {', '.join(each.name for each in ensembles)}")


def _sizes(ensemble: Compared) -> str:
    sets = ", ".join(f"{name}: {place.stop - place.start}" for name, place in ensemble.sets.items())
    return f"inputs {sets} and {ensemble.logits.array.shape[-1]} logits"
