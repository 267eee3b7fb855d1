"""Random rotations, and finite sets of them, of the plane and of space."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from widesym.ensembles.augmentation.policy import FixedCopies, Inputs, Targets
from widesym.ensembles.augmentation.representations import (
    Invariant,
    Representation,
    Space,
    check_fields,
    turned_copies,
    turned_each,
)
from widesym.ensembles.augmentation.rotation_sets import RotationSet


@dataclass(frozen=True)
class RandomRotation:
    """R·x for one R ∈ SO(d) per sample, uniform (Haar) and independent of all others.

    d is the space's: an angle for Images and Points(2), a rotation of space for Points(3) and SphereSignals. Raises
    ValueError for other dimensions.
    """

    space: Space
    targets: Representation = field(default_factory=Invariant)

    def __post_init__(self):
        check_fields(self, self.space, self.targets)
        if self.space.dimension not in (2, 3):
            raise ValueError(f"RandomRotation: {self.space} has {self.space.dimension} dimensions; it must have 2 or 3")

    def __call__(self, key: Key[Array, ""], x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        draw = haar_plane if self.space.dimension == 2 else haar_space
        x, y = jnp.asarray(x), jnp.asarray(y)
        matrices = draw(key, len(x), x.dtype)
        return turned_each(self.space, x, matrices), turned_each(self.targets, y, matrices.astype(y.dtype))


@dataclass(frozen=True)
class FixedRotations(FixedCopies):
    """R·x for each R of a finite set of rotations: the batch grows as many times.

    Raises ValueError if the rotations are of other dimension than the space.
    """

    rotations: RotationSet
    space: Space
    targets: Representation = field(default_factory=Invariant)

    def __post_init__(self):
        check_fields(self, self.space, self.targets)
        if isinstance(self.rotations, type) or not hasattr(self.rotations, "matrices"):
            raise ValueError(
                f"FixedRotations: rotations are {self.rotations!r}; GivenRotations(matrices) makes a set of them"
            )
        d = self.rotations.matrices.shape[-1]
        if self.space.dimension != d:
            raise ValueError(
                f"FixedRotations: rotations are of {d} dimensions, but {self.space} has {self.space.dimension}"
            )

    @property
    def size(self) -> int:
        return len(self.rotations.matrices)

    def copies(self, x: Inputs) -> Float[Array, "rotation sample *shape"]:
        return turned_copies(self.space, x, self.rotations.matrices)

    def target_copies(self, y: Targets) -> Float[Array, "rotation sample target"]:
        return turned_copies(self.targets, y, self.rotations.matrices)


def haar_plane(key: Key[Array, ""], count: int, dtype: jnp.dtype) -> Float[Array, "count 2 2"]:
    """Rotations of the plane by independent angles, uniform on [0, 2π)."""
    angle = jax.random.uniform(key, (count,), dtype, 0, 2 * jnp.pi)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([cos, -sin, sin, cos], axis=-1).reshape(count, 2, 2)


def haar_space(key: Key[Array, ""], count: int, dtype: jnp.dtype) -> Float[Array, "count 3 3"]:
    """v ↦ q v q̄ for unit quaternions q, uniform on the 3-sphere: R is uniform, as left products move q rigidly."""
    q = jax.random.normal(key, (count, 4), dtype)
    w, x, y, z = jnp.moveaxis(q / jnp.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    entries = [
        *(1 - 2 * (y**2 + z**2), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x**2 + z**2), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x**2 + y**2)),
    ]
    return jnp.stack(entries, axis=-1).reshape(count, 3, 3)
