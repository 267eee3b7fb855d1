"""What every layer spec offers: its output's shape, its finite module and its half of the infinite-width recursion."""

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, ClassVar, Generic, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from widesym.models.checks import check_positive
from widesym.models.correlation import Formulation
from widesym.models.covariance import Lag
from widesym.models.errors import UserError
from widesym.models.signal import Signal
from widesym.models.smooth_roots import root

AffineLayer = TypeVar("AffineLayer", bound="Affine")


class NoClosedFormError(UserError):
    """The analytic kernel was asked of a layer, or a combination of layers, that has none."""


@dataclass(frozen=True)
class Layer:
    """Base of the layer specs: frozen, hashable, described by their fields alone."""

    has_closed_form: ClassVar[bool] = False  # unless a layer says so: whether its infinite-width kernel is known
    # Whether the covariance of what it makes at two pixels, averaged over all pairs of pixels that are a displacement
    # apart, follows from such averages of what it reads, so that kernels are computed by displacement (theory.md §3).
    keeps_lags_apart: ClassVar[bool] = False

    def output(self, signal: Signal) -> Signal:
        """The signal after the layer; raises ValueError where the layer cannot act on `signal`."""
        raise NotImplementedError

    def module(self, signal: Signal, rngs: nnx.Rngs) -> nnx.Module:
        """The freshly initialised finite-width layer for inputs like `signal`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Affine(Layer):
    """A layer with weights, z = σ_w/√fan_in Σ W x + σ_b b with W, b ~ N(0, 1) (theory.md §1)."""

    has_closed_form: ClassVar[bool] = True

    w_std: float = field(default=1.0, kw_only=True)
    b_std: float = field(default=0.0, kw_only=True)

    def __post_init__(self):
        features, name = getattr(self, "features", 1), type(self).__name__
        check_positive(name, "features", features)
        if not isinstance(self.w_std, Real) or not 0 < self.w_std < math.inf:
            raise ValueError(f"{name}: w_std is {self.w_std!r}; it must be positive, a Python or NumPy number")
        if not isinstance(self.b_std, Real) or not 0 <= self.b_std < math.inf:
            raise ValueError(f"{name}: b_std is {self.b_std!r}; it must be zero or positive, a Python or NumPy number")
        for std in ("w_std", "b_std"):
            object.__setattr__(self, std, float(getattr(self, std)))  # specs are compared, hashed and written down

    def average(self, covariance: Float[Array, "*point pair"], lag: Lag) -> Float[Array, "*new_point pair"]:
        """The layer's covariance operator A, at the lag of what it makes (theory.md §2-3)."""
        raise NotImplementedError

    def parts(self, deviation: Float[Array, "*point pair"]) -> Float[Array, "part *new_point pair"]:
        """Standard deviations of the independent terms that z is the sum of: tap by tap, and of the bias.

        `deviation` is that of the layer's input at each point, √K(x, x).
        """
        reads = self._reads(deviation)
        taps = self.w_std / math.sqrt(len(reads)) * reads
        return jnp.concatenate([taps, jnp.full_like(taps[:1], self.b_std)]) if self.b_std else taps

    def _reads(self, deviation: Float[Array, "*point pair"]) -> Float[Array, "tap *new_point pair"]:
        """What each tap reads at each point."""
        return deviation[None]


@dataclass(frozen=True)
class Reduction(Layer):
    """A layer without weights that is linear in its input: Flatten, the averages, Identity."""

    has_closed_form: ClassVar[bool] = True


