"""Planar convolution, at finite and infinite width."""

from dataclasses import dataclass
from typing import ClassVar

from flax import nnx
from jaxtyping import Array, Float

from widesym.models.correlation import Formulation, correlate
from widesym.models.covariance import Lag, filter_mean
from widesym.models.layer import Affine, AffineModule
from widesym.models.signal import Signal
from widesym.models.window import Padding, Window


@dataclass(frozen=True)
class Conv(Affine):
    """z(t) = σ_w/√(n·|S|) Σ_{y∈S} W(y) x(stride·t+y) + σ_b b, over S of size × size pixels (theory.md §1)."""

    keeps_lags_apart: ClassVar[bool] = True

    features: int
    size: int
    padding: Padding = "SAME"
    stride: int = 1

    def __post_init__(self):
        super().__post_init__()
        _ = self.window

    @property
    def window(self) -> Window:
        """The filter's support and where it stands."""
        return Window("Conv", self.size, self.stride, self.padding)

    def output(self, signal: Signal) -> Signal:
        if signal.group:
            raise ValueError(
                f"Conv acts on images, but gets {signal}; use GroupConv({signal.group}, …) after a lifting"
            )
        return Signal(self.features, self.window.output_grid(signal))

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "ConvModule":
        return ConvModule(self, (self.features, self.size**2 * signal.channels), rngs)

    def average(self, covariance: Float[Array, "*point pair"], lag: Lag) -> Float[Array, "*new_point pair"]:
        """A(K)(t,t') = (1/|S|) Σ_y K(stride·t+y, stride·t'+y) (theory.md §2)."""
        return filter_mean(covariance, self.window, lag)

    def _reads(self, deviation: Float[Array, "*point pair"]) -> Float[Array, "tap *new_point pair"]:
        return self.window.views(deviation)


class ConvModule(AffineModule[Conv]):
    """The convolution of `Conv` at finite width, with weights and biases of its own."""

    formulation: Formulation | None = "patches"

    def __call__(self, x: Float[Array, "channel row column sample"]) -> Float[Array, "feature row column sample"]:
        window = self.layer.window
        bank = self.scaled_weight().reshape(-1, window.size, window.size, len(x))
        return self.add_bias(correlate(bank, x, window, self.formulation))

    def _inputs(self, x: Float[Array, "channel row column sample"]) -> Float[Array, "block fan_in place sample"]:
        patches = self.layer.window.views(x)
        return patches.reshape(1, self.fan_in, -1, x.shape[-1])
