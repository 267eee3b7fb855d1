"""Regression on the line or in the plane, small enough to look at: after arXiv:2403.03103, the function ours."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from widesym.ensembles.data.dataset import DataError, Dataset, Quantity, Splits
from widesym.ensembles.data.streams import other_stream, stream
from widesym.models.checks import check_numbers, check_positive, check_seed

HEIGHT = Quantity("cos π‖x‖")
Points = Float[np.ndarray, "sample d"]


@dataclass(frozen=True)
class Toy:
    """Points x uniform in the ball ‖x‖ ≤ 1 of R^d and f(x) = cos π‖x‖.

    f is smooth and unchanged by rotations and reflections: x ↦ −x on the line, all of O(2) in the plane. It falls from
    1 to −1 over the ball; what lies farther out is out of distribution (`evenly_spaced`). Raises ValueError for numbers
    out of range.
    """

    train: int = 16
    test: int = 256
    dimension: int = 1
    seed: int = 0

    def __post_init__(self):
        for name in ("train", "test"):
            check_positive("Toy", name, getattr(self, name))
        check_dimension("Toy", self.dimension)
        for samples in (self.train, self.test):
            check_numbers("Toy", samples=samples, coordinates=self.dimension)
        check_seed(self.seed, "Toy: seed")

    def load(self) -> Splits:
        """As many points as asked for, in two independent parts."""
        rng = stream(self.seed)
        provenance = f"uniform in the unit ball of R^{self.dimension}, seed {self.seed}"
        parts = {"train": self.train, "test": self.test}
        return Splits(
            *(with_heights(name, ball(rng, count, self.dimension), provenance) for name, count in parts.items())
        )


def evenly_spaced(points: int, dimension: int = 1, reach: float = 2.0) -> Dataset:
    """`points` per axis between −reach and reach, with f, to draw predictions on inside and outside the unit ball.

    In the plane they lie row by row, so that `values.reshape(points, points)` is a picture of f.
    """
    check_positive("evenly_spaced", "points", points)
    check_dimension("evenly_spaced", dimension)
    check_numbers("evenly_spaced", points=points**dimension, coordinates=dimension)
    if not reach > 0:
        raise ValueError(f"evenly_spaced: reach is {reach}; it must be positive")
    axis = np.linspace(-reach, reach, points)
    grid = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    return with_heights("evenly spaced", grid, f"{points} points per axis from {-reach} to {reach}")


def further_out(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Points with norms from 1 to 2, uniform in that shell, with f; raises DataError where `data` are no points."""
    check_positive("further_out", "samples", samples)
    check_numbers("further_out", samples=samples, coordinates=data.inputs.shape[-1])
    if data.inputs.ndim != 2 or data.inputs.shape[1] not in (1, 2):
        raise DataError(f"{data.name}: inputs have shape {data.inputs.shape[1:]}; points have (1,) or (2,)")
    rng, dimension = other_stream(seed), data.inputs.shape[1]
    direction, volume = ball(rng, samples, dimension), rng.uniform(1, 2**dimension, (samples, 1))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    x = direction * volume ** (1 / dimension)
    return with_heights("further out", x, f"uniform between the spheres of radius 1 and 2, seed {seed}")


def height(x: Points) -> Float[np.ndarray, " sample"]:
    """The function to be learned, f(x) = cos π‖x‖, of each point."""
    return np.cos(np.pi * np.linalg.norm(x, axis=-1))


def ball(rng: np.random.Generator, samples: int, dimension: int) -> Points:
    """Uniform in the unit ball: an isotropic direction at the radius u^(1/d), u uniform in [0, 1]."""
    direction = rng.standard_normal((samples, dimension))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    return direction * rng.random((samples, 1)) ** (1 / dimension)


def with_heights(name: str, x: Points, provenance: str) -> Dataset:
    """The points, labelled with f."""
    values = height(x)[:, None].astype(np.float32)
    return Dataset(name, x.astype(np.float32), None, (), provenance, values, (HEIGHT,))


def check_dimension(name: str, dimension: int) -> None:
    """Raise ValueError for what is neither a line nor a plane."""
    if dimension not in (1, 2):
        raise ValueError(f"{name}: dimension is {dimension!r}; it must be 1, the line, or 2, the plane")
