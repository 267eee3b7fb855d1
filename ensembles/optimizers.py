"""Optimisers, as specs whose numbers may differ per member; optax does the work.

The infinite-width dynamics of theory.md §4 are those of plain gradient descent, `Sgd()`: comparisons under any other
optimiser are with the measured ensembles alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import jax
import optax
from jaxtyping import Array, Bool, Float, PyTree

from widesym.ensembles.hyperparameters import PerMember, checked
from widesym.models.description import LATER

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
    """w ← w − η v with v ← μ v + ∇L + λ w: gradient descent with momentum μ and weight decay λ; with
    `decay_biases` false λ is that of weights alone (`spares_biases`).
    """

    momentum: PerMember = 0.0
    weight_decay: PerMember = 0.0
    nesterov: bool = False
    decay_biases: bool = field(default=True, metadata=LATER)

    def __post_init__(self):
        object.__setattr__(self, "momentum", checked("momentum", self.momentum, 0, 1))
        object.__setattr__(self, "weight_decay", checked("weight_decay", self.weight_decay, 0))
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov is a kind of momentum; give a momentum above 0")
        check_decay_biases(self.decay_biases, self.weight_decay)

    def transformation(
        self, learning_rate: Number, momentum: Number, weight_decay: Number
    ) -> optax.GradientTransformation:
        """Without momentum or decay for anyone, nothing is kept or computed for them."""
        decay = decayed(weight_decay, self.decay_biases) if self.weight_decay != 0 else optax.identity()
        velocity = momentum if self.momentum != 0 else None
        return optax.chain(decay, optax.sgd(learning_rate, velocity, self.nesterov))


@dataclass(frozen=True)
class Adam:
    """w ← w − η (m̂/(√v̂ + ε) + λ w) with running moments m and v of ∇L (Kingma & Ba 2015, arXiv:1412.6980).

    A weight decay λ above 0 is decoupled from the moments, which is AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101);
    with `decay_biases` false it is that of weights alone (`spares_biases`).
    """

    b1: PerMember = 0.9
    b2: PerMember = 0.999
    eps: PerMember = 1e-8
    weight_decay: PerMember = 0.0
    decay_biases: bool = field(default=True, metadata=LATER)

    def __post_init__(self):
        for name, high in (("b1", 1), ("b2", 1)):
            object.__setattr__(self, name, checked(name, getattr(self, name), 0, high))
        object.__setattr__(self, "eps", checked("eps", self.eps, 0, open_below=True))
        object.__setattr__(self, "weight_decay", checked("weight_decay", self.weight_decay, 0))
        check_decay_biases(self.decay_biases, self.weight_decay)

    def transformation(
        self, learning_rate: Number, b1: Number, b2: Number, eps: Number, weight_decay: Number
    ) -> optax.GradientTransformation:
        """optax's Adam; without decay for anyone, nothing is computed for it."""
        decay = decayed(weight_decay, self.decay_biases) if self.weight_decay != 0 else optax.identity()
        return optax.chain(optax.scale_by_adam(b1, b2, eps), decay, optax.scale_by_learning_rate(learning_rate))


def adamw(weight_decay: PerMember = 1e-4, *, decay_biases: bool = True, **numbers: PerMember) -> Adam:
    """Adam with decoupled weight decay, and optax's default for it."""
    return Adam(weight_decay=weight_decay, decay_biases=decay_biases, **numbers)


def decayed(weight_decay: Number, biases: bool) -> optax.GradientTransformation:
    """optax's weight decay, of all parameters or of weights alone."""
    return optax.add_decayed_weights(weight_decay, mask=None if biases else spares_biases)


def spares_biases(params: PyTree[Float[Array, "..."]]) -> PyTree[Bool[Any, ""]]:
    """Which of one member's parameters are weights: arrays of two axes or more that are not named "bias", as those of a
    network for each atom are. Of one axis are all other biases, and the scales of normalisations in own layers.
    """

    def is_weight(path: tuple[Any, ...], parameter: Float[Array, "..."]) -> bool:
        return parameter.ndim > 1 and jax.tree_util.keystr(path[-1:], simple=True) != "bias"

    return jax.tree.map_with_path(is_weight, params)


def check_decay_biases(decay_biases: bool, weight_decay: PerMember) -> None:
    """Raise ValueError for what does not say yes or no, and for biases that are spared where nothing decays."""
    if not isinstance(decay_biases, bool):
        raise ValueError(f"decay_biases is {decay_biases!r}; it must be true or false")
    if not decay_biases and weight_decay == 0:
        raise ValueError("decay_biases is false, but there is no weight_decay; give one above 0, or leave it out")
