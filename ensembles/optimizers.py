"""Optimisers, as specs whose numbers may differ per member; optax does the work.

The infinite-width dynamics of theory.md §4 are those of plain gradient descent, `Sgd()`: comparisons under any other
optimiser are with the measured ensembles alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import optax
from jaxtyping import Array, Float

from widesym.ensembles.hyperparameters import PerMember, checked

Number = Float[Array, ""] | float


@runtime_checkable
class Optimizer(Protocol):
    """A frozen dataclass; its floats, and tuples of them, are handed to `transformation` for one member at a time."""

    @property
    def transformation(self) -> Callable[..., optax.GradientTransformation]:
        """(learning_rate, **numbers) ↦ optax's transformation of one member; its state has one structure for all."""
        ...


@dataclass(frozen=True)
class Sgd:
    """w ← w − η v with v ← μ v + ∇L + λ w: gradient descent with momentum μ and weight decay λ."""

    momentum: PerMember = 0.0
    weight_decay: PerMember = 0.0
    nesterov: bool = False

    def __post_init__(self):
        object.__setattr__(self, "momentum", checked("momentum", self.momentum, 0, 1))
        object.__setattr__(self, "weight_decay", checked("weight_decay", self.weight_decay, 0))
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov is a kind of momentum; give a momentum above 0")

    def transformation(
        self, learning_rate: Number, momentum: Number, weight_decay: Number
    ) -> optax.GradientTransformation:
        """Without momentum or decay for anyone, nothing is kept or computed for them."""
        decay = optax.add_decayed_weights(weight_decay) if self.weight_decay != 0 else optax.identity()
        velocity = momentum if self.momentum != 0 else None
        return optax.chain(decay, optax.sgd(learning_rate, velocity, self.nesterov))


@dataclass(frozen=True)
class Adam:
    """w ← w − η (m̂/(√v̂ + ε) + λ w) with running moments m and v of ∇L (Kingma & Ba 2015, arXiv:1412.6980).

    A weight decay λ above 0 is decoupled from the moments, which is AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101).
    """

    b1: PerMember = 0.9
    b2: PerMember = 0.999
    eps: PerMember = 1e-8
    weight_decay: PerMember = 0.0

    def __post_init__(self):
        for name, high in (("b1", 1), ("b2", 1)):
            object.__setattr__(self, name, checked(name, getattr(self, name), 0, high))
        object.__setattr__(self, "eps", checked("eps", self.eps, 0, open_below=True))
        object.__setattr__(self, "weight_decay", checked("weight_decay", self.weight_decay, 0))

    def transformation(
        self, learning_rate: Number, b1: Number, b2: Number, eps: Number, weight_decay: Number
    ) -> optax.GradientTransformation:
        """optax's Adam; without decay for anyone, nothing is computed for it."""
        decay = optax.add_decayed_weights(weight_decay) if self.weight_decay != 0 else optax.identity()
        return optax.chain(optax.scale_by_adam(b1, b2, eps), decay, optax.scale_by_learning_rate(learning_rate))


def adamw(weight_decay: PerMember = 1e-4, **numbers: PerMember) -> Adam:
    """Adam with decoupled weight decay, and optax's default for it."""
    return Adam(weight_decay=weight_decay, **numbers)
