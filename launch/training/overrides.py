"""Options of `widesym train` that replace what its file says: one for every field of the file."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal

from tyro.conf import DisallowNone, arg

from widesym.launch.config.changes import overridden
from widesym.launch.config.yaml import parsed
from widesym.launch.errors import ConfigError

AS_IT_IS = """text is taken as it is in quotes of its own: '"…"'"""
REPLACED = {"steps": ("record_steps",), "record_steps": ("steps", "records")}  # either says what is recorded


def of_file(metavar: str, otherwise: str = "") -> Any:
    """How help names the values of an option, and what holds without it; `otherwise` holds if the file is silent."""
    silent = f", else {otherwise}" if otherwise else ""
    return arg(metavar=metavar, help_behavior_hint=f"(default: as in the file{silent})")


@dataclass(frozen=True)
class RecipeOverrides:
    """How members learn (docs/training.md, Recipes)."""

    learning_rate: DisallowNone[Annotated[tuple[float, ...] | None, of_file("FLOAT [FLOAT ...]")]] = None
    """One number for all members, or one for each."""
    optimizer: DisallowNone[Annotated[str | None, of_file("YAML", "{type: Sgd}")]] = None
    """Such as '{type: Adam, b1: 0.9}'."""
    schedule: DisallowNone[Annotated[str | None, of_file("YAML", "{type: Constant}")]] = None
    """Factors of the learning rate, such as '{type: Cosine, steps: 1000}'."""
    loss: DisallowNone[Annotated[str | None, of_file("YAML", "{type: MeanSquaredError}")]] = None
    """Such as '{type: CrossEntropy}'."""
    batches: DisallowNone[Annotated[str | None, of_file("YAML", "{type: FullBatch}")]] = None
    """Such as '{type: ShuffledEpochs, size: 64}'."""
    augmentation: DisallowNone[Annotated[str | None, of_file("YAML", "{type: NoAugmentation}")]] = None
    """A policy (docs/augmentation.md), such as '{type: FullOrbit, group: C4}'."""


@dataclass(frozen=True)
class TrainOverrides:
    """What replaces fields of the file; None leaves them. Text is YAML as the file would have it."""

    architecture: DisallowNone[Annotated[str | None, of_file("YAML")]] = None
    """Name of the zoo (widesym models), or '{type: Architecture, layers: [...]}'."""
    width: DisallowNone[Annotated[int | None, of_file("INT", "the architecture's own")]] = None
    """Features of the first hidden layer; those of the others keep their ratio to it."""
    group: DisallowNone[Annotated[str | None, of_file("GROUP", "the architecture's own")]] = None
    """Group of every layer that is on one: C4, D4, ..."""
    data: DisallowNone[Annotated[str | None, of_file("YAML")]] = None
    """Name (widesym data list), path, or source such as '{type: IsingEnergies, size: 8, train: 64, test: 64}'."""
    train: DisallowNone[Annotated[int | None, of_file("INT", "what the source has")]] = None
    """Training samples."""
    test: DisallowNone[Annotated[int | None, of_file("INT", "what the source has")]] = None
    """Test samples."""
    data_seed: DisallowNone[Annotated[int | None, of_file("INT", "the source's")]] = None
    """Seed by which samples are drawn."""
    ood: DisallowNone[Annotated[tuple[str, ...] | None, of_file("YAML [YAML ...]", "none")]] = None
    """Sets to probe networks with (docs/data.md): names, paths or sources; --ood alone leaves all out."""
    ood_samples: DisallowNone[Annotated[int | None, of_file("INT", "as many as test samples")]] = None
    """Samples of each of these sets."""
    members: DisallowNone[Annotated[int | None, of_file("INT")]] = None
    """Networks."""
    member_numbers: DisallowNone[Annotated[tuple[int, ...] | None, of_file("INT [INT ...]", "0 to members - 1")]] = None
    """Who they are, of a larger ensemble."""
    seed: DisallowNone[Annotated[int | None, of_file("INT", "0")]] = None
    """Seed of the networks."""
    randomness: DisallowNone[Annotated[Literal["own", "shared"] | None, of_file("own|shared", "own")]] = None
    """own: independent of all other runs; shared: runs of one seed start and draw alike (docs/training.md)."""
    steps: DisallowNone[Annotated[int | None, of_file("INT")]] = None
    """Steps of training, log-spaced ones recorded; instead of record_steps, if the file has these."""
    records: DisallowNone[Annotated[int | None, of_file("INT", "10")]] = None
    """Most steps of these that are recorded."""
    record_steps: DisallowNone[Annotated[tuple[int, ...] | None, of_file("INT [INT ...]")]] = None
    """Steps that are recorded, ascending, the last one ending training; instead of steps and records."""
    orbit: DisallowNone[Annotated[str | None, of_file("YAML", "null")]] = None
    """Copies of the evaluation sets that are recorded, such as '{type: FullOrbit, group: C4}', or null."""
    snapshots: DisallowNone[Annotated[str | None, of_file("YAML", "[]")]] = None
    """What is recorded beside logits, such as '[{type: Parameters}, {type: EmpiricalNtk, samples: 16}]'."""
    recipe: RecipeOverrides = RecipeOverrides()

    def changes(self) -> dict[str, Any]:
        """The values that are given, by the dotted paths of their fields; raises ConfigError for what is no YAML."""
        return changes_of(self)


def changes_of(overrides: Any) -> dict[str, Any]:
    """The values that are given in a dataclass of options, and in those within it, by the dotted paths of their fields.

    Raises ConfigError for text that is no YAML.
    """
    return {path: _value(path, value) for path, value in _given(overrides)}


def with_changes(content: dict, changes: Mapping[str, Any]) -> dict:
    """The content of a file for `widesym train` with other values at these dotted paths (`overridden`).

    Either of steps and record_steps says what is recorded: where one is given, the other one of the file goes.
    """
    gone = {name for path in changes for name in REPLACED.get(path, ())}
    return overridden({name: value for name, value in content.items() if name not in gone}, changes)


def option(path: str) -> str:
    """The option that sets the field with this path."""
    return "--" + path.replace("_", "-")


def _given(overrides: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for field in fields(overrides):
        value = getattr(overrides, field.name)
        if is_dataclass(value):
            yield from _given(value, f"{field.name}.")
        elif value is not None:
            yield above + field.name, value


def _value(path: str, value: Any) -> Any:
    """The value as a file would have it."""
    if isinstance(value, tuple):
        one_for_all = path == "recipe.learning_rate" and len(value) == 1
        return value[0] if one_for_all else [_value(path, each) for each in value]
    if not isinstance(value, str):
        return value
    try:
        found = parsed(value)
    except ValueError as error:
        raise ConfigError(f"{option(path)} is {value!r}, which is not YAML: {error}; {AS_IT_IS}") from None
    if isinstance(found, str) and found != value.strip() and value.strip()[:1] not in ("'", '"', "|", ">", "!", "&"):
        raise ConfigError(f"{option(path)} is {value!r}, of which YAML takes {found!r} alone; {AS_IT_IS}")
    return found
