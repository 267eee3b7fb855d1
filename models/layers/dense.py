"""Dense layer, at finite and infinite width."""

from dataclasses import dataclass, replace
from typing import ClassVar

from flax import nnx
from jaxtyping import Array, Float

from widesym.models.covariance import Lag
from widesym.models.layer import Affine, AffineModule
from widesym.models.signal import Signal


@dataclass(frozen=True)
class Dense(Affine):
    """z = (σ_w/√n) W x + σ_b b, at every point of a signal alike (theory.md §1)."""

    keeps_lags_apart: ClassVar[bool] = True

    features: int

    def output(self, signal: Signal) -> Signal:
        return replace(signal, channels=self.features)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "DenseModule":
        return DenseModule(self, (self.features, signal.channels), rngs)

    def average(self, covariance: Float[Array, "*point pair"], lag: Lag) -> Float[Array, "*point pair"]:
        """A is the identity (theory.md §2)."""
        return covariance


class DenseModule(AffineModule[Dense]):
    """The linear map of `Dense` at finite width, with weights and biases of its own."""

    def __call__(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "feature *point sample"]:
        z = self.scaled_weight() @ x.reshape(x.shape[0], -1)
        return self.add_bias(z.reshape(-1, *x.shape[1:]))

    def _inputs(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "block fan_in place sample"]:
        return x.reshape(1, len(x), -1, x.shape[-1])
