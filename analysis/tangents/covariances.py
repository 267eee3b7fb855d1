"""Layers that neural-tangents lacks, on its full covariances: group and spherical ones, and sums of uncorrelated parts.

Right for every filter, grid and stride; the lag engine is what computes kernels fast (docs/kernels.md).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from widesym.analysis.kernels.full import PointByPoint, channel_mean
from widesym.analysis.tangents.averages import averaged
from widesym.analysis.tangents.finite import NetworkPart, check_unmasked, finite_functions, signal_on
from widesym.models.layer import Affine, Layer
from widesym.models.signal import Domain, Signal

Interleaved = Float[Array, "*batch_and_axis_twice"]  # neural-tangents' layout: rows, rows, columns, columns, …


def full_covariance_layer(stax: ModuleType, layer: Layer, group: Domain | None) -> tuple[Callable[..., Any], ...]:
    """A layer of ours, linear in its input, as (init_fn, apply_fn, kernel_fn)."""

    @stax.requires(batch_axis=0, channel_axis=-1, diagonal_spatial=stax.Diagonal(input=stax.Bool.NO))
    def kernel_fn(kernel: Any, **_: Any) -> Any:
        check_unmasked(kernel.mask1, kernel.mask2)
        kernel = kernel.reverse() if kernel.is_reversed else kernel
        signal = signal_on(group, kernel.shape1[1:])
        axes = layer.output(signal).axes
        new = _moved(kernel, partial(_through, layer, signal), axes)
        if isinstance(layer, Affine):
            new |= {name: new[name] + layer.b_std**2 for name in ("nngp", "cov1", "cov2") if name in new}
            if kernel.ntk is not None:
                new["ntk"] = new["nngp"] + new.get("ntk", 0)
        gaussian = kernel.is_gaussian or isinstance(layer, Affine)
        return kernel.replace(channel_axis=len(axes) + 1, is_gaussian=gaussian, **new)

    return stax.layer(_named(type(layer).__name__, (*finite_functions(NetworkPart((layer,), group)), kernel_fn)))()


def uncorrelated_sum(stax: ModuleType) -> tuple[Callable[..., Any], ...]:
    """FanInSum without its demand for Gaussians and its warning: what a Residual adds is known to be uncorrelated."""

    def kernel_fn(kernels: Any, **_: Any) -> Any:
        kernels = [kernel.reverse() if kernel.is_reversed else kernel for kernel in kernels]
        fields = {name: [getattr(kernel, name) for kernel in kernels] for name in ("nngp", "ntk", "cov1", "cov2")}
        sums = {name: None if values[0] is None else sum(values) for name, values in fields.items()}
        return kernels[0].replace(is_gaussian=all(kernel.is_gaussian for kernel in kernels), **sums)

    return stax.layer(_named("Residual", (*stax.FanInSum()[:2], kernel_fn)))()


def _moved(
    kernel: Any, through: Callable[[PointByPoint], PointByPoint], axes: tuple[int, ...]
) -> dict[str, Interleaved]:
    """All of a kernel's covariances through a layer, at once; Θ before the first weights, a plain zero, is left out."""
    own = 1 if kernel.diagonal_batch else 2
    found = {
        name: (getattr(kernel, name), batch) for name, batch in (("nngp", 2), ("ntk", 2), ("cov1", own), ("cov2", own))
    }
    found = {name: pair for name, pair in found.items() if pair[0] is not None and pair[0].ndim}
    matrices = [to_matrices(*pair) for pair in found.values()]
    ends = np.cumsum([len(pairs) for pairs in matrices])[:-1]
    moved = jnp.split(jax.vmap(through)(jnp.concatenate(matrices)), ends)
    return {
        name: from_matrices(new, covariance.shape[:batch], axes)
        for new, (name, (covariance, batch)) in zip(moved, found.items(), strict=True)
    }


def to_matrices(covariance: Interleaved, batch: int) -> Float[Array, "pair point1 point2"]:
    """From [*batch, rows, rows, columns, columns, …] to matrices over points, the batch axes made one."""
    ndim = covariance.ndim
    points = math.prod(covariance.shape[batch::2])
    ordered = covariance.transpose(*range(batch), *range(batch, ndim, 2), *range(batch + 1, ndim, 2))
    return ordered.reshape(-1, points, points)


def from_matrices(
    matrices: Float[Array, "pair point1 point2"], batch: tuple[int, ...], axes: tuple[int, ...]
) -> Interleaved:
    """Back again, to points on these axes."""
    ordered, first = matrices.reshape(*batch, *axes, *axes), len(batch)
    pairs = [axis for i in range(len(axes)) for axis in (first + i, first + len(axes) + i)]
    return ordered.transpose(*range(first), *pairs)


def _through(layer: Layer, signal: Signal, covariance: PointByPoint) -> Float[Array, "new_point1 new_point2"]:
    if isinstance(layer, Affine):
        return averaged(layer, signal, covariance)
    one_channel = replace(signal, channels=1)
    points = jnp.eye(signal.points, dtype=covariance.dtype)
    matrix = layer.module(one_channel, nnx.Rngs(0))(points.reshape(1, *signal.axes, -1)).reshape(-1, signal.points)
    return channel_mean(matrix @ covariance @ matrix.T, layer.output(one_channel))


def _named(name: str, functions: tuple[Callable[..., Any], ...]) -> Callable[[], tuple[Callable[..., Any], ...]]:
    def make() -> tuple[Callable[..., Any], ...]:
        return functions

    make.__name__ = name  # neural-tangents shows it in its errors
    return make
