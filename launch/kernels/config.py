"""The kernels that a file for `widesym kernel` describes."""

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from widesym.analysis.dynamics.regression import NestedSubsets
from widesym.analysis.gram.spec import Precision
from widesym.ensembles.data import Splits
from widesym.launch.config.options import options_of
from widesym.launch.config.specs import check_splits, splits_of
from widesym.launch.training.config import TrainConfig, network_of
from widesym.models.architecture import Architecture
from widesym.models.checks import check_positive
from widesym.models.groups import Group


@dataclass(frozen=True, kw_only=True)
class KernelConfig:
    """What a file for `widesym kernel` says.

    Each field has an option of its own, whose help is the text below it (config/options.py). `architecture` is a spec
    or the name of one of the zoo; `group`, if given, is that of its layers, and `width` theirs, which kernels do not
    depend on, no more than on the number of logits. `data` is a source, its name or the path of a file or folder;
    `train`, `test` and `seed`, if given, replace the source's. `sizes` are those of the learning curve, each drawn
    `draws` times.
    """

    architecture: Any
    """Name of the zoo (widesym models), or '{type: Architecture, layers: [...]}'."""
    width: int | None = field(default=None, metadata={"otherwise": "the architecture's own"})
    """Features of the first hidden layer, as in files for training; kernels do not depend on it."""
    group: Group | None = field(default=None, metadata={"otherwise": "the architecture's own", "metavar": "GROUP"})
    """Group of every layer that is on one: C4, D4, ..."""
    data: Any
    """Name (widesym data list), path, or source such as '{type: IsingEnergies, size: 8, train: 64, test: 64}'."""
    train: int | None = field(default=None, metadata={"otherwise": "what the source has"})
    """Training samples."""
    test: int | None = field(default=None, metadata={"otherwise": "what the source has"})
    """Test samples."""
    seed: int | None = field(default=None, metadata={"otherwise": "the source's"})
    """Seed by which samples and subsets are drawn."""
    precision: Precision = "float32"
    """Of the kernels."""
    sizes: tuple[int, ...] = field(default=(), metadata={"otherwise": "doubling up to all"})
    """Training-set sizes of the learning curve."""
    draws: int = 10
    """How often subsets of each size are drawn."""

    def __post_init__(self):
        check_splits(self.train, self.test, self.seed)
        check_positive("kernel", "draws", self.draws)
        if not isinstance(self.sizes, tuple) or not all(isinstance(size, int) for size in self.sizes):
            raise ValueError(f"sizes are {self.sizes!r}; they must be a list of whole numbers, like [10, 100]")

    def network(self) -> Architecture:
        """The architecture whose kernel is computed; raises ValueError as `network_of` does."""
        return network_of(self.architecture, self.width, self.group)

    def splits(self) -> Splits:
        """The data; raises DataError where they cannot be had."""
        return splits_of(self.data, self.train, self.test, self.seed)

    def subsets(self, available: int) -> NestedSubsets:
        """The training sets of the learning curve."""
        doubling = [2**power for power in range(3, 30) if 2**power < available]
        return NestedSubsets(self.sizes or (*doubling, available), self.draws, self.seed or 0)


KernelOptions = options_of(KernelConfig)
OF_TRAINING = {"members", "recipe"}  # what every file for `widesym train` has


class Fields(NamedTuple):
    """Those of a file for `widesym kernel`, and the names of those of a file for `widesym train` that were left out."""

    values: dict[Any, Any]
    left_out: tuple[str, ...] = ()


def kernel_fields(content: dict[Any, Any]) -> Fields:
    """The content of a file, without what concerns training alone where it is one for `widesym train`: there `seed` is
    the networks', and `data_seed` the data's, which is that of kernels.
    """
    if not content.keys() >= OF_TRAINING:
        return Fields(content)
    of_kernels = {each.name for each in fields(KernelConfig)} - {"seed"}
    left_out = tuple(each.name for each in fields(TrainConfig) if each.name not in of_kernels | {"data_seed"})
    kept = {name: value for name, value in content.items() if name not in left_out}
    if "data_seed" in kept:
        kept["seed"] = kept.pop("data_seed")
    return Fields(kept, tuple(name for name in content if name in left_out))
