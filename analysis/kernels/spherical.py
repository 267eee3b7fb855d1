"""The recursion on the sphere (theory.md §3): a covariance on SO(3) is K(g, g') = κ(gg'⁻¹), one function κ of the lag.

κ is held on a grid of SO(3), where nonlinearities act point by point, for many pairs of inputs at once, [group, pair]:
transforms are then products of small matrices with wide ones. The grid's first point is e, where κ(e) is a variance.
After the pool κ is one number a pair.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.analysis.kernels.blocks import in_blocks_of, in_lanes
from widesym.analysis.kernels.lag_plan import MixedLagsError, with_signals
from widesym.analysis.kernels.pairwise import ELEMENTS, ELEMENTS_ELSEWHERE
from widesym.analysis.kernels.propagation import Ends, Independent, Rules, propagate, recorded, replayed
from widesym.models.architecture import Architecture
from widesym.models.covariance import Covariance, Dual
from widesym.models.layer import Affine, Layer, Nonlinearity
from widesym.models.layers.dense import Dense
from widesym.models.layers.pooling import Flatten
from widesym.models.layers.residual import Identity, Residual
from widesym.models.signal import Signal
from widesym.models.spherical.conv import SO3Conv, SO3Pool, SphereLifting, values
from widesym.models.spherical.wigner import gauss_and_pole, so3_bandlimit, so3_grid

# κ is sampled this many times finer than its bandlimit asks, and no coarser than bandlimit 12 asks: nonlinearities
# broaden its band, and where inputs are turns of one another, Θ has a cusp. Measured with Relu and Abs at bandlimits 2
# to 8: pooled kernels are then invariant to 1e-5 (at twofold oversampling K to 2e-5, Θ to 1e-4).
OVERSAMPLING, COARSEST_GRID = 3, 12

Kappa = Float[Array, "group pair"]
Spheres = Float[Array, "pair theta phi channel"]
SpherePairs = tuple[Spheres, Spheres]


class SphericalInputs(NamedTuple):
    """Inputs, and their variances before each nonlinearity."""

    x: Spheres
    variances: list[Float[Array, " pair"]]


@dataclass(frozen=True)
class SphericalEngine:
    """Raises MixedLagsError for networks that are not equivariant on the sphere from their first layer on."""

    architecture: Architecture
    input_shape: tuple[int, ...]
    independent: bool = False  # between two networks, each with weights of its own

    def __post_init__(self):
        first, *rest = self.architecture.layers
        if not isinstance(first, SphereLifting):
            raise MixedLagsError(f"{type(first).__name__} is no lifting from the sphere")
        for layer, _ in with_signals(rest, self.signals[1]):
            if not isinstance(layer, SO3Conv | SO3Pool | Dense | Nonlinearity | Residual | Identity | Flatten):
                raise MixedLagsError(f"{type(layer).__name__} is not equivariant on SO(3)")

    @cached_property
    def signals(self) -> tuple[Signal, ...]:
        """The signal before each layer and after the last."""
        return self.architecture.signals(self.input_shape)

    @property
    def elements(self) -> int:
        """Array elements that one pair of inputs takes."""
        first, *rest = self.architecture.layers
        return max(_points(layer) for layer in (first, *rest) if isinstance(layer, SphereLifting | SO3Conv))

    def prepare(self, x: Spheres) -> SphericalInputs:
        """What every pair of an input shares."""

        def prepared(block: SpherePairs) -> SphericalInputs:
            variances: list[Float[Array, " pair"]] = []
            self._run(block, SphericalRules, recorded(variances, lambda nngp: nngp[0], _both))
            return SphericalInputs(block[1], variances)

        return in_blocks_of(self._together, prepared, x, x)

    def row(self, first: SphericalInputs, seconds: SphericalInputs) -> Covariance:
        """(K, Θ) of the logits of one prepared input with each of a batch, [n]."""
        first = jax.tree.map(lambda f: f[None], first)
        rules = (lambda inputs: Independent(SphericalRules(inputs))) if self.independent else SphericalRules
        return self._pairs_of(rules)((first, seconds))

    def diagonal(self, prepared: SphericalInputs) -> Covariance:
        """(K, Θ) of the logits of each input with itself, [n]."""
        return in_blocks_of(self._together, self._pairs_of(SphericalRules), prepared, prepared)

    @property
    def _together(self) -> int:
        return in_lanes(ELEMENTS.get(jax.default_backend(), ELEMENTS_ELSEWHERE) // self.elements)

    def _pairs_of(
        self, rules: Callable[[SpherePairs], Rules]
    ) -> Callable[[tuple[SphericalInputs, SphericalInputs]], Covariance]:
        def pairs(block: tuple[SphericalInputs, SphericalInputs]) -> Covariance:
            first, seconds = block
            return self._run((first.x, seconds.x), rules, replayed(first.variances, seconds.variances, _both))

        return pairs

    def _run(self, inputs: SpherePairs, rules: Callable[[SpherePairs], Rules], ends: Ends) -> Covariance:
        unused = jnp.zeros((), inputs[1].dtype)  # the lifting reads the inputs themselves
        state = Covariance(unused, unused)
        state = propagate(self.architecture.layers, self.signals[0], state, rules(inputs), _by_slices(ends))
        return jax.tree.map(lambda kappa: kappa[0], state)


@dataclass(frozen=True)
class SphericalRules(Rules[Covariance]):
    """How κ of pairs of inputs goes through linear layers; a single first input is paired with all second ones."""

    inputs: SpherePairs

    def affine(self, layer: Affine, signal: Signal, state: Covariance) -> Covariance:
        """κ ← σ_w² A(κ) + σ_b², Θ ← κ_new + σ_w² A(Θ), with A a truncation of degrees."""
        if isinstance(layer, SphereLifting):
            first, seconds = self.inputs
            kappa = jax.vmap(layer.kappa, out_axes=-1)(jnp.broadcast_to(first, seconds.shape), seconds)
            nngp = layer.w_std**2 * _sampled(kappa, layer) + layer.b_std**2
            return Covariance(nngp, nngp)
        average: Callable[[Kappa], Kappa] = (
            (lambda kappa: _sampled(layer.truncation(kappa, gauss_and_pole), layer))
            if isinstance(layer, SO3Conv)
            else _same
        )
        nngp = layer.w_std**2 * average(state.nngp) + layer.b_std**2
        return Covariance(nngp, nngp + layer.w_std**2 * average(state.ntk))

    def linear(self, layer: Layer, signal: Signal, state: Covariance) -> Covariance:
        """The mean over SO(3); of Flatten, which pairs every point with itself, κ(e)."""
        if isinstance(layer, SO3Pool):
            return jax.tree.map(lambda kappa: layer.mean(kappa, gauss_and_pole)[None], state)
        if isinstance(layer, Flatten):
            return jax.tree.map(lambda kappa: kappa[:1], state)
        return state


def _sampled(coefficients: Float[Array, "l m n pair"], layer: SphereLifting | SO3Conv) -> Kappa:
    return values(coefficients, _grid(layer), gauss_and_pole)


def _by_slices(ends: Ends) -> Ends:
    """The duals angle γ by angle γ where that is what a CPU's cache holds.

    XLA would else fuse them with the products that follow, and read the pairs' variances number by number.
    """
    if jax.default_backend() != "cpu":
        return ends

    def sliced(layer: Nonlinearity, state: Covariance) -> tuple[Dual, Any, Any]:
        dual, variance1, variance2 = ends(layer, state)

        def of_slices(kappa: Kappa, variance1: Array, variance2: Array) -> tuple[Kappa, Kappa]:
            angles = so3_grid(so3_bandlimit(len(kappa), gauss_and_pole), gauss_and_pole)[0] if len(kappa) > 1 else 1
            slices = kappa.reshape(angles, -1, kappa.shape[-1])
            results = jax.lax.map(lambda slice: dual(slice, variance1, variance2), slices)
            return jax.tree.map(lambda f: f.reshape(kappa.shape), results)

        return of_slices, variance1, variance2

    return sliced


def _same(kappa: Kappa) -> Kappa:
    return kappa


def _both(first: Any, second: Any) -> tuple[Any, Any]:
    return first, second


def _grid(layer: SphereLifting | SO3Conv) -> int:
    return max(layer.bandlimit_out * max(layer.oversampling, OVERSAMPLING), COARSEST_GRID)


def _points(layer: SphereLifting | SO3Conv) -> int:
    gamma, beta, alpha = so3_grid(_grid(layer), gauss_and_pole)
    return gamma * beta * alpha
