"""How empirical kernels Θ_t change over training: drift, alignment with the targets, spectra (theory.md §5).

All functions are plain NumPy on Θ [time, member, n, n], from wherever the kernels come: run directories
(`launch.stored_members`), or `empirical_ntk` of any function apply(params, x) and its parameters.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float

Kernels = Float[np.ndarray, "time member n n"]


def drift(kernels: Kernels) -> Float[np.ndarray, "time member"]:
    """‖Θ_t − Θ_0‖_F/‖Θ_0‖_F of every member, Θ_0 the first of the times."""
    check_kernels(kernels)
    start = np.asarray(kernels[:1], np.float64)
    return _norm(kernels - start) / _norm(start)


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
    """Eigenvalues, the largest first."""
    return np.linalg.eigvalsh(np.asarray(kernels, np.float64))[..., ::-1]


def distance(
    kernels: Float[np.ndarray, "*leading n n"], reference: Float[np.ndarray, "n n"]
) -> Float[np.ndarray, "*leading"]:
    """‖Θ − reference‖_F/‖reference‖_F."""
    if np.shape(reference) != kernels.shape[-2:]:
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
    """Kernels and all that is said of them here, with dims (time, member, …) and coordinates step, time and member.

    Training times that differ between members are `training_time` (time, member). Alignments are left out where there
    are no targets, and distances from the analytic kernel where there is none. Raises ValueError for what does not fit.
    """
    check_kernels(kernels)
    mean = _mean(kernels)[:, 0]
    found = {
        "ntk": (("time", "member", "input", "other_input"), kernels, "empirical NTK, mean over logits"),
        "drift": (("time", "member"), drift(kernels), "‖Θ_t − Θ_0‖/‖Θ_0‖ of each member"),
        "mean_drift": (("time",), mean_drift(kernels), "‖Θ_t − Θ_0‖/‖Θ_0‖ of the mean kernel over members"),
        "spectrum": (("time", "member", "eigenvalue"), spectra(kernels), "eigenvalues of Θ_t, descending"),
        "mean_spectrum": (("time", "eigenvalue"), spectra(mean), "eigenvalues of the mean kernel, descending"),
    }
    if targets is not None:
        aligned = target_alignment(kernels, targets), target_alignment(mean, targets)
        found["alignment"] = (("time", "member"), aligned[0], "alignment of Θ_t with YYᵀ (Cristianini et al. 2001)")
        found["mean_alignment"] = (("time",), aligned[1], "alignment of the mean kernel with YYᵀ")
    if analytic is not None:
        away = distance(mean, analytic)
        found["distance_from_analytic"] = (("time",), away, "‖mean Θ_t − Θ_∞‖/‖Θ_∞‖, Θ_∞ at infinite width")
    return xr.Dataset(
        {name: (dims, values, {"long_name": about, "units": "1"}) for name, (dims, values, about) in found.items()},
        coords=_coordinates(kernels, steps, np.asarray(times, np.float64), members),
    )


def check_kernels(kernels: Kernels) -> None:
    """Raise ValueError for what are not kernels [time, member, n, n] with finite entries that are not all zero."""
    if kernels.ndim != 4 or kernels.shape[2] != kernels.shape[3] or not kernels.size:
        raise ValueError(f"kernels have shape {kernels.shape}; it must be [time, member, n, n], not empty")
    finite = np.isfinite(kernels).all((2, 3))
    if not finite.all():
        time, member = np.argwhere(~finite)[0]
        raise ValueError(f"the kernel of member {member} at time {time} (both from 0) is not finite")
    if not kernels[0].any((1, 2)).all():
        member = int(np.argmin(kernels[0].any((1, 2))))
        raise ValueError(
            f"the first kernel of member {member} is zero, as of narrow networks whose units are all off; nothing can "
            "be relative to it: take wider networks"
        )


def _coordinates(
    kernels: Kernels, steps: Sequence[int], times: Float[np.ndarray, "time *member"], members: Sequence[int] | None
) -> dict[str, tuple]:
    number, size = kernels.shape[:2]
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
