"""The one data set type: images in memory, their labels and where they came from."""

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ensembles.losses import Loss, MeanSquaredError

Images = Float[np.ndarray, "sample row column channel"]


@dataclass(frozen=True)
class Dataset:
    """Images with, where they have them, labels into `classes`.

    Raises ValueError for arrays that do not fit each other, are empty or hold values that are not finite.
    """

    name: str
    images: Images
    labels: Int[np.ndarray, " sample"] | None
    classes: tuple[str, ...]
    provenance: str

    def __post_init__(self):
        if self.images.ndim != 4 or not len(self.images):
            raise ValueError(
                f"{self.name}: images have shape {self.images.shape}; it must be [sample, H, W, C], not empty"
            )
        if not np.isfinite(self.images).all():
            raise ValueError(f"{self.name}: {(~np.isfinite(self.images)).sum()} pixel values are not finite")
        if self.labels is None:
            return
        if self.labels.shape != self.images.shape[:1]:
            raise ValueError(f"{self.name}: {len(self.images)} images but labels of shape {self.labels.shape}")
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise ValueError(
                f"{self.name}: labels run from {self.labels.min()} to {self.labels.max()}, "
                f"but there are {len(self.classes)} classes"
            )

    def __len__(self) -> int:
        return len(self.images)

    def targets(self, loss: Loss = MeanSquaredError()) -> Float[np.ndarray, "sample class"]:
        """What the loss wants for the labels; raises ValueError where there are none."""
        if self.labels is None:
            raise ValueError(f"{self.name}: there are no labels to make targets of")
        return loss.targets(self.labels, len(self.classes))

    @property
    def fingerprint(self) -> str:
        """Digest of the arrays: two data sets with the same one hold the same numbers."""
        digest = hashlib.sha256(str(self.images.shape).encode() + np.ascontiguousarray(self.images).tobytes())
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, dtype=np.int64).tobytes())
        return digest.hexdigest()[:16]


def standardise_each(images: Images) -> Images:
    """Every image brought to mean 0 and variance 1, as out-of-distribution inputs are; a constant image becomes 0."""
    axes = (1, 2, 3)
    centred = images - images.mean(axes, keepdims=True)
    spread = centred.std(axes, keepdims=True)
    return (centred / np.where(spread > 0, spread, 1)).astype(np.float32)
