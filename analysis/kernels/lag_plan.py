"""Which lags an architecture's kernel needs, and whether lags stay apart in it (theory.md §3)."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Int

from widesym.models.architecture import Architecture
from widesym.models.groups import Group, cyclic
from widesym.models.layer import Layer, Nonlinearity
from widesym.models.layers.group_conv import LiftingConv
from widesym.models.layers.group_flatten import GroupFlatten
from widesym.models.layers.pooling import Flatten
from widesym.models.layers.residual import Residual
from widesym.models.signal import Signal


class MixedLagsError(Exception):
    """Some layer mixes lags: the covariance has to be carried whole."""


@dataclass(frozen=True)
class LagPlan:
    """The lags of an architecture, for one input shape; raises MixedLagsError where lags would mix."""

    architecture: Architecture
    input_shape: tuple[int, ...]

    def __post_init__(self):
        layers = list(with_signals(self.architecture.layers, self.signals[0]))
        convolutions = [layer for layer, _ in layers if hasattr(layer, "padding")]
        for layer, before in layers:
            self._check_layer(layer, before)
        for layer, before, stride in zip(self.grid_layers, self.signals, self.strides, strict=False):
            self._check_windows(layer, before, stride)
        if any(isinstance(layer, LiftingConv) for layer in convolutions[1:]):
            raise MixedLagsError("a convolution that is not equivariant stands before LiftingConv")

    def _check_layer(self, layer: Layer, before: Signal) -> None:
        name = type(layer).__name__
        if before.atoms:
            raise MixedLagsError(f"{name} acts on atoms")
        if not layer.keeps_lags_apart:
            raise MixedLagsError(f"{name} mixes lags")

    def _check_windows(self, layer: Layer, before: Signal, stride: int) -> None:
        """Raise MixedLagsError for windows that would need another period, or that move within a residual branch."""
        name = type(layer).__name__
        if isinstance(layer, Residual):
            for inner, signal in with_signals(layer.body, before):
                if getattr(inner, "stride", 1) > 1:
                    raise MixedLagsError(f"{type(inner).__name__} has a stride within {name}")
                self._check_windows(inner, signal, stride)
        rows = before.grid[0] if before.grid else 1
        if getattr(layer, "padding", None) == "CIRCULAR" and rows != self.period[0] * stride:
            raise MixedLagsError(f"{name} has CIRCULAR padding on {rows} rows, but lags wrap after another number")

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """The signal before each layer and after the last."""
        return self.architecture.signals(self.input_shape)

    @cached_property
    def group(self) -> Group:
        """The group whose elements are lags; C_1 for a plain network."""
        return next((layer.group for layer in self.architecture.layers if isinstance(layer, LiftingConv)), cyclic(1))

    @cached_property
    def grid_depth(self) -> int:
        """Number of layers that still read a grid."""
        return sum(signal.grid is not None for signal in self.signals)

    @cached_property
    def rotations(self) -> range:
        """Group lags that reach the output: only the identity where the group is left by Flatten."""
        steps = zip(self.architecture.layers, self.signals[:-1], self.signals[1:], strict=True)
        leaving = [layer for layer, before, after in steps if before.group is not None and after.group is None]
        return range(1) if leaving and isinstance(leaving[0], Flatten) else self.group.elements

    @property
    def reads_zero_lag(self) -> bool:
        """Whether each pixel is paired with itself alone: Flatten leaves the grid, or it has one pixel, or is none."""
        if self.last_grid is None or math.prod(self.last_grid) == 1:
            return True
        return isinstance(self.architecture.layers[self.grid_depth - 1], Flatten | GroupFlatten)

    @cached_property
    def shifts(self) -> Int[np.ndarray, "row_shift column_shift 2"]:
        """Displacements on the last grid that reach the output, two to a shift (models/covariance.py)."""
        if self.last_grid is None or self.reads_zero_lag:
            return np.zeros((1, 1, 2), int)
        axes = [
            sorted({d % period for d in range(1 - size, size)})
            for size, period in zip(self.last_grid, self.period, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Pixels of each signal on a grid that one pixel of the last grid stands for."""
        steps = [getattr(layer, "stride", 1) for layer in self.grid_layers]
        return tuple(math.prod(steps[index:]) for index in range(len(steps) + 1))

    @cached_property
    def period(self) -> tuple[int, int]:
        """On the last grid, the period after which displacements wrap; (1, 1) for vectors.

        Times its stride, it is no shorter than the grid of any layer: two displacements then never share a pixel.
        """
        grids = [signal.grid or (1, 1) for signal in self.signals[: len(self.strides)]]
        rows, columns = (
            max(-(-grid[axis] // stride) for grid, stride in zip(grids, self.strides, strict=True)) for axis in (0, 1)
        )
        return rows, columns

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
        return pixels if self.reads_zero_lag else pixels**2

    @property
    def needs_own(self) -> bool:
        """Whether a nonlinearity off the grid reads the variances there."""
        return any(isinstance(layer, Nonlinearity) for layer, _ in with_signals(self.later_layers, self.later_signal))

    @property
    def grid_layers(self) -> tuple[Layer, ...]:
        """The layers before the one that leaves the grid."""
        return self.architecture.layers[: max(self.grid_depth - 1, 0)]

    @property
    def later_layers(self) -> tuple[Layer, ...]:
        """From the layer that leaves the grid on; all, for vectors."""
        return self.architecture.layers[len(self.grid_layers) :]

    @property
    def later_signal(self) -> Signal:
        """What the first of the later layers reads."""
        return self.signals[len(self.grid_layers)]


def with_signals(layers: Iterable[Layer], signal: Signal) -> Iterator[tuple[Layer, Signal]]:
    """Every layer, those inside residual connections included, with the signal before it."""
    for layer in layers:
        yield layer, signal
        if isinstance(layer, Residual):
            yield from with_signals(layer.body, signal)
        signal = layer.output(signal)
