"""The kernels that a file for `widesym kernel` describes."""

from dataclasses import dataclass, field
from typing import Any

from widesym.analysis.dynamics.regression import NestedSubsets
from widesym.analysis.gram.spec import Precision
from widesym.ensembles.data import Splits
from widesym.launch.config.options import options_of
from widesym.launch.config.specs import architecture_of, check_splits, splits_of
from widesym.models.architecture import Architecture
from widesym.models.checks import check_positive


@dataclass(frozen=True)
class KernelConfig:
    """What a file for `widesym kernel` says.

    Each field has an option of its own, whose help is the text below it (config/options.py). `architecture` is a spec
    or the name of one of the zoo, `data` a source, its name or the path of a file or folder; `train`, `test` and
    `seed`, if given, replace the source's. `sizes` are those of the learning curve, each drawn `draws` times.
    """

    architecture: Any
    """Name of the zoo (widesym models), or '{type: Architecture, layers: [...]}'."""
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
        """The architecture whose kernel is computed; raises ConfigError for a name that is not in the zoo."""
        return architecture_of(self.architecture)

    def splits(self) -> Splits:
        """The data; raises DataError where they cannot be had."""
        return splits_of(self.data, self.train, self.test, self.seed)

    def subsets(self, available: int) -> NestedSubsets:
        """The training sets of the learning curve."""
        doubling = [2**power for power in range(3, 30) if 2**power < available]
        return NestedSubsets(self.sizes or (*doubling, available), self.draws, self.seed or 0)


KernelOptions = options_of(KernelConfig)
