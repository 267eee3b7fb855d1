"""Analytic NNGP and NTK of an architecture, for batches of inputs."""

from dataclasses import dataclass
from typing import NamedTuple

import jax.core
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from widesym.analysis.kernels import composite
from widesym.analysis.kernels.closed_form import check_kinds, check_layers, check_parametrization, check_readout
from widesym.analysis.kernels.full import FullEngine, between_points
from widesym.analysis.kernels.progress import Progress, in_pairs
from widesym.models.architecture import Architecture
from widesym.models.covariance import Covariance
from widesym.models.layers.invariants import InputMap
from widesym.models.layers.parts import PartSum


class Kernel(NamedTuple):
    """Kernels between two batches, per output logit (both are the identity in the logits)."""

    nngp: Float[Array, "n1 n2"] | Float[np.ndarray, "n1 n2"]
    ntk: Float[Array, "n1 n2"] | Float[np.ndarray, "n1 n2"]


@dataclass(frozen=True)
class AnalyticKernel:
    """The infinite-width kernels of an architecture, as a function of two batches.

    Raises NoClosedFormError at construction for an architecture whose kernel no input shape could give: a layer without
    closed form, or a parametrization other than `ntk`.
    """

    architecture: Architecture

    def __post_init__(self):
        check_parametrization(self.architecture)
        check_kinds(self.architecture.layers)

    def __call__(
        self,
        x1: Float[ArrayLike, "n1 *point channel"],
        x2: Float[ArrayLike, "n2 *point channel"] | None = None,
        progress: Progress | None = None,
    ) -> Kernel:
        """K and Θ of all pairs (theory.md §2-3; arXiv:2406.06504); of x1 with itself if x2 is left out.

        Tile by tile, in the inputs' precision (float64 if JAX has that enabled). `progress` is told after each how many
        pairs of inputs are computed, and of how many. Raises NoClosedFormError for an architecture without closed form,
        and ValueError for inputs that do not fit it, are empty or not finite, for kernels that overflow, and for
        progress that is asked for under jit, where nothing is computed yet.
        """
        kernel = self.unchecked(x1, x2, progress)
        check_kernel_finite(kernel)
        return kernel

    def unchecked(
        self,
        x1: Float[ArrayLike, "n1 *point channel"],
        x2: Float[ArrayLike, "n2 *point channel"] | None = None,
        progress: Progress | None = None,
    ) -> Kernel:
        """The same, where kernels that overflow are the caller's to find."""
        x1, x2 = check_both(x1, x2)
        self._check(x1)
        if progress is not None and any(isinstance(x, jax.core.Tracer) for x in (x1, x2)):
            raise ValueError("progress cannot be told under jit, where nothing is computed yet; leave it out")
        pairs = len(x1) * (len(x1) + 1) // 2 if x2 is None else len(x1) * len(x2)
        return Kernel(*composite.gram(self.architecture.layers, x1, x2, told=in_pairs(progress, pairs)))

    def before_pooling(
        self, x1: Float[ArrayLike, "n1 *point channel"], x2: Float[ArrayLike, "n2 *point channel"] | None = None
    ) -> Kernel:
        """K and Θ between all group elements and pixels, `[n1, n2, *axes, *axes]`, before the layer that leaves none.

        That is the first pool, or Flatten, after which there is but a vector; the axes are (group element,) row and
        column of x1's signal there, then of x2's. Point by point, so P² numbers a pair (docs/kernels.md). Raises
        NoClosedFormError as `__call__` does, and ValueError where there are no points, or x1 and x2 do not fit.
        """
        x1, x2 = check_both(x1, x2)
        self._check(x1)
        first, start = self.architecture.layers[0], self.architecture.signals(x1.shape[1:])[0]
        if start.is_vector or isinstance(first, InputMap | PartSum):
            where = f"{type(first).__name__} acts on the input" if not start.is_vector else "inputs are vectors"
            raise ValueError(f"there are no points before pooling: {where}; call the kernel itself")
        engine = FullEngine(self.architecture, x1.shape[1:])
        kernel = Kernel(*between_points(engine, x1, x1 if x2 is None else x2))
        check_kernel_finite(kernel)
        return kernel

    def diagonal(self, x: Float[ArrayLike, "n *point channel"]) -> Covariance:
        """K(x, x) and Θ(x, x) of each input with itself, `[n]`, at the cost of n pairs."""
        x = check_inputs("x", x)
        self._check(x)
        kernel = composite.diagonal(self.architecture.layers, x)
        check_kernel_finite(kernel)
        return kernel

    def _check(self, x: Float[Array, "n *point channel"]) -> None:
        check_readout(check_layers(self.architecture.layers, self.architecture.signals(x.shape[1:])[0]))


