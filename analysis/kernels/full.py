"""The recursion on full covariances, point by point: for every architecture with a closed form, if slow.

An affine layer is linear in its weights, so with T_b the layer whose b-th weight is one and all others zero,
σ_w² A(K) = Σ_b T_b K T_bᵀ. That holds of every layer, also of those that mix lags (theory.md §3).
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property, partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from widesym.analysis.kernels.lag_plan import with_signals
from widesym.analysis.kernels.pairwise import PairwiseEngine
from widesym.analysis.kernels.propagation import Ends, Independent, Rules, propagate, recorded, replayed
from widesym.models.architecture import Architecture
from widesym.models.covariance import Covariance
from widesym.models.layer import Affine, Layer
from widesym.models.signal import Signal, to_layout

PointByPoint = Float[Array, "point1 point2"]


@dataclass(frozen=True)
class FullEngine(PairwiseEngine, Rules[Covariance]):
    """Covariances between all points of one input and all points of another."""

    architecture: Architecture
    input_shape: tuple[int, ...]
    independent: bool = False  # between two networks, each with weights of its own

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """The signal before each layer and after the last."""
        return self.architecture.signals(self.input_shape)

    @property
    def elements(self) -> int:
        """Array elements that one pair of inputs takes."""
        layers = with_signals(self.architecture.layers, self.signals[0])
        windows = [getattr(layer, "window", None) for layer, _ in layers]
        views = max((window.size**2 for window in windows if window), default=1)
        return views * max(signal.points for signal in self.signals) ** 2

    def prepare_one(self, x: Float[Array, "*point channel"]) -> tuple[Float[Array, "channel point"], list]:
        """An input, and its variances before each nonlinearity."""
        x = to_layout(x[None]).reshape(x.shape[-1], -1)
        variances: list = []
        self._run(x, x, self, recorded(variances, jnp.diagonal, _outer))
        return x, variances

    def pair(self, first: tuple, second: tuple) -> Covariance:
        """(K, Θ) of the logits of two prepared inputs."""
        (x1, variances1), (x2, variances2) = first, second
        rules = Independent(self) if self.independent else self
        return self._run(x1, x2, rules, replayed(variances1, variances2, _outer))

    def own(self, prepared: tuple) -> Covariance:
        """(K, Θ) of the logits of an input with itself."""
        x, variances = prepared
        return self._run(x, x, self, replayed(variances, variances, _outer))

    @cached_property
    def spread(self) -> int:
        """How many layers there are before the one that leaves a single point."""
        return next(depth for depth, signal in enumerate(self.signals[1:]) if signal.is_vector)

    def between_points(self, first: tuple, second: tuple) -> Covariance:
        """(K, Θ) [point1, point2] of two prepared inputs, before the layer that leaves a single point."""
        (x1, variances1), (x2, variances2) = first, second
        layers, ends = self.architecture.layers[: self.spread], replayed(variances1, variances2, _outer)
        return propagate(layers, self.signals[0], _of_inputs(x1, x2), self, ends)

    def _run(
        self, x1: Float[Array, "channel point1"], x2: Float[Array, "channel point2"], rules: Rules, ends: Ends
    ) -> Covariance:
        state = propagate(self.architecture.layers, self.signals[0], _of_inputs(x1, x2), rules, ends)
        return jax.tree.map(lambda k: k[0, 0], state)

    def affine(self, layer: Affine, signal: Signal, state: Covariance) -> Covariance:
        """K ← σ_w² A(K) + σ_b², Θ ← K_new + σ_w² A(Θ) (theory.md §2)."""
        nngp, ntk = (scaled_average(layer, signal, k) for k in state)
        nngp = nngp + layer.b_std**2
        return Covariance(nngp, nngp + ntk)

    def linear(self, layer: Layer, signal: Signal, state: Covariance) -> Covariance:
        """Both sides of K through a layer without weights; of points that become channels the mean is left."""
        one_channel = replace(signal, channels=1)
        module, after = layer.module(one_channel, nnx.Rngs(0)), layer.output(one_channel)
        return jax.tree.map(lambda k: channel_mean(_both_sides(lambda x: module(x), signal, k), after), state)


@partial(jax.jit, static_argnums=0)
def between_points(
    engine: FullEngine, x1: Float[Array, "n1 *point channel"], x2: Float[Array, "n2 *point channel"]
) -> Covariance:
    """(K, Θ) [n1, n2, *axes, *axes] of all pairs before the layer that leaves a single point."""
    axes = engine.signals[engine.spread].axes
    with jax.default_matmul_precision("float32"):  # accelerators would round the factors to fewer bits
        rows, columns = engine.prepare(x1), engine.prepare(x2)
        pairs = jax.lax.map(lambda row: jax.lax.map(lambda column: engine.between_points(row, column), columns), rows)
    return jax.tree.map(lambda k: k.reshape(*k.shape[:2], *axes, *axes), pairs)


def _of_inputs(x1: Float[Array, "channel point1"], x2: Float[Array, "channel point2"]) -> Covariance:
    nngp = x1.T @ x2 / len(x1)
    return Covariance(nngp, jnp.zeros_like(nngp))


def scaled_average(layer: Affine, signal: Signal, covariance: PointByPoint) -> Float[Array, "new_point1 new_point2"]:
    """σ_w² A(K), weight by weight."""
    one_channel, bare = replace(signal, channels=1), replace(layer, features=1, b_std=0.0)
    graph, state = nnx.split(nnx.eval_shape(lambda: bare.module(one_channel, nnx.Rngs(0))))
    shape = state["weight"].shape
    weights = math.prod(shape)

    def add_tap(b, total):
        weight = jnp.zeros(weights, covariance.dtype).at[b].set(1).reshape(shape)
        return total + _both_sides(lambda x: nnx.merge(graph, {"weight": weight})(x), signal, covariance)

    new = layer.output(signal).points
    return jax.lax.fori_loop(0, weights, add_tap, jnp.zeros((new, new), covariance.dtype))


def channel_mean(
    covariance: Float[Array, "channel_point1 channel_point2"], signal: Signal
) -> Float[Array, "point1 point2"]:
    """Mean over the channels of the signal of the covariance of each with itself."""
    split = covariance.reshape(2 * (signal.channels, signal.points))
    return jnp.einsum("cpcq->pq", split) / signal.channels


def _both_sides(function, signal: Signal, covariance: PointByPoint) -> Float[Array, "new_point1 new_point2"]:
    """T K Tᵀ for a linear function T of a one-channel signal."""
    for _ in (1, 2):
        covariance = function(covariance.reshape(1, *signal.axes, -1)).reshape(-1, covariance.shape[1]).T
    return covariance


def _outer(variance1: Float[Array, " point1"], variance2: Float[Array, " point2"]) -> tuple[Array, Array]:
    return variance1[:, None], variance2[None, :]
