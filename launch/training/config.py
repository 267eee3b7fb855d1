"""The ensemble that a file for `widesym train` describes."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from widesym.ensembles import TrainingRecipe, log_spaced_steps
from widesym.ensembles.checks import check_member_numbers, check_members, check_steps
from widesym.ensembles.data import SETS, DataError, Dataset, Source, like, ood_sets, standardised
from widesym.ensembles.data.catalogue import check_not_a_path
from widesym.ensembles.randomness import Randomness, check_randomness
from widesym.launch.config.changes import overridden
from widesym.launch.config.options import options_of
from widesym.launch.config.snapshots import Snapshots
from widesym.launch.config.specs import architecture_of, check_splits, named, source_of, splits_of
from widesym.launch.errors import ConfigError
from widesym.launch.runs.run import Run
from widesym.models.architecture import Architecture
from widesym.models.checks import check_seed
from widesym.models.description import describe
from widesym.models.groups import Group
from widesym.models.substitution import with_group
from widesym.models.width import with_logits

RECORDS = 10
MOST = {"steps": 10**8, "records": 10**5, "ood_samples": 10**6, "width": 2**16}


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What a file for `widesym train` says; what follows from it stands in the fields once it is made.

    Each field has an option of its own, whose help is the text below it (config/options.py). `architecture` is a spec
    or the name of one of the zoo; `width` and `group` are those of its layers, if given. A spec has its own number of
    logits; a network of the zoo gets that of the data's classes or values, which are not known before they are loaded,
    so that its name stays until then (`fitted`). `data` is a source, its name
    or the path of a file or folder; `train`, `test` and `data_seed`, if given, replace the source's. `ood` are names of
    out-of-distribution sets of the training set (`ood_sets`), or other data sets, brought to its shape; of each there
    are `ood_samples`, drawn by `data_seed`. Recorded are `record_steps`, or up to `records` log-spaced ones until
    `steps`. `randomness` is that of `Trainer`. Raises ValueError for what is none of this.
    """

    architecture: Any
    """Name of the zoo (widesym models), whose logits are as many as the data have classes or values, or '{type:
    Architecture, layers: [...]}'."""
    width: int | None = field(default=None, metadata={"otherwise": "the architecture's own"})
    """Features of the first hidden layer; those of the others keep their ratio to it."""
    group: Group | None = field(default=None, metadata={"otherwise": "the architecture's own", "metavar": "GROUP"})
    """Group of every layer that is on one: C4, D4, ..."""
    data: Any
    """Name (widesym data list), path, or source such as '{type: IsingEnergies, size: 8, train: 64, test: 64}'."""
    train: int | None = field(default=None, metadata={"otherwise": "what the source has"})
    """Training samples."""
    test: int | None = field(default=None, metadata={"otherwise": "what the source has"})
    """Test samples."""
    data_seed: int | None = field(default=None, metadata={"otherwise": "the source's"})
    """Seed by which samples are drawn."""
    ood: tuple[str | Source, ...] = field(default=(), metadata={"otherwise": "none"})
    """Sets to probe networks with (docs/data.md): names, paths or sources; --ood alone leaves all out."""
    ood_samples: int | None = field(default=None, metadata={"otherwise": "as many as test samples"})
    """Samples of each of these sets."""
    members: int
    """Networks."""
    member_numbers: tuple[int, ...] | None = field(default=None, metadata={"otherwise": "0 to members - 1"})
    """Who they are, of a larger ensemble."""
    seed: int = 0
    """Seed of the networks."""
    randomness: Randomness | None = field(default=None, metadata={"otherwise": "own"})
    """own: independent of all other runs; shared: runs of one seed start and draw alike (docs/training.md)."""
    steps: int | None = None
    """Steps of training, log-spaced ones recorded; instead of record_steps, if the file has these."""
    records: int | None = field(default=None, metadata={"otherwise": str(RECORDS)})
    """Most steps of these that are recorded."""
    record_steps: tuple[int, ...] | None = None
    """Steps that are recorded, ascending, the last one ending training; instead of steps and records."""
    orbit: Any = field(default=None, metadata={"otherwise": "null"})
    """Copies of the evaluation sets that are recorded, such as '{type: FullOrbit, group: C4}', or null."""
    snapshots: tuple[Snapshots, ...] = ()
    """What is recorded beside logits, such as '[{type: Parameters}, {type: EmpiricalNtk, samples: 16}]'."""
    recipe: TrainingRecipe = field(metadata={"spec": TrainingRecipe})
    """How members learn (docs/training.md, Recipes)."""

    def __post_init__(self):
        network = self.network
        if not isinstance(self.architecture, str):
            object.__setattr__(self, "architecture", network)
            object.__setattr__(self, "width", None)
            object.__setattr__(self, "group", None)
        with naming("data"):
            _ = source_of(self.data)
        check_splits(self.train, self.test, self.data_seed, "data_seed")
        check_members(self.members)
        check_member_numbers(self.member_numbers, self.members)
        if self.member_numbers == tuple(range(self.members)):
            object.__setattr__(self, "member_numbers", None)
        check_seed(self.seed)
        if self.randomness is not None:
            check_randomness(self.randomness)
        if not isinstance(self.recipe, TrainingRecipe):
            raise ValueError(f"recipe is {self.recipe!r}; it must be the fields of a TrainingRecipe")
        if self.ood_samples is not None:
            check_whole("ood_samples", self.ood_samples, 1)
        check_list("ood", self.ood, str | Source, "[white noise, letters]")
        check_list("snapshots", self.snapshots, Snapshots, "[{type: Parameters}]")
        object.__setattr__(self, "record_steps", self._recorded())
        object.__setattr__(self, "steps", None)
        object.__setattr__(self, "records", None)

    @property
    def network(self) -> Architecture:
        """The architecture at its width and on its group; of the zoo's, with the logits that it has there."""
        return network_of(self.architecture, self.width, self.group)

    def _recorded(self) -> tuple[int, ...]:
        if (self.steps is None) == (self.record_steps is None):
            raise ValueError("give either steps, with records, or record_steps")
        if self.steps is not None:
            check_whole("steps", self.steps, 1)
            check_whole("records", RECORDS if self.records is None else self.records, 2)
            return log_spaced_steps(self.steps, self.records or RECORDS)
        if self.records is not None:
            raise ValueError(f"records is {self.records!r}, but record_steps already say what is recorded; drop one")
        check_list("record_steps", self.record_steps, int, "[0, 10, 100]")
        assert self.record_steps is not None
        check_steps(self.record_steps)
        check_whole("steps", self.record_steps[-1], 0)
        return self.record_steps

    def sets(self) -> tuple[Dataset, ...]:
        """The data, the training set first, test second; raises ValueError (DataError) where these cannot be had."""
        with naming("data"):
            train, test = splits_of(self.data, self.train, self.test, self.data_seed)
        samples, seed = self.ood_samples or len(test), self.data_seed or 0
        return (train, test, *(ood_set(each, train, samples, seed) for each in self.ood))

    def fitted(self, train: Dataset) -> "TrainConfig":
        """The configuration with an architecture that has as many logits as this training set has classes or values, if
        it names one of the zoo, so that nothing of it depends on the data any more. Raises ValueError where there are
        neither.
        """
        if not isinstance(self.architecture, str):
            return self
        logits = train.targets(self.recipe.loss).shape[-1]
        return replace(self, architecture=with_logits(self.network, logits), width=None, group=None)

    def run(self, sets: tuple[Dataset, ...] | None = None) -> Run:
        """The run, its data loaded unless these are given; raises ValueError as `sets`."""
        train, *evaluation = sets or self.sets()
        assert self.record_steps is not None
        return Run(
            architecture=self.fitted(train).architecture,
            recipe=self.recipe,
            members=self.members,
            seed=self.seed,
            record_steps=self.record_steps,
            training_set=train,
            evaluation_sets=tuple(evaluation),
            orbit=self.orbit,
            snapshots=self.snapshots,
            member_numbers=self.member_numbers,
            randomness=self.randomness or "own",
        )


