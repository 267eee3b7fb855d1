"""Activations without a closed form: their duals by numerical integration."""

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from models.activations import Activation, Field, norm_and_cosine, sine_of
from models.description import importable_name
from models.smooth_roots import root


@dataclass(frozen=True)
class Quadrature(Activation):
    """An activation whose dual is a sum over nodes × nodes points, the trapezoidal rule on ±7 standard deviations.

    Steep functions, of large variance, need more nodes. Measured for tanh, largest errors of the two duals over c:

        nodes  q = 1         q = 3         q = 10        q = 100
        64     1e-12, 1e-12  5e-10, 2e-8   1e-5, 2e-4    2e-2, 3e-2
        128    1e-12, 1e-12  1e-12, 1e-12  2e-11, 1e-9   4e-4, 2e-3
        256    1e-12, 2e-12  1e-12, 1e-12  1e-12, 1e-12  1e-7, 2e-6

    Kinks converge slowly, and fn must grow slower than e^{z²/4q}.
    """

    nodes: int = field(default=64, kw_only=True)

    def __post_init__(self):
        # Fewer do not resolve the Gaussian.
        if not isinstance(self.nodes, Integral) or self.nodes < 16:
            raise ValueError(f"{type(self).__name__}: nodes is {self.nodes!r}; it must be an integer of at least 16")

    def dual(self, nngp: Field, variance1: Field, variance2: Field) -> tuple[Field, Field]:
        """Σ_ij w_i w_j φ(u_i) φ(v_ij), u_i = √q x_i, v_ij = √q' (c x_i + √(1 − c²) x_j), and the same with φ'."""
        _, cosine = norm_and_cosine(nngp, variance1, variance2)
        sine, phi = sine_of(cosine), jnp.vectorize(jax.value_and_grad(self.phi))
        rule = _rule(self.nodes, cosine.dtype)

        # Point after point, so that memory does not grow with the nodes.
        def mean(f: Callable[[Float[Array, ""]], tuple[Field, Field]]) -> tuple[Field, Field]:
            def add(sums: tuple[Field, Field], node: tuple[Field, Field]) -> tuple[tuple[Field, Field], None]:
                value, slope = f(node[0])
                return (sums[0] + node[1] * value, sums[1] + node[1] * slope), None

            return jax.lax.scan(add, (jnp.zeros_like(cosine), jnp.zeros_like(cosine)), rule)[0]

        def given_u(x: Float[Array, ""]) -> tuple[Field, Field]:
            value, slope = phi(root(variance1) * x)
            mean_value, mean_slope = mean(lambda y: phi(root(variance2) * (cosine * x + sine * y)))
            return value * mean_value, slope * mean_slope

        return mean(given_u)


def _rule(nodes: int, dtype: jnp.dtype) -> tuple[Float[Array, " node"], Float[Array, " node"]]:
    """Nodes x_i and weights w_i of E[f(x)] = Σ_i w_i f(x_i), x ~ N(0, 1): equidistant points.

    For tanh's like, whose singularities in the complex plane come close as q grows, they converge far faster than
    Gauss-Hermite (Trefethen 2022, arXiv:2101.09501).
    """
    x = np.linspace(-7, 7, nodes)  # 3e-12 lies outside
    density = np.exp(-(x**2) / 2)
    return jnp.asarray(x, dtype), jnp.asarray(density / density.sum(), dtype)


@dataclass(frozen=True)
class Tanh(Quadrature):
    """φ(z) = tanh(z)."""

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