@dataclass(frozen=True)
class Nonlinearity(Layer):
    """A function applied point by point."""

    keeps_lags_apart: ClassVar[bool] = True

    has_closed_form: ClassVar[bool] = True

    def output(self, signal: Signal) -> Signal:
        return signal

    def dual(
        self, nngp: Float[Array, "..."], variance1: Float[Array, "..."], variance2: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """E[φ(u)φ(v)] and E[φ'(u)φ'(v)] for centred Gaussians u, v with these variances and covariance `nngp`."""
        raise NotImplementedError

    def check_dual(self) -> None:
        """Raise NoClosedFormError where `dual` cannot be computed as exactly as kernels promise, at any variance."""
        if type(self).dual is Nonlinearity.dual:
            raise NoClosedFormError(f"{type(self).__name__} has no dual; give it one, or estimate kernels from samples")

    def side(self, variance: Float[Array, "..."]) -> Any:
        """What `dual_of_gaps` needs of one signal: computed once, and used with every other signal."""
        return variance, root(self.dual(variance, variance, variance)[0])

    def dual_of_gaps(
        self, near: Float[Array, "..."], far: Float[Array, "..."], side1: Any, side2: Any
    ) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
        """√(qq') ∓ K after φ and E[φ'φ'], from √(qq') ∓ K and what `side` makes of the variances.

        Here by `dual`, and so from K; layers of which more is known say how.
        """
        (variance1, after1), (variance2, after2) = side1, side2
        value, derivative = self.dual((far - near) / 2, variance1, variance2)
        near, far = after1 * after2 - value, after1 * after2 + value
        return jnp.where(near < 0, 0, near), jnp.where(far < 0, 0, far), derivative


class AffineModule(nnx.Module, Generic[AffineLayer]):
    """Weights of shape [features, *fan_in] and, if σ_b > 0, a bias per feature, scaled in the forward pass."""

    formulation: Formulation | None = None  # of planar convolutions, which have one

    def __init__(self, layer: AffineLayer, shape: tuple[int, ...], rngs: nnx.Rngs):
        # Drawn flat: a normal draw of a 4-D shape takes seconds to compile.
        self.weight = nnx.Param(standard_normal(rngs(), math.prod(shape)).reshape(shape))
        self.bias = nnx.Param(standard_normal(rngs(), shape[0])) if layer.b_std else None
        self.layer = layer
        self.fan_in = math.prod(shape[1:])
        self.scale = layer.w_std / math.sqrt(self.fan_in)
        self.bias_scale = layer.b_std

    def weight_inputs(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "block fan_in place sample"]:
        """What the weights multiply: z = Σ_i W_i x_i at every place, in `block`s that share no weights.

        With `weight_outputs` this is the layer's derivative by its weights: that of Σ g z is, in each block, the
        product of the two, summed over places. A bias is the weight of one more, constant input (arXiv:2206.08720).
        """
        inputs = self.scale * self._inputs(x)
        return inputs if self.bias is None else jnp.concatenate([inputs, self._constant(inputs)], axis=1)

    def weight_outputs(self, g: Float[Array, "feature *point sample"]) -> Float[Array, "block feature place sample"]:
        """What of a cotangent g of z meets the weights."""
        return g.reshape(1, len(g), -1, g.shape[-1])

    def _inputs(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "block fan_in place sample"]:
        raise NotImplementedError

    def _constant(self, inputs: Float[Array, "block fan_in place sample"]) -> Float[Array, "block 1 place sample"]:
        return jnp.full_like(inputs[:, :1], self.bias_scale)

    def scaled_weight(self) -> Float[Array, "feature *fan_in"]:
        """The weights as they act on inputs, σ_w/√fan_in · W."""
        return self.scale * self.weight[...]

    def add_bias(self, z: Float[Array, "feature *point sample"]) -> Float[Array, "feature *point sample"]:
        """z + σ_b b, the bias shared by all points."""
        if self.bias is None:
            return z
        return z + self.bias_scale * self.bias[...].reshape(-1, *[1] * (z.ndim - 1))


def standard_normal(key: Key[Array, ""], size: int) -> Float[Array, " size"]:
    """N(0, 1), drawn in float32 in either precision: a key is the same network in both."""
    return jax.random.normal(key, (size,), jnp.float32).astype(float)
