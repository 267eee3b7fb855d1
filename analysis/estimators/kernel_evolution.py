"""How empirical kernels Θ_t change over training: drift, alignment with the targets, spectra (theory.md §5).

All functions are plain NumPy on Θ [time, member, n, n], from wherever the kernels come: run directories
(`widesym.launch.runs.stored`), or `empirical_ntk` of any function apply(params, x) and its parameters.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

Kernels = Float[np.ndarray, "time member n n"]

NTK_DIMENSIONS = ("time", "member", "input", "other_input")
NTK_ABOUT = {"long_name": "empirical NTK, mean over logits", "units": "1"}
ABOUT = {
    "drift": (("time", "member"), "‖Θ_t − Θ_0‖/‖Θ_0‖ of each member"),
    "mean_drift": (("time",), "‖Θ_t − Θ_0‖/‖Θ_0‖ of the mean kernel over members"),
    "spectrum": (("time", "member", "eigenvalue"), "eigenvalues of Θ_t, descending"),
    "mean_spectrum": (("time", "eigenvalue"), "eigenvalues of the mean kernel, descending"),
    "alignment": (("time", "member"), "alignment of Θ_t with YYᵀ (Cristianini et al. 2001)"),
    "mean_alignment": (("time",), "alignment of the mean kernel with YYᵀ"),
    "distance_from_analytic": (("time",), "‖mean Θ_t − Θ_∞‖/‖Θ_∞‖, Θ_∞ at infinite width"),
}


def drift(kernels: Kernels) -> Float[np.ndarray, "time member"]:
    """‖Θ_t − Θ_0‖_F/‖Θ_0‖_F of every member, Θ_0 the first of the times."""
    check_kernel_series(kernels)
    return distance(kernels, kernels[0])


def mean_drift(kernels: Kernels) -> Float[np.ndarray, " time"]:
    """Drift of the ensemble's mean kernel: where members change in different directions, less than theirs."""
    return drift(_mean(kernels))[:, 0]


def target_alignment(
    kernels: Float[np.ndarray, "*leading n n"], targets: Float[np.ndarray, "n logit"]
) -> Float[np.ndarray, "*leading"]:
    """⟨Θ, YYᵀ⟩_F/(‖Θ‖_F ‖YYᵀ‖_F), 1 where Θ ∝ YYᵀ; NaN where Θ = 0, as of a network whose units have all died.

    The alignment of Cristianini et al. 2001 (On kernel-target alignment), whose kernel is not centred, other than in
    Cortes et al. 2012. Y are the targets of the squared error: for classes one-hot vectors less 1/classes, so that YYᵀ
    is positive within a class and negative between two.
    """
    targets = np.asarray(targets, np.float64)
    if targets.ndim != 2 or len(targets) != kernels.shape[-1]:
        raise ValueError(f"targets have shape {targets.shape}; kernels of {kernels.shape[-1]} inputs need as many rows")
    gram = targets @ targets.T
    if not gram.any():
        raise ValueError("targets are all zero; no kernel is aligned with them")
    norms = _norm(kernels) * _norm(gram)
    return (kernels * gram).sum((-2, -1)) / np.where(norms > 0, norms, np.nan)


def spectra(kernels: Float[np.ndarray, "*leading n n"]) -> Float[np.ndarray, "*leading n"]:
    """The eigenvalues of symmetric kernels, in float64, each kernel's largest first."""
    return np.linalg.eigvalsh(np.asarray(kernels, np.float64))[..., ::-1]


def distance(
    kernels: Float[np.ndarray, "*leading n n"], reference: Float[np.ndarray, "*same n n"]
) -> Float[np.ndarray, "*leading"]:
    """‖Θ − reference‖_F/‖reference‖_F, of one reference or of each member's own."""
    if np.shape(reference)[-2:] != kernels.shape[-2:]:
        raise ValueError(f"the reference has shape {np.shape(reference)}, but the kernels {kernels.shape[-2:]}")
    return _norm(kernels - np.asarray(reference, np.float64)) / _norm(reference)


def kernel_evolution(
    kernels: Kernels,
    steps: Sequence[int],
    times: Float[np.ndarray, " time"] | Float[np.ndarray, "time member"],
    targets: Float[np.ndarray, "n logit"] | None = None,
    analytic: Float[np.ndarray, "n n"] | None = None,
    members: Sequence[int] | None = None,
) -> xr.Dataset:
    """Kernels, as `ntk`, and their `kernel_statistics`."""
    check_kernel_series(kernels)
    found = kernel_statistics(kernels, steps, times, targets, analytic, members)
    return found.assign(ntk=(NTK_DIMENSIONS, kernels, NTK_ABOUT))