TrainOptions = options_of(TrainConfig)
REPLACED = {"steps": ("record_steps",), "record_steps": ("steps", "records")}  # either says what is recorded


def with_changes(content: dict, changes: Mapping[str, Any]) -> dict:
    """The content of a file for `widesym train` with other values at these dotted paths (`overridden`).

    Either of steps and record_steps says what is recorded: where one is given, the other one of the file goes.
    """
    gone = {name for path in changes for name in REPLACED.get(path, ())}
    return overridden({name: value for name, value in content.items() if name not in gone}, changes)


def described(config: TrainConfig) -> dict[str, Any]:
    """The configuration as a file would have it, without what is not given; the inverse of `made(TrainConfig, …)`."""
    values = {each.name: getattr(config, each.name) for each in fields(config)}
    return {name: describe(value) for name, value in values.items() if value is not None and value != ()}


def network_of(architecture: Any, width: int | None, group: Group | None) -> Architecture:
    """The network of a spec or of a name in the zoo, at this width and on this group, if they are given.

    Raises ValueError (ConfigError) where there is none.
    """
    if width is not None:
        check_whole("width", width, 1)
    network = architecture_of(architecture, width)
    if group is None:
        return network
    if not isinstance(group, Group):
        raise ValueError(f"group is {group!r}; it must be such as C4 or D4")
    return with_group(network, group)


def ood_set(of: str | Source, train: Dataset, samples: int, seed: int) -> Dataset:
    """A set to probe networks with that were trained on `train`, under the name that it is asked for by.

    One of `ood_sets` as it is made there; test samples of another data set at the shape of `train`, each image at mean
    0 and variance 1. Raises ValueError for names that are neither, with those that come close.
    """
    known = ood_sets(train)
    if isinstance(of, str) and of in known:
        with naming(f"ood {of!r}"):
            check_not_a_path(of, "an out-of-distribution set")
            return replace(known[of](train, samples, seed), name=of)
    try:
        source = source_of(of)
    except DataError:
        if not isinstance(of, str) or Path(of).exists():
            raise
        return named(of, known | dict.fromkeys(SETS), "ood")
    name = Path(of).stem if isinstance(of, str) else type(of).__name__
    other = splits_of(source, None, samples, seed).test
    with naming(f"ood {name!r}"):
        return replace(standardised(like(other, train)), name=name)


@contextlib.contextmanager
def naming(field: str) -> Iterator[None]:
    """Errors within begin with the field; those of the configuration do already."""
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        raise DataError(f"{field}: {error}") from None


def check_whole(name: str, value: Any, least: int) -> None:
    """Raise ValueError for what is no whole number of the field's range."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST[name]:
        raise ValueError(f"{name} is {value!r}; it must be a whole number from {least} to {MOST[name]}")


def check_list(name: str, values: Any, kind: Any, example: str) -> None:
    """Raise ValueError for what is no sequence of such things."""
    if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
        raise ValueError(f"{name} is {values!r}; it must be a list such as {example}")
