"""Losses: what a member descends on, and the targets that it wants for labels."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

Logits = Float[Array, "sample logit"] | Float[np.ndarray, "sample logit"]
Targets = Float[np.ndarray, "sample logit"]


@runtime_checkable
class Loss(Protocol):
    """A frozen dataclass: the mean loss of a batch, and its targets."""

    def __call__(self, logits: Logits, targets: Logits) -> Float[Array, ""]:
        """The batch's mean loss."""
        ...

    def targets(self, labels: Int[np.ndarray, " sample"], classes: int) -> Targets:
        """What the logits are compared with for samples of these classes."""
        ...

    def check_targets(self, targets: Float[Array, "sample logit"]) -> None:
        """Raise ValueError for targets that the loss makes no sense of."""
        ...


@dataclass(frozen=True)
class MeanSquaredError:
    """L = 1/(2N) Σ_i ‖f(x_i) − y_i‖² (theory.md §4), N counting augmented samples."""

    def __call__(self, logits: Logits, targets: Logits) -> Float[Array, ""]:
        """The batch's mean loss."""
        return 0.5 * jnp.sum((logits - targets) ** 2, axis=-1).mean()

    def targets(self, labels: Int[np.ndarray, " sample"], classes: int) -> Targets:
        """y = e_c − 1/C, centred one-hot (arXiv:2406.06504, sec. 6)."""
        return one_hot(labels, classes) - np.float32(1 / classes)

    def check_targets(self, targets: Float[Array, "sample logit"]) -> None:
        """Any finite numbers will do."""


@dataclass(frozen=True)
class CrossEntropy:
    """L = −1/N Σ_i Σ_c y_ic log softmax(f(x_i))_c. The theory of theory.md §4 does not cover it."""

    def __call__(self, logits: Logits, targets: Logits) -> Float[Array, ""]:
        """The batch's mean loss."""
        return optax.softmax_cross_entropy(logits, targets).mean()

    def targets(self, labels: Int[np.ndarray, " sample"], classes: int) -> Targets:
        """The one-hot targets y = e_c of class labels c, 0 or 1 in each logit's column."""
        return one_hot(labels, classes)

    def check_targets(self, targets: Float[Array, "sample logit"]) -> None:
        """Raise ValueError unless every sample's targets are probabilities of the classes."""
        y = np.asarray(targets)
        wrong = np.flatnonzero((y < 0).any(-1) | (np.abs(y.sum(-1) - 1) > 1e-4))  # float32 sums of smoothed labels
        if len(wrong):
            raise ValueError(
                f"cross-entropy wants probabilities of the classes, but the targets of {len(wrong)} of {len(y)} "
                f"samples are none (sample {wrong[0]}: {y[wrong[0]].tolist()}); CrossEntropy().targets(labels, "
                "classes) makes one-hot ones"
            )


def one_hot(labels: Int[np.ndarray, " sample"], classes: int) -> Targets:
    """e_c for each sample's class c."""
    return np.eye(classes, dtype=np.float32)[labels]