def kernel_statistics(
    kernels: Iterable[Float[np.ndarray, "member n n"]],
    steps: Sequence[int],
    times: Float[np.ndarray, " time"] | Float[np.ndarray, "time member"],
    targets: Float[np.ndarray, "n logit"] | None = None,
    analytic: Float[np.ndarray, "n n"] | None = None,
    members: Sequence[int] | None = None,
) -> xr.Dataset:
    """All that is said of kernels here, with dims (time, member, …) and coordinates step, time and member.

    Kernels are taken one time after the other, and only those of the first time are kept. Training times that differ
    between members are `training_time` (time, member). Alignments are left out where there are no targets, and
    distances from the analytic kernel where there is none. Raises ValueError for what does not fit.
    """
    rows, start = [], None
    for index, now in enumerate(kernels):
        check_kernel_series(now[None], index, members)
        start = now if start is None else start
        rows.append(_at_one_time(now, start, targets, analytic))
    if start is None:
        raise ValueError("there are no kernels, of no time at all")
    values = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    return xr.Dataset(
        {name: (ABOUT[name][0], array, {"long_name": ABOUT[name][1], "units": "1"}) for name, array in values.items()},
        coords=_coordinates((len(rows), len(start)), steps, np.asarray(times, np.float64), members),
    )


def _at_one_time(
    now: Float[np.ndarray, "member n n"],
    start: Float[np.ndarray, "member n n"],
    targets: Float[np.ndarray, "n logit"] | None,
    analytic: Float[np.ndarray, "n n"] | None,
) -> dict[str, Float[np.ndarray, "..."]]:
    mean, first_mean = (kernels.mean(0, dtype=np.float64) for kernels in (now, start))
    found = {"drift": distance(now, start), "mean_drift": distance(mean, first_mean)}
    found |= {"spectrum": spectra(now), "mean_spectrum": spectra(mean)}
    if targets is not None:
        found |= {"alignment": target_alignment(now, targets), "mean_alignment": target_alignment(mean, targets)}
    if analytic is not None:
        found["distance_from_analytic"] = distance(mean, analytic)
    return found


def check_kernel_series(kernels: Kernels, first: int = 0, members: Sequence[int] | None = None) -> None:
    """Raise ValueError for what are not kernels [time, member, n, n] with finite entries that at time 0 are not all
    zero; `first` is the number of the first time, and `members` are those of the members, if not from 0 on.
    """
    if kernels.ndim != 4 or kernels.shape[2] != kernels.shape[3] or not kernels.size:
        raise ValueError(f"kernels have shape {kernels.shape}; it must be [time, member, n, n], not empty")
    numbers = range(kernels.shape[1]) if members is None else members
    finite = np.isfinite(kernels).all((2, 3))
    if not finite.all():
        time, member = np.argwhere(~finite)[0]
        raise ValueError(f"the kernel of member {numbers[member]} at time {first + time} (both from 0) is not finite")
    if first == 0 and not kernels[0].any((1, 2)).all():
        member = int(np.argmin(kernels[0].any((1, 2))))
        raise ValueError(
            f"the first kernel of member {numbers[member]} is zero, as of narrow networks whose units are all off; "
            "nothing can be relative to it: take wider networks"
        )


def _coordinates(
    sizes: tuple[int, int],
    steps: Sequence[int],
    times: Float[np.ndarray, "time *member"],
    members: Sequence[int] | None,
) -> dict[str, tuple]:
    number, size = sizes
    if len(steps) != number or times.shape not in ((number,), (number, size)):
        raise ValueError(
            f"{len(steps)} steps and times of shape {times.shape} do not fit {number} times, {size} members"
        )
    numbers = np.arange(size) if members is None else np.asarray(members)
    if numbers.shape != (size,):
        raise ValueError(f"{len(numbers)} members are named, but there are kernels of {size}")
    about = {"long_name": "training time, sum of learning rates", "units": "1"}
    return {
        "step": (("time",), np.asarray(steps), {"long_name": "training step"}),
        ("time" if times.ndim == 1 else "training_time"): (("time", "member")[: times.ndim], times, about),
        "member": (("member",), numbers, {"long_name": "member of the ensemble"}),
    }


def _mean(kernels: Kernels) -> Float[np.ndarray, "time 1 n n"]:
    return kernels.mean(1, keepdims=True, dtype=np.float64)


def _norm(matrices: Float[np.ndarray, "*leading n n"]) -> Float[np.ndarray, "*leading"]:
    return np.linalg.norm(np.asarray(matrices, np.float64), axis=(-2, -1))
