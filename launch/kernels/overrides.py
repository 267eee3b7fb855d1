"""Options of `widesym kernel` that replace what its file says: one for every field of the file."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from tyro.conf import DisallowNone

from widesym.launch.training.overrides import changes_of, of_file


@dataclass(frozen=True)
class KernelOverrides:
    """What replaces fields of the file; None leaves them. Text is YAML as the file would have it."""

    architecture: DisallowNone[Annotated[str | None, of_file("YAML")]] = None
    """Name of the zoo (widesym models), or '{type: Architecture, layers: [...]}'."""
    data: DisallowNone[Annotated[str | None, of_file("YAML")]] = None
    """Name (widesym data list), path, or source such as '{type: IsingEnergies, size: 8, train: 64, test: 64}'."""
    train: DisallowNone[Annotated[int | None, of_file("INT", "what the source has")]] = None
    """Training samples."""
    test: DisallowNone[Annotated[int | None, of_file("INT", "what the source has")]] = None
    """Test samples."""
    seed: DisallowNone[Annotated[int | None, of_file("INT", "the source's")]] = None
    """Seed by which samples and subsets are drawn."""
    precision: DisallowNone[Annotated[Literal["float32", "float64"] | None, of_file("float32|float64", "float32")]] = (
        None
    )
    """Of the kernels."""
    sizes: DisallowNone[Annotated[tuple[int, ...] | None, of_file("INT [INT ...]", "doubling up to all")]] = None
    """Training-set sizes of the learning curve."""
    draws: DisallowNone[Annotated[int | None, of_file("INT", "10")]] = None
    """How often subsets of each size are drawn."""

    def changes(self) -> dict[str, Any]:
        """The values that are given, by their fields; raises ConfigError for what is no YAML."""
        return changes_of(self)
