"""The recursion lag by lag (theory.md §3), for planar networks in which lags stay apart.

A lag is a group element q and a displacement. A stack's covariance at q is the plain network's between f and ρ_q f',
and displacements never mix before the grid is left. So the recursion runs on one array per displacement of the rows
(models/covariance.py), one after the other, then, once the grid is gone, on one number per q, and once the group is
gone, on one number.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from widesym.analysis.kernels.blocks import in_blocks
from widesym.analysis.kernels.lag_plan import LagPlan
from widesym.analysis.kernels.lag_rules import LagRules, PairRules, Recording, Sides
from widesym.analysis.kernels.propagation import Independent, Rules, propagate
from widesym.models.architecture import Architecture
from widesym.models.covariance import Covariance, Lag
from widesym.models.layer import Nonlinearity
from widesym.models.layers.separation import Separation, spread_over_points
from widesym.models.smooth_roots import root

Images = Float[Array, "n row column channel"]


class Turned(NamedTuple):
    """Inputs at one group element, with what layers on the grid need of them: arrays [n, row, column]."""

    x: Images
    sides: list[Sides]  # layer by layer


class LagInputs(NamedTuple):
    """Inputs, at each group element ([n, element, …]), and what layers off the grid need of them ([n])."""

    turned: Turned
    sides: Sides


Wrap = Callable[[Rules], Rules]  # of the rules between two networks
Pairs = Covariance | Separation


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
        """The lags that the network's layers need, from its input on."""
        return LagPlan(self.architecture, self.input_shape)

    @property
    def elements(self) -> int:
        """Array elements that one pair of inputs takes."""
        return _elements_of_lag(self.plan) * len(self.plan.rotations)

    def prepare(self, x: Float[Array, "n *point channel"]) -> LagInputs:
        """What every pair of an input shares, for a batch of inputs."""
        plan = self.plan
        images = x if x.ndim == 4 else x[:, None, None]
        turned = [plan.group.rotate(images, q, (1, 2)) if q else images for q in plan.rotations]
        by_element = [Turned(image, _sides(plan, image)) for image in turned]
        inputs = jax.tree.map(lambda *fields: jnp.stack(fields, 1), *by_element)
        sides: Sides = []
        if plan.needs_own:
            own = _transposed(_off_grid(plan, _same, _unturned(inputs), inputs))
            rules = Recording(Lag(), sides, lambda nngp: nngp[0])
            state = own if isinstance(own, Covariance) else own.covariance
            sides.append(root(state.nngp[0]))
            propagate(plan.later_layers, plan.later_signal, state, rules, rules.ends)
        return LagInputs(inputs, sides)

    def row(self, first: LagInputs, seconds: LagInputs) -> Covariance:
        """(K, Θ) of the logits of one prepared input with each of a batch, [n]."""
        return self._of_pairs(
            jax.tree.map(lambda f: f[None], first), seconds, Independent if self.independent else _same
        )

    def diagonal(self, prepared: LagInputs) -> Covariance:
        """(K, Θ) of the logits of each input with itself, [n]."""
        return self._of_pairs(prepared, prepared, _same)

    def _of_pairs(self, first: LagInputs, seconds: LagInputs, wrap: Wrap) -> Covariance:
        pairs = _off_grid(self.plan, wrap, _unturned(first.turned), seconds.turned)
        return _head(self.plan, wrap, _transposed(pairs), zip(first.sides, seconds.sides, strict=True))


def _same(rules: Rules) -> Rules:
    return rules


def _transposed(pairs: Pairs) -> Pairs:
    return jax.tree.map(jnp.transpose, pairs)


def _unturned(inputs: Turned) -> Turned:
    """Inputs at the identity."""
    return jax.tree.map(lambda f: f[:, 0], inputs)


def _elements_of_lag(plan: LagPlan) -> int:
    """Array elements that one pair of inputs takes at one lag of the rows."""
    rows, columns = plan.signals[0].grid or (1, 1)
    return rows * columns * (1 if plan.reads_zero_lag else columns)


def _sides(plan: LagPlan, x: Images) -> list[Sides]:
    """What each layer on the grid needs of K(x, x)(t, t), and √K(x, x)(t, t) after the last of them."""
    sides: list[Sides] = []
    images = jnp.moveaxis(x, 0, -1)
    state = Covariance.of_inputs(images, images, Lag())
    for layer, signal in zip(plan.grid_layers, plan.signals, strict=False):
        rules = Recording(Lag(), [], lambda nngp: nngp)
        state = propagate((layer,), signal, state, rules, rules.ends)
        sides.append(rules.sides)
    sides.append([root(state.nngp)])
    return jax.tree.map(lambda f: jnp.moveaxis(f, -1, 0), sides)


