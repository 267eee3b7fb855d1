"""Sets of points or vectors under rotations and reflections."""

from dataclasses import dataclass
from numbers import Integral

from jaxtyping import Array, Float

from widesym.ensembles.augmentation.representations import Matrix, turned_vectors


@dataclass(frozen=True)
class Points:
    """Vectors of R^d, [sample, d], or sets of them, [sample, atom, d], all of a sample's moved alike: v ↦ R v.

    Raises ValueError for inputs of another shape.
    """

    dimension: int = 3

    def __post_init__(self):
        if not isinstance(self.dimension, Integral) or isinstance(self.dimension, bool) or self.dimension < 2:
            raise ValueError(f"Points: dimension is {self.dimension!r}; it must be an integer of at least 2")

    def turned(self, values: Float[Array, "sample *atom d"], R: Matrix) -> Float[Array, "sample *atom d"]:
        if values.ndim not in (2, 3) or values.shape[-1] != self.dimension:
            raise ValueError(
                f"Points: each input has shape {values.shape[1:]}; it must be a vector, ({self.dimension},), or a set "
                f"of them, (A, {self.dimension})"
            )
        return turned_vectors(values, R)
