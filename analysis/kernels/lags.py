"""The recursion lag by lag (theory.md §3), for planar networks in which lags stay apart.

A lag is a group element q and a displacement. A stack's covariance at q is the plain network's between f and ρ_q f',
and displacements never mix before the grid is left. So the recursion runs on one array per displacement of the rows
(models/covariance.py), one after the other, then, once the grid is gone, on one number per q, and once the group is
gone, on one number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from analysis.kernels.blocks import in_blocks
from analysis.kernels.lag_plan import LagPlan
from analysis.kernels.propagation import Ends, Independent, Rules, propagate, recorded, replayed
from models.architecture import Architecture
from models.covariance import Covariance, Dual, Lag
from models.layer import Affine, Layer, Nonlinearity
from models.signal import Signal

Images = Float[Array, "n row column channel"]
Sides = list[Any]  # of every nonlinearity on the grid, arrays [n, row, column]


class Turned(NamedTuple):
    """Inputs at one group element."""

    x: Images
    sides: Sides


class Prepared(NamedTuple):
    """Inputs, at each group element ([n, element, …]), and K(x, x) before each nonlinearity off the grid ([n])."""

    turned: Turned
    variances: list[Float[Array, " n"]]


@dataclass(frozen=True)
class LagRules:
    """How the covariance of one lag goes through linear layers; `lag` is that of what they make."""

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
        return _elements_of_lag(self.plan) * len(self.plan.rotations)

    def prepare(self, x: Float[Array, "n *point channel"]) -> Prepared:
        """What every pair of an input shares, for a batch of inputs."""
        plan = self.plan
        images = x if x.ndim == 4 else x[:, None, None]
        turned = [plan.group.rotate(images, q, (1, 2)) if q else images for q in plan.rotations]
        by_element = [Turned(image, _sides(plan, image)) for image in turned]
        inputs = jax.tree.map(lambda *fields: jnp.stack(fields, 1), *by_element)
        variances: list[Float[Array, " n"]] = []
        if plan.needs_own:
            own = _off_grid(plan, LagRules, _unturned(inputs), inputs)
            _head(plan, LagRules, own, recorded(variances, lambda nngp: nngp[0], _both))
        return Prepared(inputs, variances)

    def row(self, first: Prepared, seconds: Prepared) -> Covariance:
        """(K, Θ) of the logits of one prepared input with each of a batch, [n]."""
        rules = (lambda lag: Independent(LagRules(lag))) if self.independent else LagRules
        first = jax.tree.map(lambda f: f[None], first)
        pairs = _off_grid(self.plan, rules, _unturned(first.turned), seconds.turned)
        return _head(self.plan, rules, pairs, replayed(first.variances, seconds.variances, _both))

    def diagonal(self, prepared: Prepared) -> Covariance:
        """(K, Θ) of the logits of each input with itself, [n]."""
        own = _off_grid(self.plan, LagRules, _unturned(prepared.turned), prepared.turned)
        return _head(self.plan, LagRules, own, replayed(prepared.variances, prepared.variances, _both))


def _unturned(inputs: Turned) -> Turned:
    """Inputs at the identity."""
    return jax.tree.map(lambda f: f[:, 0], inputs)


def _elements_of_lag(plan: LagPlan) -> int:
    """Array elements that one pair of inputs takes at one lag of the rows."""
    rows, columns = plan.signals[0].grid or (1, 1)
    return rows * columns * (1 if plan.reads_zero_lag else columns)


def _sides(plan: LagPlan, x: Images) -> Sides:
    """What each nonlinearity on the grid needs of K(x, x)(t, t)."""
    sides: Sides = []

    def ends(layer: Nonlinearity, state: Covariance) -> tuple[Dual, Any, Any]:
        side = state.nngp if plan.reads_zero_lag else layer.side(state.nngp)
        sides.append(jax.tree.map(lambda f: jnp.moveaxis(f, -1, 0), side))
        return layer.dual, state.nngp, state.nngp

    images = jnp.moveaxis(x, 0, -1)
    state = Covariance.of_inputs(images, images, Lag())
    propagate(plan.grid_layers, plan.signals[0], state, LagRules(Lag()), ends)
    return sides


def _off_grid(plan: LagPlan, rules: RulesAt, first: Turned, seconds: Turned) -> Covariance:
    """(K, Θ), [n, element], of inputs with turned ones where the network has left the grid.

    `first` are as many as `seconds`, or a single one that is paired with all of them.
    """

    def of_block(block: tuple[Turned, Turned]) -> Covariance:
        first, seconds = block
        elements = jax.tree.map(lambda f: jnp.moveaxis(f, 1, 0), seconds)
        by_element = jax.lax.map(partial(_averaged, plan, rules, first), elements)
        return jax.tree.map(lambda f: f.T, by_element)

    return in_blocks(of_block, first, seconds, _elements_of_lag(plan))


def _averaged(plan: LagPlan, rules: RulesAt, first: Turned, second: Turned) -> Covariance:
    """(K, Θ), [n], averaged over the pairs of pixels that the layer leaving the grid reads."""
    first, second = (jax.tree.map(lambda f: jnp.moveaxis(f, 0, -1), inputs) for inputs in (first, second))
    rows, columns = plan.last_grid or (1, 1)
    if plan.reads_zero_lag:
        total = _at_lags(plan, rules, first, second, None)
    else:

        def add_row(total: Covariance, shift: Int[Array, ""]) -> tuple[Covariance, None]:
            inside = Lag(shift, plan.period[0]).inside(rows)[:, None, None, None]
            state = jax.lax.optimization_barrier(_at_lags(plan, rules, first, second, shift))
            return jax.tree.map(lambda sum, f: sum + jnp.where(inside, f, 0), total, state), None

        zero = jnp.zeros((rows, columns, columns, second.x.shape[-1]), second.x.dtype)
        total, _ = jax.lax.scan(add_row, Covariance(zero, zero), jnp.asarray(plan.shifts[:, 0, 0]))
    pairs = second.x.shape[-1]
    return jax.tree.map(lambda f: _sum_of_points(f, pairs) / plan.pixel_pairs, total)


def _sum_of_points(f: Float[Array, "*point pair"], pairs: int) -> Float[Array, " pair"]:
    f = jnp.broadcast_to(f, (*f.shape[:-1], pairs))
    while f.ndim > 1:  # axis by axis: shorter sums round less
        f = jax.lax.optimization_barrier(f.sum(0))
    return f


def _at_lags(plan: LagPlan, rules: RulesAt, first: Turned, second: Turned, shift: Int[Array, ""] | None) -> Covariance:
    """(K, Θ) at one displacement of the last grid's rows, before the layer that leaves the grid."""
    lags = [Lag(None if shift is None else shift * stride, plan.period[0] * stride) for stride in plan.strides]
    sides = iter(zip(first.sides, second.sides, strict=True))
    state = Covariance.of_inputs(first.x, second.x, lags[0])
    steps = zip(plan.grid_layers, plan.signals, lags[:-1], lags[1:], strict=False)
    for layer, signal, before, after in steps:
        state = propagate((layer,), signal, state, rules(after), _meeting(sides, before))
    return state


def _meeting(sides: Any, lag: Lag) -> Ends:
    """`ends` on the grid, from the sides noted down for each signal."""

    def ends(layer: Nonlinearity, _: Covariance) -> tuple[Dual, Any, Any]:
        first, second = next(sides)
        met = [lag.meet(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)]
        side1, side2 = (jax.tree.unflatten(jax.tree.structure(first), side) for side in zip(*met, strict=True))
        return layer.dual if lag.shift is None else layer.dual_of_sides, side1, side2

    return ends


def _head(plan: LagPlan, rules: RulesAt, state: Covariance, ends: Ends) -> Covariance:
    """(K, Θ) of the logits, [n], from those off the grid, [n, element]."""
    state = jax.tree.map(jnp.transpose, state)
    return jax.tree.map(lambda f: f[0], propagate(plan.later_layers, plan.later_signal, state, rules(Lag()), ends))


def _both(first: Any, second: Any) -> tuple[Any, Any]:
    return first, second
