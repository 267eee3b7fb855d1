"""How rotations and reflections R ∈ O(d) act on inputs and on targets."""

from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widesym.ensembles.augmentation.policy import Targets

Batch = Float[Array, "sample *shape"]
Matrix = Float[Array, "d d"]


class Representation(Protocol):
    """An action of O(d) on a batch: ρ_R ρ_S = ρ_RS. Frozen dataclasses with this method are targets of every policy."""

    def turned(self, values: Batch, R: Matrix) -> Batch:
        """ρ_R of all samples, for one R."""
        ...


class Space(Representation, Protocol):
    """Where inputs live: an action of O(d), or of SO(d), that knows its d."""

    @property
    def dimension(self) -> int:
        """The dimension d of the vectors that O(d) or SO(d) acts on."""
        ...


def check_fields(policy: object, space: Space, targets: Representation) -> None:
    """Raise ValueError for a policy's space or targets that are none, such as a class instead of an instance."""
    for name, value, example in (("space", space, "Images()"), ("targets", targets, "Vectors()")):
        needed = ("turned", "dimension") if name == "space" else ("turned",)
        if isinstance(value, type) or not all(hasattr(value, attribute) for attribute in needed):
            raise ValueError(
                f"{type(policy).__name__}: {name} is {value!r}; it must be such as {example}, "
                f"with {' and '.join(needed)}"
            )


def turned_each(on: Representation, values: Batch, matrices: Float[Array, "sample d d"]) -> Batch:
    """ρ_R of each sample, by its own R."""
    return jax.vmap(lambda sample, R: on.turned(sample[None], R)[0])(values, matrices)


def turned_copies(
    on: Representation, values: Batch, matrices: Float[np.ndarray, "copy d d"]
) -> Float[Array, "copy sample *shape"]:
    """ρ_R of all samples, for every R, in the precision of the values."""
    values = jnp.asarray(values)
    return jax.vmap(on.turned, in_axes=(None, 0))(values, jnp.asarray(matrices, values.dtype))


def turned_vectors(vectors: Float[Array, "... d"], R: Matrix) -> Float[Array, "... d"]:
    """R v = Σ_j v_j R e_j; written out, as accelerators round the factors of a matrix product to fewer bits."""
    return sum((vectors[..., j, None] * R[:, j] for j in range(R.shape[1])), jnp.zeros_like(vectors))


@dataclass(frozen=True)
class Invariant:
    """Targets that stay as they are, such as classes: y ↦ y."""

    def turned(self, values: Targets, R: Matrix) -> Targets:
        return values


@dataclass(frozen=True)
class Vectors:
    """Targets that turn along: y = (v₁, v₂, …) holds one or more vectors of R^d, and v ↦ R v, under reflections too.

    In the plane v = (to the right, up): along columns, and against rows (docs/augmentation.md).
    """

    def turned(self, values: Targets, R: Matrix) -> Targets:
        """Raises ValueError for targets that are no whole number of vectors."""
        d = R.shape[-1]
        if values.ndim != 2 or values.shape[1] % d:
            raise ValueError(
                f"Vectors: each target has shape {values.shape[1:]}; it must hold vectors of {d} dimensions one after "
                f"the other, ({d},) or a multiple"
            )
        return turned_vectors(values.reshape(len(values), -1, d), R).reshape(values.shape)
