"""Augmentation policies: pure functions (key, x, y) → (x, y) applied to every batch (docs/augmentation.md)."""

from widesym.ensembles.augmentation.elements import FixedElements, FullOrbit, RandomElement, RandomElements
from widesym.ensembles.augmentation.images import Images
from widesym.ensembles.augmentation.points import Points
from widesym.ensembles.augmentation.policy import Compose, FixedCopies, NoAugmentation, Policy
from widesym.ensembles.augmentation.representations import Invariant, Representation, Space, Vectors
from widesym.ensembles.augmentation.rotation_sets import DrawnRotations, GivenRotations, RegularSolid, RotationSet
from widesym.ensembles.augmentation.rotations import FixedRotations, RandomRotation
from widesym.ensembles.augmentation.sphere import SphereSignals
from widesym.ensembles.augmentation.translations import RandomTranslation

__all__ = [
    "Compose",
    "DrawnRotations",
    "FixedCopies",
    "FixedElements",
    "FixedRotations",
    "FullOrbit",
    "GivenRotations",
    "Images",
    "Invariant",
    "NoAugmentation",
    "Points",
    "Policy",
    "RandomElement",
    "RandomElements",
    "RandomRotation",
    "RandomTranslation",
    "RegularSolid",
    "Representation",
    "RotationSet",
    "Space",
    "SphereSignals",
    "Vectors",
]
