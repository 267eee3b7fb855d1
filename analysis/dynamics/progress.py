"""How far training has come in each eigendirection of Θ, as a function of time (theory.md §4).

Training linear in its parameters, f = f₀ + J ω with ω = θ − θ₀, on L = 1/(2N) Σ ‖f − y‖² + β/(2N) ‖ω‖² has
∂L/∂ω = (Jᵀ (f₀ + J ω − y) + β ω)/N. From ω = 0 on, ω = Jᵀ a with Θ = J Jᵀ, and so

    descent  a_{s+1} = a_s + η/N (y − f₀ − (Θ + β) a_s)    a_s = E_s (y − f₀),  E_s = (1 − (1 − ηλ/N)^s)/λ,
    flow     da/dt   = 1/N (y − f₀ − (Θ + β) a)            a_t = E_t (y − f₀),  E_t = (1 − exp(−tλ/N))/λ,

with Θ + β for λ: the ridge β adds to the eigenvalues of Θ, and nothing else changes. f(x) = f₀(x) + Θ(x,X) E (y − f₀),
which for t → ∞ is kernel ridge regression of y − f₀. The penalty is on the distance from initialisation, not on the
parameters' size as weight decay is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float

Eigenvalues = Float[np.ndarray, " entry"]


class Progress(Protocol):
    """A rule of training, and the times that are asked for."""

    @property
    def times(self) -> Sequence[float]:
        """The training times t that are asked for, in their order."""
        ...

    @property
    def ridge(self) -> float:
        """β, which adds to the eigenvalues of Θ."""
        ...

    def check(self, largest: float, samples: int) -> None:
        """Raise ValueError where training with this largest eigenvalue of Θ + β on N samples does not converge."""
        ...

    def factor(self, eigenvalues: Eigenvalues, samples: int, time: int, null: float) -> Eigenvalues:
        """E for eigenvalues ≥ 0 of Θ + β at the `time`-th of the times; at t = ∞ it is 0 for those up to `null`."""
        ...


@dataclass(frozen=True)
class Descent:
    """Gradient descent with learning rate η: the state after each number of `steps`, of which math.inf may be one.

    Raises ValueError for steps that are no whole numbers, and for a ridge that is negative or not finite.
    """

    learning_rate: float
    steps: Sequence[float]
    ridge: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "steps", _checked("a number of steps", self.steps))
        _check_ridge(self.ridge)
        for step in self.steps:
            if step != math.inf and step != int(step):
                raise ValueError(f"a number of steps is {step!r}; it must be whole, or math.inf")

    @property
    def times(self) -> tuple[float, ...]:
        """The training times t = ηs, one for each number of steps s."""
        return tuple(self.learning_rate * step for step in self.steps)

    def check(self, largest: float, samples: int) -> None:
        """Raise ValueError unless 0 < η < 2N/(λ_max + β)."""
        limit, bound = stable_below(largest, samples), "2N/(λ_max + ridge)" if self.ridge else "2N/λ_max"
        if not 0 < self.learning_rate < limit:
            raise ValueError(
                f"learning rate is {self.learning_rate}; descent converges between 0 and {bound} = {limit:.4g}"
            )

    def factor(self, eigenvalues: Eigenvalues, samples: int, time: int, null: float) -> Eigenvalues:
        """(1 − (1 − ηλ/N)^s)/λ, at λ = 0 the limit ηs/N."""
        step, rate = float(self.steps[time]), self.learning_rate / samples
        if step == math.inf:
            return _inverse(eigenvalues, null)
        x = rate * eigenvalues
        below = -np.expm1(step * np.log1p(-np.minimum(x, 0.5)))  # no digits lost where 1 − x is close to 1
        return _ratio(np.where(x < 0.5, below, 1 - (1 - x) ** step), eigenvalues, limit=rate * step)


@dataclass(frozen=True)
class Flow:
    """Gradient flow: the state at each of `times`, of which math.inf may be one.

    Raises ValueError for negative times, and for a ridge that is negative or not finite.
    """

    times: Sequence[float]
    ridge: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "times", _checked("a time", self.times))
        _check_ridge(self.ridge)

    def check(self, largest: float, samples: int) -> None:
        """Raise nothing: gradient flow converges whatever the eigenvalues of Θ are."""

    def factor(self, eigenvalues: Eigenvalues, samples: int, time: int, null: float) -> Eigenvalues:
        """(1 − exp(−tλ/N))/λ, at λ = 0 the limit t/N."""
        t = self.times[time]
        if t == math.inf:
            return _inverse(eigenvalues, null)
        return _ratio(-np.expm1(-t / samples * eigenvalues), eigenvalues, limit=t / samples)


def stable_below(largest: float, samples: int) -> float:
    """2N/λ_max: the learning rates with which descent converges; infinity where there is nothing to descend on."""
    return 2 * samples / largest if largest > 0 else math.inf


def _inverse(eigenvalues: Eigenvalues, null: float) -> Eigenvalues:
    """The pseudo-inverse: training never ends along directions without kernel, but f does not depend on them."""
    return _ratio(np.where(eigenvalues > null, 1.0, 0.0), eigenvalues, limit=0.0)


def _ratio(progress: Eigenvalues, eigenvalues: Eigenvalues, limit: float) -> Eigenvalues:
    """progress/λ, and its limit where λ is so small that the quotient is not to be trusted."""
    zero = eigenvalues < np.finfo(np.float64).tiny / np.finfo(np.float64).eps
    return np.where(zero, limit, progress / np.where(zero, 1, eigenvalues))


def _checked(name: str, values: Sequence[float]) -> tuple[float, ...]:
    for value in values:
        if not _is_number(value) or not value >= 0:
            raise ValueError(f"{name} is {value!r}; it must be a number, at least 0, or math.inf")
    return tuple(values)


def _check_ridge(ridge: float) -> None:
    if not _is_number(ridge) or not 0 <= ridge < math.inf:
        raise ValueError(f"ridge is {ridge!r}; it must be a finite number, at least 0")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