def _off_grid(plan: LagPlan, wrap: Wrap, first: Turned, seconds: Turned) -> Pairs:
    """The state, [n, element], of inputs with turned ones where the network has left the grid.

    `first` are as many as `seconds`, or a single one that is paired with all of them.
    """

    def of_block(block: tuple[Turned, Turned]) -> Pairs:
        first, seconds = block
        elements = jax.tree.map(lambda f: jnp.moveaxis(f, 1, 0), seconds)
        return _transposed(jax.lax.map(partial(_averaged, plan, wrap, first), elements))

    return in_blocks(of_block, first, seconds, _elements_of_lag(plan))


def _averaged(plan: LagPlan, wrap: Wrap, first: Turned, second: Turned) -> Pairs:
    """The state, [n], averaged over the pairs of pixels that the layer leaving the grid reads."""
    first, second = (jax.tree.map(lambda f: jnp.moveaxis(f, 0, -1), inputs) for inputs in (first, second))
    rows, columns = plan.last_grid or (1, 1)
    pairs = second.x.shape[-1]
    if plan.reads_zero_lag:
        near, far, ntk = (
            _sum_of_points(f, pairs) / plan.pixel_pairs for f in _at_lags(plan, wrap, first, second, None)
        )
        apart = spread_over_points(*first.sides[-1], *second.sides[-1]) / plan.pixel_pairs
        return Separation(near + apart, far + apart, ntk)

    periods = [plan.period[0] * stride for stride in plan.strides]
    second = jax.lax.optimization_barrier(_laid_out(second, periods))

    def add_row(total: Covariance, shift: Int[Array, ""]) -> tuple[Covariance, None]:
        inside = Lag(shift, plan.period[0]).inside(rows)[:, None, None, None]
        state = jax.lax.optimization_barrier(_at_lags(plan, wrap, first, second, shift).covariance)
        return jax.tree.map(lambda sum, f: sum + jnp.where(inside, f, 0), total, state), None

    zero = jnp.zeros((rows, columns, columns, pairs), second.x.dtype)
    total, _ = jax.lax.scan(add_row, Covariance(zero, zero), jnp.asarray(plan.shifts[:, 0, 0]))
    return jax.tree.map(lambda f: _sum_of_points(f, pairs) / plan.pixel_pairs, total)


def _sum_of_points(f: Float[Array, "*point pair"], pairs: int) -> Float[Array, " pair"]:
    f = jnp.broadcast_to(f, (*f.shape[:-1], pairs))
    while f.ndim > 1:  # axis by axis: shorter sums round less
        f = jax.lax.optimization_barrier(f.sum(0))
    return f


def _laid_out(second: Turned, periods: list[int]) -> Turned:
    """As `Lag.meet` wants second signals, with the periods of the signals before each layer and after the last."""

    def over(tree: Any, period: int) -> Any:
        return jax.tree.map(partial(Lag.twice, Lag(None, period)), tree)

    after = [*periods[1:], periods[-1]]
    return Turned(over(second.x, periods[0]), [over(*of) for of in zip(second.sides, after, strict=True)])


def _at_lags(plan: LagPlan, wrap: Wrap, first: Turned, second: Turned, shift: Int[Array, ""] | None) -> Separation:
    """The state at one displacement of the last grid's rows, before the layer that leaves the grid."""
    lags = [Lag(None if shift is None else shift * stride, plan.period[0] * stride) for stride in plan.strides]
    state = Separation.of_inputs(first.x, second.x, lags[0])
    steps = zip(plan.grid_layers, plan.signals, lags[:-1], lags[1:], first.sides, second.sides, strict=False)
    for layer, signal, before, after, *sides in steps:
        rules = PairRules(after, before, iter(list(zip(*sides, strict=True))))
        state = propagate((layer,), signal, state, wrap(rules), rules.ends)
    return state


def _head(plan: LagPlan, wrap: Wrap, state: Pairs, sides: Iterator[tuple[Any, Any]]) -> Covariance:
    """(K, Θ) of the logits, [n], from the state off the grid, [element, n]."""
    layers, signal = plan.later_layers, plan.later_signal
    if plan.needs_own:
        length1, length2 = next(sides)
        if isinstance(state, Covariance):
            state = Separation.of_covariance(state, length1 * length2)
        rules = PairRules(Lag(), Lag(), sides)
        found = propagate(layers, signal, state, wrap(rules), rules.ends).covariance
    else:
        state = state if isinstance(state, Covariance) else state.covariance
        found = propagate(layers, signal, state, wrap(LagRules(Lag())), _no_ends)
    return jax.tree.map(lambda f: f[0], found)


def _no_ends(layer: Nonlinearity, _: Any) -> tuple[Callable, Any, Any]:
    raise AssertionError(f"{layer} needs variances")
