"""Activations without a closed form: their duals by numerical integration, and how far these are to be trusted."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from numbers import Integral

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widesym.models.description import importable_name
from widesym.models.layer import NoClosedFormError
from widesym.models.layers.activations import Activation, Field
from widesym.models.layers.gaussian_means import gaussian_means, integrated

DUAL = ((0, 0), (1, 1))  # E[φφ] and E[φ'φ']
TOLERANCE = 1e-5  # largest error of either, relative to the root of the product of both signals' own, at c = 1
IN_SINGLE = 9 / 16  # of the nodes are enough in float32: their error is below its rounding
VARIANCES = np.array([1e-8, 1e-4, 0.01, *(10 ** np.arange(-1, 3.5, 0.5)), 1e4, 1e5, 1e6, 1e7, 1e8])
COSINES = np.array([1, -0.9, 0.3, 0.9, 0.99])


@dataclass(frozen=True)
class Quadrature(Activation):
    """An activation whose dual is a sum over points (models/layers/gaussian_means.py): nodes × nodes, more of large
    variance.

    The error does not grow with variance. At variances from 1e-8 to 1e6 and cosines from −1 to 1, those of tanh's
    duals, relative to what they are at c = 1, are below 1e-9 with 64 nodes and below 1e-6 with 36, as in float32.

    Functions with kinks, jumps or waves need many more. So each function is tried once with 1.5 times as many, at
    variances from 1e-8 upwards: its dual holds as far as both agree to 1e-5, and is NaN, which kernels refuse, beyond.
    In float32 the nodes are 9/16 of what is said here, whose error is below its rounding.
    """

    nodes: int = field(default=64, kw_only=True)

    def __post_init__(self):
        # Fewer do not resolve the Gaussian.
        if not isinstance(self.nodes, Integral) or self.nodes < 16:
            raise ValueError(f"{type(self).__name__}: nodes is {self.nodes!r}; it must be an integer of at least 16")

    @property
    def largest_variance(self) -> float:
        """Of those that were tried, the largest up to which the dual holds; 0 if it does at none."""
        holds = np.append(_errors(self) <= TOLERANCE, False)
        return float(np.append(0, VARIANCES)[holds.argmin()])

    def check_dual(self) -> None:
        if self.largest_variance:
            return
        error = _errors(self)[VARIANCES.searchsorted(1)]
        raise NoClosedFormError(
            f"{self!r} has no kernel to {TOLERANCE:.0e}: at variance 1 the integrals of its dual are off by about "
            f"{error:.0e}, as of functions with kinks or jumps. Take a smooth function, more nodes, or Relu, LeakyRelu "
            "or Abs, whose duals are closed forms; or estimate the kernel from samples"
        )

    def dual(self, nngp: Field, variance1: Field, variance2: Field) -> tuple[Field, Field]:
        """E[φ(u)φ(v)] and E[φ'(u)φ'(v)]; NaN where a variance is larger than `largest_variance`."""
        holds = jnp.maximum(variance1, variance2) <= self.largest_variance
        arrays = jnp.broadcast_arrays(nngp, variance1, variance2)
        nodes = self.nodes if arrays[0].dtype == jnp.float64 else _in_single(self.nodes)
        value, slope = (jnp.where(holds, mean, jnp.nan) for mean in gaussian_means(self.phi, DUAL, nodes, *arrays))
        return value, slope


def _in_single(nodes: int) -> int:
    return round(IN_SINGLE * nodes)


@lru_cache
def _errors(layer: Quadrature) -> Float[np.ndarray, " variance"]:
    """The larger error of the two duals at each variance: between signals of the same one, and with one of 1."""
    variance, cosine = np.broadcast_arrays(VARIANCES[:, None], COSINES)
    q1, q2 = np.stack([variance, variance], 1), np.stack([variance, np.ones_like(variance)], 1)
    few = _in_single(layer.nodes)
    with jax.ensure_compile_time_eval(), jax.enable_x64(True):  # also while a kernel is being traced
        arrays = [jnp.asarray(x) for x in (cosine[:, None] * np.sqrt(q1 * q2), q1, q2)]
        # Variance by variance, as the largest one decides how many nodes all are given.
        means = jax.jit(lambda nodes, *qs: jax.lax.map(lambda q: integrated(layer.phi, DUAL, nodes, *q), qs))
        coarse, fine = (np.moveaxis(means(nodes, *arrays), 1, 2) for nodes in (few, few * 3 // 2))
    with np.errstate(invalid="ignore", over="ignore"):  # functions that grow too fast, or are nowhere defined
        own = np.sqrt(np.abs(fine[:, 0, :, 0]))  # [dual, variance]: of cosine 1
        size = own[:, None, :, None] * np.stack([own, own[:, VARIANCES == 1] + 0 * own], axis=1)[..., None]
        relative = np.abs(coarse - fine) / np.where(size > 0, size, 1)
    return np.where(np.isfinite(relative), relative, np.inf).max((0, 1, 3))


@dataclass(frozen=True)
class Tanh(Quadrature):
    """The hyperbolic tangent as activation, φ(z) = tanh(z)."""

    def phi(self, z: Field) -> Field:
        return jnp.tanh(z)


@dataclass(frozen=True, repr=False)
class Elementwise(Quadrature):
    """φ = fn, any differentiable JAX function of one number that can be imported by its name.

    Raises ValueError at construction for anything else: run directories record the name.
    """

    fn: Callable[[Float[Array, ""]], Float[Array, ""]]

    def __post_init__(self):
        super().__post_init__()
        need = f"Elementwise: {importable_name(self.fn)} must be a differentiable JAX function of one number"
        number = jax.ShapeDtypeStruct((), jnp.float32)
        try:
            found, _ = jax.eval_shape(jax.value_and_grad(self.fn), number)
        except Exception as error:  # whatever fn raises
            raise ValueError(f"{need}, but raises {type(error).__name__} when called with one") from error
        if found.dtype != number.dtype:
            raise ValueError(f"{need}, but turns {number.dtype} into {found.dtype}")

    def __repr__(self) -> str:
        return f"Elementwise({importable_name(self.fn)}, nodes={self.nodes})"

    def phi(self, z: Field) -> Field:
        return jnp.vectorize(self.fn)(z)
