"""Finite groups of rotations acting exactly on the pixel grid, on images and on feature stacks (theory.md §1)."""

from dataclasses import dataclass

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Shaped

EXACT_ROTATIONS = (1, 2, 4)


@dataclass(frozen=True)
class Group:
    """The cyclic group C_n of rotations by multiples of 2π/n; elements are r = 0 … n−1, and r·q = r+q mod n.

    It acts on functions by (ρ_g f)(t) = f(ρ_g⁻¹ t), with rotations about the centre of the grid.
    """

    rotations: int

    def __post_init__(self):
        if self.rotations not in EXACT_ROTATIONS:
            raise ValueError(
                f"cyclic({self.rotations!r}) does not map a pixel grid to itself; n must be one of {EXACT_ROTATIONS}"
            )

    def __str__(self) -> str:
        return f"C{self.rotations}"

    @property
    def order(self) -> int:
        """Number of elements |G|."""
        return self.rotations

    @property
    def elements(self) -> range:
        """The elements' indices; 0 is the identity."""
        return range(self.order)

    @property
    def needs_square(self) -> bool:
        """Whether only a square grid is mapped to itself."""
        return self.rotations == 4

    def product(self, g: int, h: int) -> int:
        """Index of gh."""
        return (g + h) % self.rotations

    def inverse(self, g: int) -> int:
        """Index of g⁻¹."""
        return -g % self.rotations

    def rotate(self, f: Shaped[ArrayLike, "..."], g: int, axes: tuple[int, int]) -> Shaped[Array, "..."]:
        """ρ_g f, where `axes` are the two grid axes (row, column) of the array."""
        return jnp.rot90(f, g * EXACT_ROTATIONS[-1] // self.rotations, axes)

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

    def rotate_stack(self, stack: Shaped[Array, "channel group row column sample"], g: int) -> Shaped[Array, "..."]:
        """ρ_g of feature maps on the group and the grid: (ρ_g z)(t, r) = z(ρ_g⁻¹ t, g⁻¹ r)."""
        moved = jnp.stack([stack[:, self.product(self.inverse(g), r)] for r in self.elements], axis=1)
        return self.rotate(moved, g, axes=(2, 3))


def cyclic(n: int) -> Group:
    """The group C_n of rotations by multiples of 2π/n, n ∈ {1, 2, 4}; raises ValueError for any other n."""
    return Group(n)
