"""Random translations of images by whole pixels."""

from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from widesym.ensembles.augmentation.policy import Targets

Outside = Literal["zeros", "circular"]
Pixels = Float[Array, "sample row column channel"]


@dataclass(frozen=True)
class RandomTranslation:
    """f(t − s) for one shift s per sample, uniform on {−m, …, m}² with m = `largest`, in whole pixels.

    What comes in from outside the image is zero, or with "circular" what has left it on the other side. Targets stay:
    vectors do not change under translations. Raises ValueError for shifts that are no integer or leave nothing of the
    image, and for inputs that are no images.
    """

    largest: int
    outside: Outside = "zeros"

    def __post_init__(self):
        if not isinstance(self.largest, Integral) or isinstance(self.largest, bool) or self.largest < 1:
            raise ValueError(
                f"RandomTranslation: largest is {self.largest!r}; it must be an integer of at least 1 pixel"
            )
        if self.outside not in get_args(Outside):
            choices = ", ".join(get_args(Outside))
            raise ValueError(f"RandomTranslation: outside is {self.outside!r}; it must be one of {choices}")

    def __call__(self, key: Key[Array, ""], x: Pixels, y: Targets) -> tuple[Pixels, Targets]:
        if x.ndim != 4 or self.largest >= min(x.shape[1:3]):
            raise ValueError(
                f"RandomTranslation: inputs have shape {x.shape}; images [sample, H, W, C] larger than {self.largest} "
                "pixels are needed"
            )
        shifts = jax.random.randint(key, (len(x), 2), -self.largest, self.largest + 1, jnp.int32)
        return jax.vmap(self._shifted)(x, shifts), y

    def _shifted(
        self, image: Float[Array, "row column channel"], shift: Int[Array, "2"]
    ) -> Float[Array, "row column channel"]:
        """f(t − s): a window of the padded image that begins at m − s."""
        m = int(self.largest)
        padding = ((m, m), (m, m), (0, 0))
        padded = jnp.pad(image, padding, mode="wrap" if self.outside == "circular" else "constant")
        row, column = m - shift[0], m - shift[1]
        return jax.lax.dynamic_slice(padded, (row, column, jnp.zeros_like(row)), image.shape)
