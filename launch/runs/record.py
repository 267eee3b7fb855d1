"""What config.json says of a run: one typed record, read from every version's directories, and written."""

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from widesym.ensembles import Strategy, Trainer, TrainingRecipe
from widesym.ensembles.augmentation import FixedCopies
from widesym.ensembles.randomness import Randomness, identity
from widesym.ensembles.recorder import Layout, coordinates
from widesym.launch.config.own import Modules
from widesym.launch.config.specs import built
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.directory import RUN_FIELDS, read_description
from widesym.launch.runs.paths import RunPaths
from widesym.models.architecture import Architecture
from widesym.models.checks import MOST_MEMBERS

COPY = "Take the file from a copy of the run"


@dataclass(frozen=True)
class DataRecord:
    """A data set of a run: its number of samples, the fingerprint of its arrays, and where it came from."""

    samples: int
    fingerprint: str
    provenance: str


@dataclass(frozen=True)
class RunRecord:
    """Everything that a run's numbers depend on, as it is written down (`Run` has it as objects).

    `architecture`, `recipe`, `orbit` and `snapshots` are as `describe` has them, for they may name classes that only
    their author has. `data` is by name, the training set's first. `snapshots` and `record_steps` are None where an
    earlier version did not write them.
    """

    architecture: Any
    recipe: Any
    members: int
    seed: int
    randomness: Randomness
    data: Mapping[str, DataRecord]
    orbit: Any = None
    snapshots: Any = None
    member_numbers: tuple[int, ...] | None = None
    record_steps: tuple[int, ...] | None = None

    @classmethod
    def from_json(cls, config: Mapping[str, Any], file: Path) -> "RunRecord":
        """Of the configuration in `file`; raises RunDirectoryError where it is not one of a run."""
        sets = _data_records(config["data"], file)
        members: Any = config["members"]
        randomness: Any = config.get("randomness")
        if not isinstance(members, int) or not 1 <= members <= MOST_MEMBERS:
            raise RunDirectoryError(f"{file}: members is {members!r}; it must be their number. {COPY}")
        if randomness not in typing.get_args(Randomness):
            raise RunDirectoryError(f"{file}: randomness is {randomness!r}; it must be 'own' or 'shared'. {COPY}")
        return cls(
            **{name: config[name] for name in ("architecture", "recipe", "members", "seed")},
            randomness=randomness,
            data=sets,
            orbit=config.get("orbit"),
            snapshots=config.get("snapshots"),
            member_numbers=_integers(config, "member_numbers", file),
            record_steps=_integers(config, "record_steps", file),
        )

    def to_json(self) -> dict[str, Any]:
        """The configuration, as JSON values."""
        names = ("architecture", "recipe", "members", "seed", "randomness", "orbit")
        unwritten = {} if self.snapshots is None else {"snapshots": self.snapshots}
        numbers = {"member_numbers": self.member_numbers, "record_steps": self.record_steps}
        return {
            **{name: getattr(self, name) for name in names},
            **unwritten,
            **{name: list(each) for name, each in numbers.items() if each is not None},
            "data": {name: vars(each) for name, each in self.data.items()},
        }

    @property
    def training_set(self) -> str:
        """The name of the training set, which is the first of `data`."""
        return next(iter(self.data))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Which members of an ensemble these are: 0, 1, … unless it is said."""
        return tuple(range(self.members)) if self.member_numbers is None else self.member_numbers

    @property
    def roots(self) -> tuple[Randomness, int, Any, Any, str]:
        """All that the members' random numbers follow from (`ensembles/randomness.py`)."""
        return self.randomness, self.seed, self.architecture, self.recipe, self.data[self.training_set].fingerprint

    @property
    def randomness_identity(self) -> str:
        """The same text for runs whose members of one number draw the same random numbers (`identity`)."""
        return identity(*self.roots)

    def trainer(self, architecture: Architecture, recipe: TrainingRecipe, strategy: Strategy) -> Trainer:
        """The ensemble, of what the record describes."""
        fingerprint = self.data[self.training_set].fingerprint
        numbers = self.member_numbers
        return Trainer(architecture, recipe, self.members, self.seed, strategy, numbers, self.randomness, fingerprint)

    def layout(self, recipe: TrainingRecipe, orbit: FixedCopies | None) -> Layout:
        """What the store holds, of one logit and without snapshots; raises ValueError where steps are not said."""
        if self.record_steps is None:
            raise ValueError("record_steps are not said")
        copies = orbit.size if orbit else 1
        return Layout(
            steps=self.record_steps,
            times=recipe.training_time(self.record_steps),
            members=self.members,
            sets={name: data.samples for name, data in self.data.items()},
            logits=1,
            orbits={name: copies for name in self.data if name != self.training_set},
            by_member=recipe.hyperparameters(self.members),
            member_numbers=self.member_numbers,
        )

    def coordinates(self, recipe: TrainingRecipe, orbit: FixedCopies | None) -> dict[str, Shaped[np.ndarray, "..."]]:
        """What stands along the axes of the store before anything is recorded; none where steps are not said."""
        if self.record_steps is None:
            return {}
        return {name: values for name, (_, values) in coordinates(self.layout(recipe, orbit)).items()}


def read_record(path: Path) -> RunRecord:
    """Of the run in a directory; raises RunDirectoryError for what is none, or of a newer version."""
    if not path.is_dir():
        raise RunDirectoryError(f"there is no directory {path}; name a run directory")
    try:
        config = read_description(path)["config"]
    except FileNotFoundError:
        config = {}
    if not set(config) >= RUN_FIELDS:
        within = sorted(str(store.parent) for store in path.glob("*/logits.zarr"))
        hint = f"; there are {', '.join(within)}" if within else ""
        raise RunDirectoryError(f"{path} is not the directory of one ensemble{hint}")
    return RunRecord.from_json(config, RunPaths(path).config)


def spec_of(
    record: RunRecord,
    name: typing.Literal["architecture", "recipe", "orbit", "snapshots"],
    path: Path,
    modules: Modules = (),
) -> Any:
    """What the record in the directory `path` describes; raises ConfigError for classes that are neither this package's
    nor of `modules`.
    """
    return built(getattr(record, name), f"{path / 'config.json'}: {name}", modules)


def _integers(config: Mapping[str, Any], name: str, file: Path) -> tuple[int, ...] | None:
    """A field that lists numbers, None without it; raises RunDirectoryError where it holds anything else."""
    found = config.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or not found or not all(type(each) is int for each in found):
        raise RunDirectoryError(f"{file}: {name} is {str(found)[:100]}; it must be a list of integers. {COPY}")
    return tuple(found)


def _data_records(recorded: Any, file: Path) -> dict[str, DataRecord]:
    """The sets by name; raises RunDirectoryError where they are not described."""
    sets, needed = recorded if isinstance(recorded, dict) else {}, DataRecord.__dataclass_fields__.keys()
    if not sets or not all(isinstance(each, dict) and needed <= set(each) for each in sets.values()):
        raise RunDirectoryError(
            f"{file} names no training set: its data are {str(recorded)[:100]}, but they must begin with a set's "
            f"fingerprint, samples and provenance. {COPY}, or train again elsewhere"
        )
    return {name: DataRecord(**{field: each[field] for field in needed}) for name, each in sets.items()}
