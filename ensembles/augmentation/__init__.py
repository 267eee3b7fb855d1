"""Augmentation policies: pure functions (key, x, y) → (x, y) applied to every batch (docs/augmentation.md)."""

from ensembles.augmentation.elements import FixedElements, FullOrbit, RandomElement, RandomElements
from ensembles.augmentation.images import Images
from ensembles.augmentation.points import Points
from ensembles.augmentation.policy import Compose, FixedCopies, NoAugmentation, Policy
from ensembles.augmentation.representations import Invariant, Representation, Space, Vectors
from ensembles.augmentation.rotation_sets import DrawnRotations, GivenRotations, RegularSolid, RotationSet
from ensembles.augmentation.rotations import FixedRotations, RandomRotation
from ensembles.augmentation.sphere import SphereSignals
from ensembles.augmentation.translations import RandomTranslation

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
