"""The sliding matrix product behind every planar convolution, in the formulations worth having.

Which is fastest depends on the backend, on the sizes and on whether members are vmapped, so trainers measure
(ensembles/trial.py). `lax`, with weights of its own for each member, becomes a grouped convolution, slow on CPUs and
often on GPUs. `patches` writes each input as often as the filter has pixels, and stays a batched matrix product.
`reverse` is the same with its transposes written by hand for XLA's CPU compiler (benchmarks/README.md), which leaves it
without forward-mode derivatives.
"""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.models.window import Window

Formulation = Literal["patches", "reverse", "lax"]

Padded = Float[Array, "*axis row column sample"]
Patches = Float[Array, "tap *axis new_row new_column sample"]
Matrix = Float[Array, "row column"]


def correlate(
    bank: Float[Array, "feature row column *axis"],
    x: Float[Array, "*axis row column sample"],
    window: Window,
    formulation: Formulation | None,
) -> Float[Array, "feature new_row new_column sample"]:
    """z_f(t) = Σ_y Σ_c bank_f(y, c) x_c(stride·t + y), where c runs over all axes before the grid."""
    padded = window.padded(x)
    if formulation == "lax":
        return jax.lax.conv_general_dilated(
            padded.reshape(-1, *padded.shape[-3:]),
            bank.reshape(*bank.shape[:3], -1),
            window_strides=(window.stride, window.stride),
            padding="VALID",
            dimension_numbers=("CHWN", "OHWI", "CHWN"),
        )
    by_hand = formulation == "reverse"
    patches: Array = _views(padded, window) if by_hand else window.read(padded)
    times = _times if by_hand else jnp.matmul
    z: Array = times(bank.reshape(len(bank), -1), patches.reshape(bank[0].size, -1))
    return z.reshape(len(bank), *patches.shape[-3:])


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _views(x: Padded, window: Window) -> Patches:
    """All taps; backward, they are added up one after the other, where autodiff adds padded copies."""
    return window.read(x)


def _views_forward(x: Padded, window: Window) -> tuple[Patches, Padded]:
    return window.read(x), x  # for its shape


def _views_backward(window: Window, x: Padded, g: Patches) -> tuple[Padded]:
    dx = jnp.zeros_like(x)
    for tap, index in enumerate(window.taps(x.shape)):
        dx = dx.at[index].add(g[tap])
    return (dx,)


_views.defvjp(_views_forward, _views_backward)


@jax.custom_vjp
def _times(a: Matrix, b: Matrix) -> Matrix:
    """a @ b, backward with operands as XLA's fast product wants them: no factor transposed on the fly."""
    return a @ b


def _times_forward(a: Matrix, b: Matrix) -> tuple[Matrix, tuple[Matrix, Matrix]]:
    return a @ b, (a, b)


def _times_backward(saved: tuple[Matrix, Matrix], g: Matrix) -> tuple[Matrix, Matrix]:
    a, b = saved
    turned = jax.lax.optimization_barrier(a.T)  # in memory: XLA would fold it into its slow product
    da = jax.lax.optimization_barrier(jax.lax.dot_general(b, g, (((1,), (1,)), ((), ())))).T
    return da, turned @ g


_times.defvjp(_times_forward, _times_backward)
