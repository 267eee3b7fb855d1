"""How states of one lag go through layers (theory.md §3), and what is noted down of each signal for all its pairs.

A signal is run once with itself, which gives K(x, x) at each layer; pairs of signals then read what was noted of both,
in the same order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.analysis.kernels.propagation import Rules
from widesym.models.covariance import Covariance, Lag
from widesym.models.layer import Affine, Layer, Nonlinearity
from widesym.models.layers.separation import Separation, Split, spread
from widesym.models.signal import Signal
from widesym.models.smooth_roots import root

Sides = list[Any]  # what each layer needs of one signal, in the order of the layers


@dataclass(frozen=True)
class LagRules(Rules[Covariance]):
    """How (K, Θ) at one lag go through linear layers; `lag` is that of what they make."""

    lag: Lag

    def affine(self, layer: Affine, signal: Signal, state: Covariance) -> Covariance:
        """The one update, with the layer's A at this lag."""
        return state.affine(layer.average, layer.w_std, layer.b_std, self.lag)

    def linear(self, layer: Layer, signal: Signal, state: Covariance) -> Covariance:
        """The mean over group elements where the layer leaves the group; nothing else is left to do for it."""
        return jax.tree.map(_group_mean, state) if leaves_group(layer, signal) else state


@dataclass(frozen=True)
class Recording(LagRules):
    """The same of signals with themselves, at lag zero; what layers need of one signal is noted down on the way.

    `variance` finds K(x, x) in K.
    """

    sides: Sides
    variance: Callable[[Array], Array]

    def affine(self, layer: Affine, signal: Signal, state: Covariance) -> Covariance:
        """The affine update; notes down the parts that the layer adds up, of one signal."""
        self.sides.append(Split.of(layer.parts(root(self.variance(state.nngp)))))
        return super().affine(layer, signal, state)

    def linear(self, layer: Layer, signal: Signal, state: Covariance) -> Covariance:
        """The linear update; notes down √K(x, x) after a layer that leaves the group."""
        state = super().linear(layer, signal, state)
        if leaves_group(layer, signal):
            self.sides.append(root(self.variance(state.nngp)))
        return state

    def add(self, state: Covariance, other: Covariance) -> Covariance:
        """The sum of two uncorrelated signals; notes down the length of each."""
        self.sides.append(Split.of(jnp.stack([root(self.variance(of.nngp)) for of in (state, other)])))
        return super().add(state, other)

    def ends(self, layer: Nonlinearity, state: Covariance) -> tuple[Callable, Any, Any]:
        """The nonlinearity's dual and, twice, the variance; notes down what `layer.side` makes of the variance."""
        variance = self.variance(state.nngp)
        self.sides.append(layer.side(variance))
        return layer.dual, variance, variance


@dataclass(frozen=True)
class PairRules(Rules[Separation]):
    """How two signals' separation at one lag goes through all layers, with what was noted down of each signal.

    `lag` is that of what linear layers make, and `before` of what nonlinearities read.
    """

    lag: Lag
    before: Lag
    sides: Iterator[tuple[Any, Any]]

    def affine(self, layer: Affine, signal: Signal, state: Separation) -> Separation:
        """The one update, with the layer's A at this lag."""
        apart = spread(*next(self.sides), self.lag)
        return state.affine(layer.average, (layer.w_std, layer.b_std), self.lag, apart)

    def linear(self, layer: Layer, signal: Signal, state: Separation) -> Separation:
        """The mean over group elements where the layer leaves the group; nothing else is left to do for it."""
        if not leaves_group(layer, signal):
            return state
        length1, length2 = next(self.sides)
        if len(state.near) == 1:  # of Flatten, or of one element
            return state
        return Separation.of_covariance(jax.tree.map(_group_mean, state.covariance), length1 * length2)

    def add(self, state: Separation, other: Separation) -> Separation:
        """The separation of the sums of two uncorrelated signals each."""
        return state.plus(other, spread(*next(self.sides), self.lag))

    def ends(self, layer: Nonlinearity, state: Separation) -> tuple[Callable, Any, Any]:
        """The layer's dual, and what it needs of both signals where they meet."""
        first, second = next(self.sides)
        met = [self.before.meet(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)]
        side1, side2 = (jax.tree.unflatten(jax.tree.structure(first), side) for side in zip(*met, strict=True))
        return layer.dual_of_gaps, side1, side2


def leaves_group(layer: Layer, signal: Signal) -> bool:
    """Whether the layer averages over group elements."""
    return signal.group is not None and layer.output(signal).group is None


def _group_mean(f: Float[Array, "element pair"]) -> Float[Array, "1 pair"]:
    return f.mean(0, keepdims=True)
