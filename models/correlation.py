"""The sliding matrix product behind every planar convolution, in the two formulations worth having.

Which is faster depends on the backend, on the sizes and on whether members are vmapped: `lax`, with weights of its own
for each member, becomes a grouped convolution, slow on CPUs and often on GPUs; `patches` stays a batched matrix
product, but writes each input as often as the filter has pixels. Trainers measure (ensembles/trial.py).
"""

from typing import Literal

import jax
from jaxtyping import Array, Float

from models.window import Window

Formulation = Literal["patches", "lax"]


def correlate(
    bank: Float[Array, "feature row column *axis"],
    x: Float[Array, "*axis row column sample"],
    window: Window,
    formulation: Formulation | None,
) -> Float[Array, "feature new_row new_column sample"]:
    """z_f(t) = Σ_y Σ_c bank_f(y, c) x_c(stride·t + y), where c runs over all axes before the grid."""
    if formulation != "lax":
        views = window.views(x)
        z = bank.reshape(len(bank), -1) @ views.reshape(bank[0].size, -1)
        return z.reshape(len(bank), *views.shape[-3:])
    padded = window.padded(x)
    return jax.lax.conv_general_dilated(
        padded.reshape(-1, *padded.shape[-3:]),
        bank.reshape(*bank.shape[:3], -1),
        window_strides=(window.stride, window.stride),
        padding="VALID",
        dimension_numbers=("CHWN", "OHWI", "CHWN"),
    )
