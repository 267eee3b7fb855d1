"""The recursion lag by lag (theory.md §3), for planar networks in which lags stay apart.

A lag is a group element q and a displacement. A stack's covariance at q is the plain network's between f and ρ_q f',
and displacements never mix before the grid is left. So the recursion runs on one [row, column] array per lag, then,
once the grid is gone, on one number per q, and once the group is gone, on one number.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from analysis.kernels.lag_plan import LagPlan
from analysis.kernels.propagation import Ends, Independent, Rules, propagate, recorded, replayed
from models.architecture import Architecture
from models.covariance import Covariance, Lag
from models.layer import Affine, Layer
from models.signal import Signal

Image = Float[Array, "row column channel"] | Float[Array, " channel"]
Variances = list[Float[Array, "*pixel"]]


class Prepared(NamedTuple):
    """One input at every group element, its variances there, and what it is to itself off the grid."""

    x: Image
    variances: Variances
    own: Covariance


@dataclass(frozen=True)
class LagRules:
    """How the covariance of one lag goes through linear layers."""

    lag: Lag

    def affine(self, layer: Affine, signal: Signal, state: Covariance) -> Covariance:
        """The one update, with the layer's A at this lag."""
        return state.affine(layer.average, layer.w_std, layer.b_std, self.lag)

    def linear(self, layer: Layer, signal: Signal, state: Covariance) -> Covariance:
        """The mean over group elements where the layer leaves the group; nothing else is left to do for it."""
        if signal.group and not layer.output(signal).group:
            return jax.tree.map(lambda f: f.mean(0, keepdims=True), state)
        return state


RulesAt = Callable[[Lag], Rules]


@dataclass(frozen=True)
class LagEngine:
    """Raises MixedLagsError where lags do not stay apart."""

    architecture: Architecture
    input_shape: tuple[int, ...]
    independent: bool = False  # between two networks, each with weights of its own

    def __post_init__(self):
        _ = self.plan

    @cached_property
    def plan(self) -> LagPlan:
        """Which lags there are."""
        return LagPlan(self.architecture, self.input_shape)

    @property
    def elements(self) -> int:
        """Array elements that one pair of inputs takes."""
        return math.prod(self.plan.period) * self.plan.shifts.shape[1] * len(self.plan.rotations)

    def prepare(self, x: Image) -> Prepared:
        """What every pair of an input shares."""
        plan = self.plan
        rotated = jnp.stack([plan.group.rotate(x, q, (0, 1)) if q else x for q in plan.rotations])
        variances = jax.vmap(partial(_grid_variances, plan))(rotated)
        zero = jnp.zeros(len(plan.rotations), x.dtype)
        prepared = Prepared(rotated, variances, Covariance(zero, zero))
        return prepared._replace(own=_off_grid(plan, LagRules, prepared, prepared)) if plan.needs_own else prepared

    def pair(self, first: Prepared, second: Prepared) -> Covariance:
        """(K, Θ) of the logits of two prepared inputs."""
        rules = (lambda lag: Independent(LagRules(lag))) if self.independent else LagRules
        return _head(self.plan, rules, _off_grid(self.plan, rules, first, second), first.own, second.own)

    def own(self, prepared: Prepared) -> Covariance:
        """(K, Θ) of the logits of an input with itself."""
        own = _off_grid(self.plan, LagRules, prepared, prepared)
        return _head(self.plan, LagRules, own, own, own)


def _grid_variances(plan: LagPlan, x: Image) -> Variances:
    """K(x,x)(t,t) before each nonlinearity on the grid."""
    variances: Variances = []
    _on_grid(plan, LagRules, x, x, jnp.zeros(2, int), recorded(variances, lambda nngp: nngp, _both))
    return variances


def _on_grid(plan: LagPlan, rules: RulesAt, x1: Image, x2: Image, shift: Int[Array, "2"], ends: Ends) -> Covariance:
    """(K, Θ) at one displacement, before the layer that leaves the grid."""
    lag = Lag(shift, plan.period)
    return propagate(plan.grid_layers, plan.signals[0], Covariance.of_inputs(x1, x2, lag), rules(lag), ends)


def _off_grid(plan: LagPlan, rules: RulesAt, first: Prepared, second: Prepared) -> Covariance:
    """(K, Θ) of two inputs where the network has left the grid, by group element acting on the second."""
    image, variances = first.x[0], [variance[0] for variance in first.variances]
    return jax.vmap(lambda other, variance: _summed(plan, rules, image, other, variances, variance))(
        second.x, second.variances
    )


def _summed(
    plan: LagPlan, rules: RulesAt, x1: Image, x2: Image, variances1: Variances, variances2: Variances
) -> Covariance:
    """(K, Θ) of a pair, averaged over the pairs of pixels that the layer leaving the grid reads; at one element."""

    def at_shift(shift: Int[Array, "2"]) -> Covariance:
        lag = Lag(shift, plan.period)
        ends = replayed(variances1, variances2, lambda first, second: (first, lag.shifted(second)))
        state = _on_grid(plan, rules, x1, x2, shift, ends)
        inside = lag.inside(state.nngp.shape)
        return jax.tree.map(lambda f: jnp.sum(f, where=inside), state)

    def add_row(total: Covariance, shifts: Int[Array, "column_shift 2"]) -> tuple[Covariance, None]:
        row = jax.vmap(at_shift)(shifts)
        return jax.tree.map(lambda a, b: a + b.sum(), total, row), None

    zero = Covariance(jnp.zeros((), x1.dtype), jnp.zeros((), x1.dtype))
    total, _ = jax.lax.scan(add_row, zero, jnp.asarray(plan.shifts))
    return jax.tree.map(lambda f: f / plan.pixel_pairs, total)


def _head(plan: LagPlan, rules: RulesAt, pair: Covariance, own1: Covariance, own2: Covariance) -> Covariance:
    """(K, Θ) of the logits, from those of the pair and of each input with itself, by group element, off the grid."""
    lag = Lag(jnp.zeros(2, int), plan.period)
    run: Callable[..., Covariance] = partial(propagate, plan.later_layers, plan.later_signal)
    lists: tuple[list[Any], list[Any]] = ([], [])
    if plan.needs_own:
        for own, variances in zip((own1, own2), lists, strict=True):
            run(own, LagRules(lag), recorded(variances, lambda nngp: nngp[0], _both))
    return jax.tree.map(lambda f: f[0], run(pair, rules(lag), replayed(*lists, _both)))


def _both(first: Any, second: Any) -> tuple[Any, Any]:
    return first, second
