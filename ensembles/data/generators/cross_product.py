"""Pairs of vectors and their cross product: an equivariant target, (Ru) × (Rv) = R (u × v) for rotations R."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from widesym.ensembles.data.dataset import DataError, Dataset, Quantity, Splits
from widesym.ensembles.data.streams import other_stream, stream
from widesym.models.checks import check_numbers, check_positive, check_seed

COMPONENTS = tuple(Quantity(f"(u × v)_{axis}") for axis in "xyz")
Pairs = Float[np.ndarray, "sample 2 3"]
Norms = tuple[float, float]


@dataclass(frozen=True)
class CrossProduct:
    """(u, v) ↦ u × v in R³ (after arXiv:2403.03103, the norms ours): inputs [sample, 2, 3], values [sample, 3].

    u and v are independent, of uniform direction and of a norm uniform between the two `norms`. Pure numbers, no units.
    Raises ValueError for numbers out of range.
    """

    train: int
    test: int
    norms: Norms = (0.5, 1.5)
    seed: int = 0

    def __post_init__(self):
        for name in ("train", "test"):
            check_positive("CrossProduct", name, getattr(self, name))
            check_numbers("CrossProduct", samples=getattr(self, name), coordinates=6)
        check_seed(self.seed, "CrossProduct: seed")
        object.__setattr__(self, "norms", tuple(self.norms))
        check_norms("CrossProduct", self.norms)

    def load(self) -> Splits:
        """As many pairs as asked for, in two independent parts."""
        rng = stream(self.seed)
        parts = {"train": self.train, "test": self.test}
        return Splits(*(with_products(name, rng, count, self.norms, self.seed) for name, count in parts.items()))


def other_norms(data: Dataset, samples: int, seed: int = 0, norms: Norms = (2.0, 4.0)) -> Dataset:
    """Pairs of vectors longer (or shorter) than those of `data`, with their cross products.

    Raises DataError where `data` are no pairs of vectors of space, and ValueError for numbers out of range.
    """
    if data.inputs.shape[1:] != (2, 3):
        raise DataError(f"{data.name}: inputs have shape {data.inputs.shape[1:]}; pairs of vectors have (2, 3)")
    check_positive("other_norms", "samples", samples)
    check_numbers("other_norms", samples=samples, coordinates=6)
    check_norms("other_norms", norms)
    return with_products("other norms", other_stream(seed), samples, norms, seed)


def isotropic_pairs(rng: np.random.Generator, samples: int, norms: Norms) -> Pairs:
    """Uniform directions, norms uniform between the two."""
    pairs = rng.standard_normal((samples, 2, 3))
    return pairs / np.linalg.norm(pairs, axis=-1, keepdims=True) * rng.uniform(*norms, (samples, 2, 1))


def with_products(name: str, rng: np.random.Generator, samples: int, norms: Norms, seed: int) -> Dataset:
    """Pairs, labelled with their cross products."""
    pairs = isotropic_pairs(rng, samples, norms)
    values = np.cross(pairs[:, 0], pairs[:, 1]).astype(np.float32)
    provenance = f"isotropic vectors of norms {norms[0]} to {norms[1]}, seed {seed}"
    return Dataset(name, pairs.astype(np.float32), None, (), provenance, values, COMPONENTS)


def check_norms(name: str, norms: Norms) -> None:
    """Raise ValueError for what is no interval of norms."""
    if len(norms) != 2 or not 0 <= norms[0] <= norms[1] < np.inf or norms[1] == 0:
        raise ValueError(
            f"{name}: norms are {norms}; they must be a least and a greatest one, 0 ≤ least ≤ greatest > 0"
        )
