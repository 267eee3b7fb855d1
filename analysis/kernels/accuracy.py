"""How far computed kernels are from exact ones, and what that leaves of eigenvalues and of what is solved with them.

An entry's error is given as a fraction e of √(Θ(x,x) Θ(x',x')). Errors of entries are taken for independent: a matrix
of N inputs then has a spectral error of about e tr Θ/√N (its Frobenius norm, at most e tr Θ, if they all conspire).
"""

import math
import warnings

import numpy as np
from jax.typing import ArrayLike

from widesym.analysis.kernels.lag_plan import LagPlan, MixedLagsError, with_signals
from widesym.models.architecture import Architecture
from widesym.models.layer import Nonlinearity
from widesym.models.layers.activations import PiecewiseLinear
from widesym.models.layers.invariants import InputMap
from widesym.models.layers.normalization import LayerNorm
from widesym.models.layers.parts import PartSum

ROUNDINGS = 16  # of entries where angles are kept: an upper bound, measured up to ten layers (docs/kernels.md)
RESOLVED = 0.01  # of the targets' root mean square: larger errors are warned of


class UnresolvedWarning(UserWarning):
    """What was asked for depends on digits that the kernel does not have."""


def precision(*kernels: ArrayLike) -> float:
    """ε of the least precise one; of whole numbers float64's."""
    types = [np.asarray(kernel).dtype for kernel in kernels]
    return max(float(np.finfo(of if np.issubdtype(of, np.inexact) else np.float64).eps) for of in types)


def entry_error(*kernels: ArrayLike) -> float:
    """e of kernels whose angles are kept, 16 ε."""
    return ROUNDINGS * precision(*kernels)


def kernel_error(architecture: Architecture, input_shape: tuple[int, ...], dtype: np.dtype) -> float:
    """e of an architecture's kernels: 16 ε, or √ε where a kinked activation reads K that was summed up.

    Sums of K over pairs of points, or K after a smooth activation, are right to ε, and so angles near zero to √ε alone.
    """
    eps = float(np.finfo(dtype).eps)
    return ROUNDINGS * eps if _keeps_angles(architecture, input_shape) else float(np.sqrt(eps))


def _keeps_angles(architecture: Architecture, input_shape: tuple[int, ...]) -> bool:
    layers = architecture.layers
    if isinstance(layers[0], InputMap | PartSum):
        return False
    all_layers = [layer for layer, _ in with_signals(layers, architecture.signals(input_shape)[0])]
    kinked = [isinstance(layer, PiecewiseLinear) for layer in all_layers]
    if not any(kinked):
        return True
    try:
        plan = LagPlan(architecture, input_shape)
    except MixedLagsError:
        return False
    smooth = [isinstance(of, Nonlinearity) and not isinstance(of, PiecewiseLinear | LayerNorm) for of in all_layers]
    mixed = any(smooth) and max(np.flatnonzero(kinked)) > min(np.flatnonzero(smooth))
    return not mixed and (plan.reads_zero_lag or not plan.needs_own)


def spectral_error(trace: float, samples: int, error: float) -> float:
    """Of eigenvalues of Θ with this trace, whose entries are right to the fraction `error`."""
    return error * trace / math.sqrt(samples)


def warn_if_unresolved(errors: ArrayLike, targets: ArrayLike, what: str) -> None:
    """Warn where predictions' estimated errors exceed a hundredth of the targets' root mean square."""
    size = float(np.sqrt(np.mean(np.square(np.asarray(targets, np.float64)))))
    worst = float(np.max(errors, initial=0.0))
    if worst > RESOLVED * size:
        warnings.warn(
            f"{what} is not resolved by the kernel's precision: its error is about {worst:.2g}, where targets have a "
            f"root mean square of {size:.2g}; compute the kernels in float64, stop earlier, or add a ridge",
            UnresolvedWarning,
            stacklevel=3,
        )