def analytic_kernel(architecture: Architecture) -> AnalyticKernel:
    """The analytic kernel of this very architecture: `analytic_kernel(arch)(x1, x2).ntk` is Θ, `[n1, n2]`."""
    return AnalyticKernel(architecture)


def check_both(
    x1: Float[ArrayLike, "n1 *point channel"], x2: Float[ArrayLike, "n2 *point channel"] | None
) -> tuple[Float[Array, "n1 *point channel"], Float[Array, "n2 *point channel"] | None]:
    """Both in one precision; raises ValueError as `check_inputs` does, and where their inputs differ in shape."""
    x1 = check_inputs("x1", x1)
    if x2 is None:
        return x1, None
    x2 = check_inputs("x2", x2)
    if x1.shape[1:] != x2.shape[1:]:
        raise ValueError(f"x1 holds inputs of shape {x1.shape[1:]}, x2 of shape {x2.shape[1:]}; they must agree")
    dtype = jnp.promote_types(x1.dtype, x2.dtype)
    return x1.astype(dtype), x2.astype(dtype)


def check_kernel_finite(kernel: Kernel | Covariance) -> None:
    """Raise ValueError for kernels that are not finite; under jit there are no values to look at."""
    if any(isinstance(values, jax.core.Tracer) for values in kernel):
        return
    if not all(bool(jnp.isfinite(values).all()) for values in kernel):
        raise ValueError(not_finite_message(np.asarray(kernel.nngp), np.asarray(kernel.ntk)))


def not_finite_message(
    nngp: Float[np.ndarray, "*pair"], ntk: Float[np.ndarray, "*pair"], start: tuple[int, int] = (0, 0)
) -> str:
    """For people: how many kernels are not finite, and the first pair of inputs, counted from `start`, with one."""
    bad = ~(np.isfinite(nngp) & np.isfinite(ntk))
    bad = bad.any(tuple(range(2, bad.ndim)))  # between any points of a pair
    first = np.argwhere(bad)[0]
    return (
        f"kernels of {bad.sum()} pairs are not finite, the first between inputs {start[0] + first[0]} and "
        f"{start[1] + first[-1]}; in {nngp.dtype} they may overflow, or variances exceed the `largest_variance` to "
        "which an Elementwise is integrated: scale the inputs or weights down, or use float64"
    )


def check_inputs(name: str, x: Float[ArrayLike, "n *point channel"]) -> Float[Array, "n *point channel"]:
    """x as floats of 32 bits at least; raises ValueError where it is no batch of inputs, complex or not finite."""
    if isinstance(x, np.ndarray) and x.dtype.kind in "iu":
        x = x.astype(float)  # without 64 bits JAX would cut large whole numbers to their last 32
    array = jnp.asarray(x)
    if not 2 <= array.ndim <= 5 or not len(array):
        raise ValueError(
            f"{name} has shape {array.shape}; it must be [n, H, W, C] or [n, C] with n > 0, or sets of these, [n, A, …]"
        )
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise ValueError(f"{name} has complex values; kernels are of real inputs")
    if not isinstance(array, jax.core.Tracer):  # under jit there are no values to look at yet
        bad = int(jnp.sum(~jnp.isfinite(array)))
        if bad:
            raise ValueError(f"{name} has {bad} values that are not finite (of {array.size}); remove or replace them")
    floating = array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)
    return floating.astype(jnp.promote_types(floating.dtype, jnp.float32))  # 16 bits overflow in squares of pixels
