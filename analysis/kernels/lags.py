"""The lag engine: an architecture's infinite-width recursion for one pair of inputs, lag by lag (theory.md §3).

A lag is a rotation q and a displacement. A stack's covariance at rotation q is the plain network's between f and
ρ_q f', and displacements never mix before the grid is left. So the recursion runs on one [row, column] array per lag,
then, once the grid is gone, on one number per rotation, and once the group is gone, on one number.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from models.architecture import Architecture
from models.covariance import Covariance, Lag
from models.group_conv import LiftingConv
from models.groups import Group, cyclic
from models.layer import Affine, Layer, NoClosedFormError, Nonlinearity
from models.pooling import Flatten
from models.signal import Signal

Image = Float[Array, "row column channel"] | Float[Array, " channel"]
Variances = list[Float[Array, "*pixel"]]


@dataclass(frozen=True)
class LagPlan:
    """Which lags an architecture's kernel needs, for one input shape; raises NoClosedFormError where lags would mix."""

    architecture: Architecture
    input_shape: tuple[int, ...]

    def __post_init__(self):
        checks = (self._check_layers, self._check_gaussian, self._check_flat, self._check_padding, self._check_lifting)
        for check in checks:
            check()

    def _check_layers(self) -> None:
        for index, (layer, before, _) in enumerate(self._steps()):
            try:
                layer.check_closed_form(before)
            except NoClosedFormError as error:
                raise NoClosedFormError(f"layer {index}: {error}") from None

    def _check_gaussian(self) -> None:
        gaussian = False
        for index, layer in enumerate(self.architecture.layers):
            if isinstance(layer, Nonlinearity) and not gaussian:
                raise NoClosedFormError(
                    f"layer {index}: {type(layer).__name__} acts on values that are not Gaussian at infinite width; "
                    "there is a closed form only if a layer with weights stands before it, after any other nonlinearity"
                )
            gaussian = isinstance(layer, Affine) or (gaussian and not isinstance(layer, Nonlinearity))

    def _check_flat(self) -> None:
        flat = False  # from a flattened grid on, until weights mix its pixels
        for index, (layer, before, _) in enumerate(self._steps()):
            if isinstance(layer, Nonlinearity) and flat:
                raise NoClosedFormError(
                    f"layer {index}: {type(layer).__name__} acts on flattened pixels, which differ in variance; "
                    "put it before Flatten, where it is the same network"
                )
            flat = (isinstance(layer, Flatten) and before.grid is not None) or (flat and not isinstance(layer, Affine))

    def _check_padding(self) -> None:
        for index, (layer, before, _) in enumerate(self._steps()):
            if getattr(layer, "padding", None) == "CIRCULAR" and before.grid != self.signals[0].grid:
                raise NoClosedFormError(
                    f"layer {index}: CIRCULAR padding on {before}, fewer than the input's, mixes lags; "
                    "put the VALID convolutions after the circular ones"
                )

    def _check_lifting(self) -> None:
        convolutions = [index for index, layer in enumerate(self.architecture.layers) if hasattr(layer, "padding")]
        for index in convolutions[1:]:
            if isinstance(self.architecture.layers[index], LiftingConv):
                raise NoClosedFormError(
                    f"layer {index}: the convolution at layer {convolutions[0]} is not equivariant, and LiftingConv "
                    "after it mixes its lags; lift first"
                )

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """The signal before each layer and after the last."""
        return self.architecture.signals(self.input_shape)

    @cached_property
    def group(self) -> Group:
        """The group whose rotations are lags; C_1 for a plain network."""
        return next((signal.group for signal in self.signals if signal.group), cyclic(1))

    @cached_property
    def grid_depth(self) -> int:
        """Number of layers that still read a grid."""
        return sum(signal.grid is not None for signal in self.signals)

    @cached_property
    def rotations(self) -> range:
        """Rotation lags that reach the output: only the identity where the group is left by Flatten."""
        leaving = [layer for layer, before, after in self._steps() if before.group is not None and after.group is None]
        return range(1) if leaving and isinstance(leaving[0], Flatten) else self.group.elements

    @cached_property
    def shifts(self) -> Int[np.ndarray, "row_shift column_shift 2"]:
        """Displacement lags that reach the output, two to a shift as models/covariance.py packs them."""
        if self.last_grid is None or isinstance(self.architecture.layers[self.grid_depth - 1], Flatten):
            return np.zeros((1, 1, 2), int)
        axes = [
            sorted({d % period for d in range(1 - size, size)})
            for size, period in zip(self.last_grid, self.period, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    @property
    def last_grid(self) -> tuple[int, int] | None:
        """The grid that the layer leaving it reads; None for vectors."""
        return self.signals[self.grid_depth - 1].grid if self.grid_depth else None

    @property
    def pixel_pairs(self) -> int:
        """Over how many pairs of pixels the covariance is averaged where the network leaves the grid."""
        if self.last_grid is None:
            return 1
        pixels = math.prod(self.last_grid)
        return pixels if isinstance(self.architecture.layers[self.grid_depth - 1], Flatten) else pixels**2

    @property
    def needs_own(self) -> bool:
        """Whether a nonlinearity off the grid reads the variances there."""
        return any(isinstance(layer, Nonlinearity) for layer, _, _ in self.later_steps)

    @property
    def period(self) -> tuple[int, int]:
        """The input's grid, on which displacements wrap; (1, 1) for vectors."""
        return self.signals[0].grid or (1, 1)

    @property
    def grid_layers(self) -> tuple[Layer, ...]:
        """The layers before the one that leaves the grid."""
        return self.architecture.layers[: max(self.grid_depth - 1, 0)]

    @property
    def later_steps(self) -> list[tuple[Layer, Signal, Signal]]:
        """From the layer that leaves the grid on (all, for vectors): the layer and the signals around it."""
        return self._steps()[len(self.grid_layers) :]

    def _steps(self) -> list[tuple[Layer, Signal, Signal]]:
        return list(zip(self.architecture.layers, self.signals[:-1], self.signals[1:], strict=True))


def grid_variances(plan: LagPlan, x: Image) -> Variances:
    """K(x,x)(t,t) before each nonlinearity on the grid."""
    lag = Lag(jnp.zeros(2, int), plan.period)
    state, variances = Covariance.of_inputs(x, x, lag), []
    for layer in plan.grid_layers:
        if isinstance(layer, Nonlinearity):
            variances.append(state.nngp)
            state = state.nonlinear(layer.dual, state.nngp, state.nngp)
        elif isinstance(layer, Affine):
            state = state.affine(layer.average, layer.w_std, layer.b_std, lag)
    return variances


def grid_covariance(plan: LagPlan, x1: Image, x2: Image, variances1: Variances, variances2: Variances) -> Covariance:
    """(K, Θ) of a pair, averaged over the pairs of pixels that the layer leaving the grid reads; at one rotation."""

    def at_shift(shift: Int[Array, "2"]) -> Covariance:
        lag = Lag(shift, plan.period)
        state, before = Covariance.of_inputs(x1, x2, lag), iter(zip(variances1, variances2, strict=True))
        for layer in plan.grid_layers:
            if isinstance(layer, Nonlinearity):
                variance1, variance2 = next(before)
                state = state.nonlinear(layer.dual, variance1, lag.shifted(variance2))
            elif isinstance(layer, Affine):
                state = state.affine(layer.average, layer.w_std, layer.b_std, lag)
        inside = lag.inside(state.nngp.shape)
        return jax.tree.map(lambda f: jnp.sum(f, where=inside), state)

    def add_row(total: Covariance, shifts: Int[Array, "column_shift 2"]) -> tuple[Covariance, None]:
        row = jax.vmap(at_shift)(shifts)
        return jax.tree.map(lambda a, b: a + b.sum(), total, row), None

    zero = Covariance(jnp.zeros((), x1.dtype), jnp.zeros((), x1.dtype))
    total, _ = jax.lax.scan(add_row, zero, jnp.asarray(plan.shifts))
    return jax.tree.map(lambda f: f / plan.pixel_pairs, total)


def head_covariance(plan: LagPlan, pair: Covariance, own1: Covariance | None, own2: Covariance | None) -> Covariance:
    """(K, Θ) of the logits, from those of the pair and of each input with itself, by rotation, off the grid.

    `own1` and `own2` are read where `plan.needs_own`, by the nonlinearities off the grid.
    """
    lag = Lag(jnp.zeros(2, int), plan.period)
    states = [pair, *(own for own in (own1, own2) if own is not None)]
    for layer, before, after in plan.later_steps:
        if isinstance(layer, Nonlinearity):
            variance1, variance2 = states[1].nngp[0], states[2].nngp[0]
            ends = [(variance1, variance2), (variance1, variance1), (variance2, variance2)]
            states = [state.nonlinear(layer.dual, *end) for state, end in zip(states, ends, strict=True)]
        elif isinstance(layer, Affine):
            states = [state.affine(layer.average, layer.w_std, layer.b_std, lag) for state in states]
        elif before.group and not after.group:
            states = [jax.tree.map(lambda f: f.mean(0, keepdims=True), state) for state in states]
    return jax.tree.map(lambda f: f[0], states[0])
