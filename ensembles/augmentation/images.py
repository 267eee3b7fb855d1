"""Images under any rotation or reflection of the plane, by interpolation."""

from dataclasses import dataclass
from typing import Literal, get_args

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from widesym.ensembles.augmentation.representations import Matrix

Method = Literal["nearest", "bilinear", "bicubic"]
Outside = Literal["zeros", "edge"]
Pixels = Float[Array, "sample row column channel"]
Taps = list[tuple[Int[Array, " pixel"], Float[Array, " pixel"]]]


@dataclass(frozen=True)
class Images:
    """Images [sample, row, column, channel], moved by (ρ_R f)(t) = f(R⁻¹t) about the centre of the grid.

    t = (x, y) with x to the right, along columns, and y up, against rows, so that rotations by positive angles turn to
    the left as `Group.rotate` does. Between pixels f is interpolated; outside the image it is zero, or with "edge" the
    nearest pixel of the border. "bicubic" is Keys' kernel with a = −1/2 (1981, doi:10.1109/TASSP.1981.1163711).

    Raises ValueError for other methods, and for inputs that are no images of floating-point numbers.
    """

    method: Method = "bilinear"
    outside: Outside = "zeros"

    def __post_init__(self):
        for name, choices in (("method", get_args(Method)), ("outside", get_args(Outside))):
            if getattr(self, name) not in choices:
                raise ValueError(f"Images: {name} is {getattr(self, name)!r}; it must be one of {', '.join(choices)}")

    @property
    def dimension(self) -> int:
        return 2

    def turned(self, values: Pixels, R: Matrix) -> Pixels:
        if values.ndim != 4 or not jnp.issubdtype(values.dtype, jnp.floating):
            raise ValueError(
                f"Images: each input has shape {values.shape[1:]} and type {values.dtype}; images of floating-point "
                "numbers, (H, W, C), are needed"
            )
        rows, columns = values.shape[1:3]
        row, column = sources((rows, columns), R)
        flat = jnp.asarray(values).reshape(len(values), rows * columns, -1)
        total = jnp.zeros_like(flat)
        across = self._taps(column, columns)
        for i, row_weight in self._taps(row, rows):
            for j, column_weight in across:
                read = flat.at[:, i * columns + j].get(mode="promise_in_bounds")
                total += (row_weight * column_weight)[:, None] * read
        return total.reshape(values.shape)

    def _taps(self, place: Float[Array, " pixel"], size: int) -> Taps:
        """The pixels along one axis that a place between them is interpolated from, and their weights."""
        taps = []
        for index, weight in neighbours(place, self.method):
            inside = jnp.clip(index, 0, size - 1)
            taps.append((inside, weight if self.outside == "edge" else jnp.where(index == inside, weight, 0)))
        return taps


def sources(grid: tuple[int, int], R: Matrix) -> tuple[Float[Array, " pixel"], Float[Array, " pixel"]]:
    """Row and column of R⁻¹t for every pixel t."""
    middle_row, middle_column = ((size - 1) / 2 for size in grid)
    row, column = (places.ravel() for places in jnp.meshgrid(*map(jnp.arange, grid), indexing="ij"))
    x, y = column.astype(R.dtype) - middle_column, middle_row - row.astype(R.dtype)
    source_x, source_y = R[0, 0] * x + R[1, 0] * y, R[0, 1] * x + R[1, 1] * y
    return middle_row - source_y, middle_column + source_x


def neighbours(place: Float[Array, " pixel"], method: Method) -> Taps:
    """Pixels and weights as if the axis had no ends."""
    if method == "nearest":
        return [(jnp.floor(place + 0.5).astype(jnp.int32), jnp.ones_like(place))]
    lower, count = jnp.floor(place), 2 if method == "bilinear" else 4
    pixels = [lower + k for k in range(1 - count // 2, 1 + count // 2)]
    kernel = hat if method == "bilinear" else keys_cubic
    return [(pixel.astype(jnp.int32), kernel(jnp.abs(place - pixel))) for pixel in pixels]


def hat(distance: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 − d, for d ≤ 1."""
    return 1 - distance


def keys_cubic(d: Float[Array, "..."]) -> Float[Array, "..."]:
    """Keys 1981, eq. 15, for distances d ≤ 2: reproduces quadratic functions."""
    return jnp.where(d <= 1, (1.5 * d - 2.5) * d**2 + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2)
