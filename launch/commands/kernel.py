"""`widesym kernel`: the analytic kernels of a data set, and regression with them, as a file describes it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
import xarray as xr
from rich.console import Console

from widesym.analysis.dynamics.regression import NestedSubsets, accuracy_by_size, mean_absolute_error_by_size
from widesym.analysis.figures.drawing import save_figure
from widesym.analysis.figures.regression import gram_by_class, learning_curve
from widesym.analysis.gram import Gram, choose_tiling, info
from widesym.analysis.gram.tiling import DEFAULT_MEMORY
from widesym.analysis.kernels import Kernel
from widesym.ensembles.data import Splits
from widesym.launch.config.changes import overridden
from widesym.launch.config.options import FileOptions
from widesym.launch.config.own import modules_named
from widesym.launch.config.specs import made
from widesym.launch.console import print_plain
from widesym.launch.errors import ConfigError, RunDirectoryError
from widesym.launch.kernels.config import KernelConfig, KernelOptions, kernel_fields
from widesym.launch.kernels.consent import agree, work_of
from widesym.launch.kernels.gram import compute_gram, describe_info, unfinished
from widesym.launch.runs.files import write_json
from widesym.launch.training.based import read_based

CHEAPER = "Fewer inputs (--train, --test) take less, in proportion to the pairs; --info says more"
SHOWN = 1000  # rows of the Gram matrix that the heat map shows at most


@dataclass(frozen=True)
class KernelCommand:
    """Compute NNGP and NTK between training inputs, and between test and training inputs, and what infinitely wide
    networks predict that are trained to the end on more and more of the training set.
    """

    config: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CONFIG")]
    """YAML file with architecture and data, or one for widesym train (docs/kernels.md)."""
    info: bool = False
    """Only say how many lags, how much memory and disk and how long it will take."""
    yes: bool = False
    """Compute however long it takes, without being asked."""
    memory: float = DEFAULT_MEMORY / 2**30
    """Memory in GiB that tiles may take."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIRECTORY")] = None
    """Where kernels, scores and figures go; by default runs/ and the file's name. What is there already is not computed
    again."""
    overrides: Annotated[FileOptions, tyro.conf.arg(name="", constructor=KernelOptions)] = field(
        default_factory=KernelOptions
    )

    def __post_init__(self):
        if not 0 < self.memory < 2**20:
            raise ValueError(f"--memory is {self.memory:g}; it must be a number of GiB above 0")

    def run(self, console: Console) -> None:
        """Compute, or tell; raises ConfigError for what cannot be computed."""
        fields, left_out = kernel_fields(read_based(self.config))
        content = overridden(fields, self.overrides.changes())
        config = made(KernelConfig, content, str(self.config), modules=modules_named(content))
        if left_out:
            print_plain(console, f"{self.config} is for widesym train; left out here: {', '.join(left_out)}")
        try:
            self._run(config, console)
        except RunDirectoryError:
            raise
        except ValueError as error:  # of specs, data, memory or kernels that do not fit
            raise ConfigError(f"{self.config}: {error}") from error

    def _run(self, config: KernelConfig, console: Console) -> None:
        architecture, (train, test) = config.network(), config.splits()
        budget, output = int(self.memory * 2**30), self.output or Path("runs") / self.config.stem
        grams = {
            "train": Gram(architecture, train.inputs, precision=config.precision),
            "test": Gram(architecture, test.inputs, train.inputs, precision=config.precision),
        }
        subsets = config.subsets(len(train))
        _ = subsets.orders(len(train))  # sizes that there are not are said before anything is computed
        for gram in grams.values():
            _ = choose_tiling(gram, budget)  # nor is anything if memory is short
        if self.info:
            for name, gram in grams.items():
                print_plain(console, f"{name}: {describe_info(info(gram, budget))}")
            return
        agree(work_of(unfinished({output / name: gram for name, gram in grams.items()})), self.yes, console, CHEAPER)
        kernels = {name: compute_gram(gram, output / name, console, budget) for name, gram in grams.items()}
        if kernels["train"] is not None and kernels["test"] is not None:  # else another process writes the rest
            write_results(output, subsets, Splits(train, test), kernels["train"], kernels["test"], console)


def write_results(
    output: Path, subsets: NestedSubsets, splits: Splits, gram: Kernel, cross: Kernel, console: Console
) -> None:
    """The NTK by class as a heat map, learning curves of both kernels as figure and JSON; as far as the data allow."""
    train, _test = splits
    written: list[Path] = []
    if train.labels is not None:
        part = slice(SHOWN)
        heat = gram_by_class(
            np.asarray(gram.ntk)[part, part], train.labels[part], train.classes, "NTK, sorted by class"
        )
        written += save_figure(heat, output / "gram")
    if splits.test.is_labelled_as(train) or train.values is not None:
        pairs = {"NTK": (gram.ntk, cross.ntk), "NNGP": (gram.nngp, cross.nngp)}
        curves = {name: learning(subsets, splits, *map(np.asarray, pair)) for name, pair in pairs.items()}
        write_json(output / "regression.json", {name: curve.to_dict() for name, curve in curves.items()})
        title = "Infinitely wide networks, trained to the end"
        written += [output / "regression.json", *save_figure(learning_curve(curves, title), output / "learning-curve")]
        for name, curve in curves.items():
            print_plain(console, score_line(name, curve))
    made = ", ".join(map(str, written)) or "nothing but kernels"
    print_plain(console, f"written: {made}")


def learning(subsets: NestedSubsets, splits: Splits, square: np.ndarray, cross: np.ndarray) -> xr.Dataset:
    """Accuracy, or mean absolute error where samples have values, by training-set size."""
    train, test = splits
    if test.is_labelled_as(train):
        assert train.labels is not None
        assert test.labels is not None
        return accuracy_by_size(square, cross, (train.labels, test.labels), len(train.classes), subsets)
    assert train.values is not None
    assert test.values is not None
    return mean_absolute_error_by_size(square, cross, (train.values, test.values), train.quantities, subsets)


def score_line(name: str, curve: xr.Dataset) -> str:
    """The score of the largest training set, for people."""
    score, size = ("accuracy" if "accuracy" in curve else "mae"), int(curve["size"][-1])
    last = curve[score].isel(size=-1)
    if score == "accuracy":
        found = f"accuracy {float(last.mean()):.3f}"
    else:
        quantity, unit = (curve.attrs[key][0] for key in ("quantities", "units"))
        found = f"mean absolute error {float(last[..., 0].mean()):.4g} {unit} ({quantity})"
    ridge, condition = curve.attrs["ridge"], curve.attrs["condition_number"]
    return f"{name}, {size} training inputs: {found}; ridge {ridge:.3g}, condition number {condition:.3g}"
