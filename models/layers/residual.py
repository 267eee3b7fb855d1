"""Identity and the residual connection."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from flax import nnx
from jaxtyping import Array, Float

from widesym.models.layer import Layer, Reduction
from widesym.models.network import Around, Network, Through, checked_layers, signal_after_body
from widesym.models.signal import Signal


@dataclass(frozen=True)
class Identity(Reduction):
    """The identity z = x, a layer that changes nothing."""

    keeps_lags_apart: ClassVar[bool] = True

    def output(self, signal: Signal) -> Signal:
        return signal

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "IdentityModule":
        return IdentityModule()


@dataclass(frozen=True)
class Residual(Layer):
    """z = x + body(x).

    At infinite width body(x) is uncorrelated with x, as its last weights are independent of x and have mean zero, so
    K ← K + K_body and Θ ← Θ + Θ_body.
    """

    keeps_lags_apart: ClassVar[bool] = True

    has_closed_form: ClassVar[bool] = True

    body: tuple[Layer, ...]

    def __init__(self, body: Iterable[Layer]):
        object.__setattr__(self, "body", checked_layers("Residual", body))

    def output(self, signal: Signal) -> Signal:
        after = signal_after_body("Residual", self.body, signal)
        if after != signal:
            raise ValueError(
                f"Residual adds its input, {signal}, to what its body makes of it, {after}; they must agree"
            )
        return signal

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "ResidualModule":
        return ResidualModule(Network(self.body, signal, rngs))


class IdentityModule(nnx.Module):
    """The identity at finite width: it returns its input."""

    def __call__(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "channel *point sample"]:
        return x


class ResidualModule(Around[Network]):
    """The residual connection x + body(x) at finite width."""

    def __init__(self, body: Network):
        self.body = body

    def around(
        self, through: Through, x: Float[Array, "channel *point sample"], extra: Any
    ) -> tuple[Float[Array, "channel *point sample"], Any]:
        z, returned = through(self.body, x, extra)
        return x + z, returned
