"""The recursion on the sphere (theory.md §3): a covariance on SO(3) is K(g, g') = κ(gg'⁻¹), one function κ of the lag.

κ is held on a grid of SO(3), where nonlinearities act point by point, with κ(e), the variance, behind the grid's
points: the identity is none of them. After the pool it is one number.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from analysis.kernels.lag_plan import MixedLagsError, with_signals
from analysis.kernels.pairwise import PairwiseEngine
from analysis.kernels.propagation import Ends, Independent, Rules, propagate, recorded, replayed
from models.architecture import Architecture
from models.covariance import Covariance
from models.dense import Dense
from models.layer import Affine, Layer, Nonlinearity
from models.pooling import Flatten
from models.residual import Identity, Residual
from models.signal import Signal
from models.spherical import SO3Conv, SO3Pool, SphereLifting, at_identity, values
from models.wigner import so3_grid

# κ is sampled at least this many times finer than its bandlimit asks: nonlinearities broaden its band. Measured at
# L = 3 with Relu: K is then right to 1e-5, Θ to 1e-4 (at 1: 1e-2).
OVERSAMPLING = 2

Kappa = Float[Array, " group_and_identity"]
Spheres = tuple[Float[Array, "theta phi channel"], Float[Array, "theta phi channel"]]


@dataclass(frozen=True)
class SphericalEngine(PairwiseEngine):
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

    def prepare_one(self, x: Float[Array, "theta phi channel"]) -> tuple[Array, list]:
        """An input, and its variances before each nonlinearity."""
        variances: list[Float[Array, ""]] = []
        self._run((x, x), SphericalRules((x, x)), recorded(variances, lambda nngp: nngp[-1], lambda a, b: (a, b)))
        return x, variances

    def pair(self, first: tuple, second: tuple) -> Covariance:
        """(K, Θ) of the logits of two prepared inputs."""
        rules = SphericalRules((first[0], second[0]))
        return self._run_pair(first, second, Independent(rules) if self.independent else rules)

    def own(self, prepared: tuple) -> Covariance:
        """(K, Θ) of the logits of an input with itself."""
        return self._run_pair(prepared, prepared, SphericalRules((prepared[0], prepared[0])))

    def _run_pair(self, first: tuple, second: tuple, rules: Rules) -> Covariance:
        ends = replayed(first[1], second[1], lambda a, b: (a, b))
        return self._run((first[0], second[0]), rules, ends)

    def _run(self, inputs: Spheres, rules: Rules, ends: Ends) -> Covariance:
        unused = jnp.zeros((), inputs[0].dtype)  # the lifting reads the inputs themselves
        state = Covariance(unused, unused)
        state = propagate(self.architecture.layers, self.signals[0], state, rules, ends)
        return jax.tree.map(lambda kappa: kappa[-1], state)


@dataclass(frozen=True)
class SphericalRules:
    """How κ of two inputs goes through linear layers."""

    inputs: Spheres

    def affine(self, layer: Affine, signal: Signal, state: Covariance) -> Covariance:
        """κ ← σ_w² A(κ) + σ_b², Θ ← κ_new + σ_w² A(Θ), with A a truncation of degrees."""
        if isinstance(layer, SphereLifting):
            nngp = layer.w_std**2 * _sampled(layer.kappa(*self.inputs), layer) + layer.b_std**2
            return Covariance(nngp, nngp)
        average: Callable[[Kappa], Kappa] = (
            (lambda kappa: _sampled(layer.truncation(kappa[:-1]), layer)) if isinstance(layer, SO3Conv) else _same
        )
        nngp = layer.w_std**2 * average(state.nngp) + layer.b_std**2
        return Covariance(nngp, nngp + layer.w_std**2 * average(state.ntk))

    def linear(self, layer: Layer, signal: Signal, state: Covariance) -> Covariance:
        """The mean over SO(3); of Flatten, which pairs every point with itself, κ(e)."""
        if isinstance(layer, SO3Pool):
            return jax.tree.map(lambda kappa: layer.mean(kappa[:-1])[None], state)
        if isinstance(layer, Flatten):
            return jax.tree.map(lambda kappa: kappa[-1:], state)
        return state


def _sampled(coefficients: Float[Array, "l m n"], layer: SphereLifting | SO3Conv) -> Kappa:
    return jnp.append(values(coefficients, _grid(layer)), at_identity(coefficients))


def _same(kappa: Kappa) -> Kappa:
    return kappa


def _grid(layer: SphereLifting | SO3Conv) -> int:
    return layer.bandlimit_out * max(layer.oversampling, OVERSAMPLING)


def _points(layer: SphereLifting | SO3Conv) -> int:
    gamma, beta, alpha = so3_grid(_grid(layer))
    return gamma * beta * alpha
