"""The infinite-width recursion (theory.md §2) along a sequence of layers, whatever form covariances are held in."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.models.covariance import Covariance
from widesym.models.layer import Affine, Layer, Nonlinearity
from widesym.models.layers.residual import Residual
from widesym.models.layers.separation import Separation
from widesym.models.signal import Signal

State = TypeVar("State", Covariance, Separation)  # (K, Θ), or what takes the place of K
Ends = Callable[[Nonlinearity, Any], tuple[Callable, Any, Any]]
Diagonal = Callable[[Float[Array, "..."]], Float[Array, "..."]]


class Rules(Protocol[State]):
    """How one form of covariance goes through the layers that are linear in their input."""

    def affine(self, layer: Affine, signal: Signal, state: State) -> State:
        """K ← σ_w² A(K) + σ_b², Θ ← K_new + σ_w² A(Θ)."""
        ...

    def linear(self, layer: Layer, signal: Signal, state: State) -> State:
        """K ← A(K), Θ ← A(Θ), for a linear layer without weights."""
        ...

    def add(self, state: State, other: State) -> State:
        """The covariance of the sum of two uncorrelated signals: that of one plus that of the other."""
        return jax.tree.map(jnp.add, state, other)


def propagate(layers: Sequence[Layer], signal: Signal, state: State, rules: Rules[State], ends: Ends) -> State:
    """(K, Θ) after the layers; `ends` gives a nonlinearity's dual and what it needs of both signals."""
    for layer in layers:
        if isinstance(layer, Nonlinearity):
            state = state.nonlinear(*ends(layer, state))
        elif isinstance(layer, Residual):
            state = rules.add(state, propagate(layer.body, signal, state, rules, ends))
        elif isinstance(layer, Affine):
            state = rules.affine(layer, signal, state)
        else:
            state = rules.linear(layer, signal, state)
        signal = layer.output(signal)
    return state


@dataclass(frozen=True)
class Independent(Rules[State]):
    """Rules between two networks of one architecture, each with weights of its own: after these nothing is shared.

    What remains of K are products of means, from nonlinearities after the last weights.
    """

    rules: Rules[State]

    def affine(self, layer: Affine, signal: Signal, state: State) -> State:
        """Zero, in the shape of what the layer makes."""
        return self.rules.affine(layer, signal, state).uncorrelated()

    def linear(self, layer: Layer, signal: Signal, state: State) -> State:
        """The same update as between networks that share weights: this layer has none."""
        return self.rules.linear(layer, signal, state)

    def add(self, state: State, other: State) -> State:
        """The same sum as between networks that share weights."""
        return self.rules.add(state, other)


def recorded(variances: list, diagonal: Diagonal, spread: Callable[[Any, Any], tuple[Any, Any]]) -> Ends:
    """`ends` for a signal with itself: its variances are on the state's diagonal, and are noted down on the way."""

    def ends(layer: Nonlinearity, state: Covariance) -> tuple[Callable, Any, Any]:
        variance = diagonal(state.nngp)
        variances.append(variance)
        return layer.dual, *spread(variance, variance)

    return ends


def replayed(variances1: Iterable, variances2: Iterable, spread: Callable[[Any, Any], tuple[Any, Any]]) -> Ends:
    """`ends` for a pair of signals, from the variances noted down for each, in the same order."""
    pairs = iter(zip(variances1, variances2, strict=True))
    return lambda layer, _: (layer.dual, *spread(*next(pairs)))
