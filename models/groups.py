"""Finite groups of rotations and reflections of the plane, acting on images and on feature stacks (theory.md §1)."""

from dataclasses import dataclass
from numbers import Integral

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Shaped

from widesym.models.checks import shown

EXACT_ROTATIONS = (1, 2, 4)
MOST_ROTATIONS = 1024  # each has a filter of its own: of these a layer's output differs from a circle's by nothing


@dataclass(frozen=True)
class Group:
    """C_n, or D_n with `reflections`: element r + n·f mirrors the columns f ∈ {0, 1} times, then turns by 2πr/n.

    It acts on functions by (ρ_g f)(t) = f(ρ_g⁻¹ t), about the centre of the grid. For n = 1, 2, 4 that maps pixels to
    pixels; other groups act on features alone, and LiftingConv's and GroupConv's filters are sampled anew for each of
    their elements (models/layers/circular_harmonics.py).
    """

    rotations: int
    reflections: bool = False

    def __post_init__(self):
        if not isinstance(self.rotations, Integral) or isinstance(self.rotations, bool) or self.rotations < 1:
            raise ValueError(f"a group of n rotations has n = 1, 2, 3, …, not {self.rotations!r}")
        if self.rotations > MOST_ROTATIONS:
            raise ValueError(f"a group of {shown(self.rotations)} rotations; {MOST_ROTATIONS} are the most")

    def __str__(self) -> str:
        return f"{'D' if self.reflections else 'C'}{self.rotations}"

    @property
    def order(self) -> int:
        """The number of elements |G|: n, or 2n with reflections."""
        return self.rotations * (1 + self.reflections)

    @property
    def elements(self) -> range:
        """The elements' indices; 0 is the identity."""
        return range(self.order)

    @property
    def is_exact(self) -> bool:
        """Whether the group maps a (square) pixel grid to itself."""
        return self.rotations in EXACT_ROTATIONS

    @property
    def needs_square(self) -> bool:
        """Whether only a square grid is mapped to itself."""
        return self.rotations > 2

    def product(self, g: int, h: int) -> int:
        """Index of gh: as mirroring reverses rotations, (r, f)(r', f') = (r ± r', f + f')."""
        (f, r), (other_f, other_r) = divmod(g, self.rotations), divmod(h, self.rotations)
        turned = r - other_r if f else r + other_r
        return turned % self.rotations + self.rotations * ((f + other_f) % 2)

    def inverse(self, g: int) -> int:
        """Index of g⁻¹; a mirroring is its own."""
        return g if g >= self.rotations else -g % self.rotations

    def rotate(self, f: Shaped[ArrayLike, "..."], g: int, axes: tuple[int, int]) -> Shaped[Array, "..."]:
        """ρ_g f, where `axes` are the two grid axes (row, column) of the array; for exact groups, else ValueError."""
        if not self.is_exact:
            raise ValueError(
                f"{self} does not map a pixel grid to itself; images are rotated exactly for n in {EXACT_ROTATIONS}"
            )
        mirrored, r = divmod(g, self.rotations)
        return jnp.rot90(jnp.flip(f, axes[1]) if mirrored else f, r * EXACT_ROTATIONS[-1] // self.rotations, axes)

    def rotate_images(self, images: Shaped[ArrayLike, "sample row column channel"], g: int) -> Shaped[Array, "..."]:
        """ρ_g of every image; raises ValueError for what is no batch of images or no grid of the group's."""
        shape = jnp.shape(images)
        if len(shape) != 4 or (self.needs_square and shape[1] != shape[2]):
            square = "square " if self.needs_square else ""
            raise ValueError(
                f"{self} rotates batches of {square}images, [sample, H, W, C], not an array of shape {shape}"
            )
        return self.rotate(images, g, axes=(1, 2))

    def orbit(self, images: Shaped[ArrayLike, "sample row column channel"]) -> Shaped[Array, "group*sample ..."]:
        """All ρ_g of all images, group element by group element: full augmentation."""
        return jnp.concatenate([self.rotate_images(images, g) for g in self.elements])

    def permute(self, stack: Shaped[Array, "channel group ..."], g: int) -> Shaped[Array, "channel group ..."]:
        """(g·z)(r) = z(g⁻¹ r), on the group axis alone."""
        return jnp.stack([stack[:, self.product(self.inverse(g), r)] for r in self.elements], axis=1)

    def rotate_stack(self, stack: Shaped[Array, "channel group row column sample"], g: int) -> Shaped[Array, "..."]:
        """ρ_g of feature maps on the group and the grid: (ρ_g z)(t, r) = z(ρ_g⁻¹ t, g⁻¹ r)."""
        return self.rotate(self.permute(stack, g), g, axes=(2, 3))


def cyclic(n: int) -> Group:
    """The group C_n of rotations by multiples of 2π/n; exact on a pixel grid for n = 1, 2, 4."""
    return Group(n)


def dihedral(n: int) -> Group:
    """The group D_n of the rotations of C_n and their products with the mirroring of columns; order 2n."""
    return Group(n, reflections=True)
