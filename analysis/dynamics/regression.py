"""Kernel regression: the mean of infinitely wide networks trained to the end, t → ∞ (theory.md §4).

μ_∞(x) = c + Θ(x, X) (Θ(X, X) + ridge)⁻¹ (Y − c), with Θ or K as the kernel. All in float64 NumPy. Many training-set
sizes come from one Gram matrix: its rows are put in random order, subsets are the first rows, and the Cholesky factor
of a leading block is the leading block of the factor.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import xarray as xr
from jaxtyping import Float, Int

from widesym.analysis.dynamics.ridge import Ridge, Square, choose_ridge, ridge_for
from widesym.analysis.kernels.accuracy import entry_error, warn_if_unresolved
from widesym.ensembles.data.dataset import Quantity
from widesym.ensembles.losses import MeanSquaredError
from widesym.models.checks import check_seed

Cross = Float[np.ndarray, "sample train"]
Targets = Float[np.ndarray, "train target"]


@dataclass(frozen=True)
class NestedSubsets:
    """Training sets of each of `sizes`, smaller ones inside larger ones, `draws` times; the draws depend on `seed`."""

    sizes: tuple[int, ...]
    draws: int = 10
    seed: int = 0

    def __post_init__(self):
        check_seed(self.seed)
        object.__setattr__(self, "sizes", tuple(int(size) for size in self.sizes))
        if not self.sizes or self.sizes[0] < 1 or list(self.sizes) != sorted(set(self.sizes)):
            raise ValueError(
                f"sizes are {list(self.sizes)}; they must be ascending, distinct and positive, one at least"
            )
        if self.draws < 1:
            raise ValueError(f"draws is {self.draws}; at least one subset of each size is needed")

    def orders(self, available: int) -> Int[np.ndarray, "draw row"]:
        """For each draw the rows of the largest subset, in order: the first n of them are the subset of size n."""
        if self.sizes[-1] > available:
            raise ValueError(f"the largest of sizes is {self.sizes[-1]}, but there are {available} training inputs")
        generators = [np.random.default_rng([self.seed, draw]) for draw in range(self.draws)]
        return np.stack([rng.permutation(available)[: self.sizes[-1]] for rng in generators])


def kernel_regression(
    train: Square,
    cross: Cross,
    targets: Targets,
    largest_condition: float | None = None,
    ridge: float | None = None,
) -> xr.Dataset:
    """Predictions `[sample, target]` for the rows of `cross`, from all training inputs.

    Targets are centred on their mean, which is added to the predictions. Attributes: the ridge, that given or else as
    `choose_ridge` finds it, condition number and extreme eigenvalues. Raises ValueError for arrays that do not fit or
    are not finite, and for a ridge that leaves the kernel without an inverse.
    """
    targets = np.asarray(targets, np.float64)
    check_regression_kernels(train, cross, len(targets))
    if targets.ndim != 2 or not np.isfinite(targets).all():
        raise ValueError(
            f"targets have shape {targets.shape}, of which {(~np.isfinite(targets)).sum()} are not finite; finite "
            "numbers [train, target] are needed"
        )
    used, order = ridge_for(train, largest_condition, ridge), np.arange(len(train))
    (prediction,) = predictions_by_size(train, cross, targets, [len(train)], order, used, _mean)
    return xr.Dataset({"prediction": (("sample", "target"), prediction)}, attrs=_attributes(used))


def accuracy_by_size(
    train: Square,
    cross: Cross,
    labels: tuple[Int[np.ndarray, " train"], Int[np.ndarray, " sample"]],
    classes: int,
    subsets: NestedSubsets,
    largest_condition: float | None = None,
) -> xr.Dataset:
    """`accuracy` (draw, size): which fraction of the rows of `cross` has its largest output at its label.

    `labels` are those of training and test inputs. Targets are e_c − 1/C (arXiv:2406.06504, sec. 6). Attributes as of
    `kernel_regression`, the condition number being the largest of all subsets.
    """
    check_regression_kernels(train, cross, len(labels[0]))
    for name, of, count in zip(("training", "test"), labels, (len(train), len(cross)), strict=True):
        if np.shape(of) != (count,) or np.min(of) < 0 or np.max(of) >= classes:
            raise ValueError(
                f"{name} labels have shape {np.shape(of)} and run from {np.min(of)} to {np.max(of)}; {count} between 0 "
                f"and {classes - 1} are needed"
            )
    targets = MeanSquaredError().targets(np.asarray(labels[0]), classes).astype(np.float64)

    def accuracy(prediction: Float[np.ndarray, "sample target"]) -> np.ndarray:
        return (prediction.argmax(1) == labels[1]).mean()

    ridge = choose_ridge(train, largest_condition)
    found = _by_draw_and_size(train, cross, targets, subsets, ridge, np.zeros_like, accuracy)
    return _dataset("accuracy", found, ("draw", "size"), len(cross), subsets, ridge)


def mean_absolute_error_by_size(
    train: Square,
    cross: Cross,
    values: tuple[Float[np.ndarray, "train quantity"], Float[np.ndarray, "sample quantity"]],
    quantities: Sequence[Quantity],
    subsets: NestedSubsets,
    largest_condition: float | None = None,
) -> xr.Dataset:
    """`mae` (draw, size, quantity): mean |μ_∞ − y| over the rows of `cross`, in each quantity's unit.

    `values` are those of training and test inputs; each subset's are centred on their own mean. Attributes as of
    `accuracy_by_size`, and names and units of the `quantities`.
    """
    check_regression_kernels(train, cross, len(values[0]))
    for name, of, count in zip(("training", "test"), values, (len(train), len(cross)), strict=True):
        if np.shape(of) != (count, len(quantities)) or not np.isfinite(of).all():
            raise ValueError(
                f"{name} values have shape {np.shape(of)}; {(count, len(quantities))} finite numbers are needed"
            )

    def error(prediction: Float[np.ndarray, "sample quantity"]) -> np.ndarray:
        return np.abs(prediction - values[1]).mean(0)

    ridge = choose_ridge(train, largest_condition)
    found = _by_draw_and_size(train, cross, np.asarray(values[0], np.float64), subsets, ridge, _mean, error)
    dataset = _dataset("mae", found, ("draw", "size", "quantity"), len(cross), subsets, ridge)
    return dataset.assign_attrs(quantities=[of.name for of in quantities], units=[of.unit for of in quantities])


def predictions_by_size(
    train: Square,
    cross: Cross,
    targets: Targets,
    sizes: Sequence[int],
    order: Int[np.ndarray, " row"],
    ridge: Ridge,
    centre: Callable[[Targets], Float[np.ndarray, "*one target"]],
) -> Iterator[Float[np.ndarray, "sample target"]]:
    """Predictions from the first n rows of `order`, for each n of `sizes`, by one Cholesky factorisation.

    `centre` gives what is subtracted from a subset's targets and added to predictions.
    """
    matrix = np.asarray(train, np.float64)[np.ix_(order, order)]
    matrix[np.diag_indices_from(matrix)] += ridge.value
    try:
        factor = scipy.linalg.cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"the kernel with ridge {ridge.value:.3g} is not positive definite; allow a smaller largest_condition than "
            f"{ridge.condition_number:.3g}"
        ) from None
    cross, targets = np.asarray(cross, np.float64)[:, order], targets[order]
    for size in sizes:
        offset = centre(targets[:size])
        weights = scipy.linalg.cho_solve((factor[:size, :size], True), targets[:size] - offset, check_finite=False)
        errors = entry_error(train) * np.trace(train) / len(train) * np.linalg.norm(weights, axis=0)
        warn_if_unresolved(errors, targets[:size] - offset, f"kernel regression from {size} inputs")
        yield cross[:, :size] @ weights + offset[:1]


def check_regression_kernels(train: Square, cross: Cross, targets: int) -> None:
    """Raise ValueError for kernels that are not finite or do not fit each other and so many targets."""
    rows = np.shape(train)[0] if np.ndim(train) == 2 else None
    fitting = np.shape(train) == (rows, rows) and np.ndim(cross) == 2 and np.shape(cross)[1] == rows == targets
    if not fitting or 0 in np.shape(cross):
        raise ValueError(
            f"kernels have shapes {np.shape(train)} (training inputs with themselves) and {np.shape(cross)} (test with "
            f"training inputs), for {targets} training targets; they must be (n, n), (m, n), and n targets, "
            "with n and m above 0"
        )
    bad = int((~np.isfinite(train)).sum() + (~np.isfinite(cross)).sum())
    if bad:
        raise ValueError(f"{bad} entries of the kernels are not finite")


def _by_draw_and_size(
    train: Square,
    cross: Cross,
    targets: Targets,
    subsets: NestedSubsets,
    ridge: Ridge,
    centre: Callable,
    score: Callable,
) -> Float[np.ndarray, "draw size ..."]:
    return np.stack(
        [
            [score(of) for of in predictions_by_size(train, cross, targets, subsets.sizes, order, ridge, centre)]
            for order in subsets.orders(len(train))
        ]
    )


def _dataset(
    name: str, values: np.ndarray, dimensions: tuple[str, ...], samples: int, subsets: NestedSubsets, ridge: Ridge
) -> xr.Dataset:
    return xr.Dataset(
        {name: (dimensions, values)},
        coords={"size": list(subsets.sizes), "draw": np.arange(subsets.draws)},
        attrs={**_attributes(ridge), "test_samples": samples, "seed": subsets.seed},
    )


def _attributes(ridge: Ridge) -> dict[str, float]:
    return {
        "ridge": ridge.value,
        "condition_number": ridge.condition_number,
        "largest_eigenvalue": ridge.largest,
        "smallest_eigenvalue": ridge.smallest,
    }


def _mean(targets: Targets) -> Float[np.ndarray, "1 target"]:
    return targets.mean(0, keepdims=True)
