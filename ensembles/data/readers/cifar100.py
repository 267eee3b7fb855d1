"""CIFAR-100 from the files of its binary version."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from widesym.ensembles.data.dataset import Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.cifar import images_of, read_names, read_records
from widesym.ensembles.data.readers.files import FilePath, existing, labelled_images
from widesym.models.checks import check_positive, check_seed

Granularity = Literal["fine", "coarse"]
LABELS = {"coarse": 0, "fine": 1}  # the bytes before the pixels


@dataclass(frozen=True)
class Cifar100Binary:
    """CIFAR-100's binary version, unpacked in `directory`: train.bin, test.bin, and the class names
    fine_label_names.txt and coarse_label_names.txt (https://www.cs.toronto.edu/~kriz/cifar.html). `labels` are the 100
    "fine" ones, or the 20 "coarse" ones.

    Loads float32 images [sample, 32, 32, 3], normalised (`Raw.splits` says how, and what `train`, `test` and `seed`
    draw). Loading raises DataError for files that are missing or do not hold `images` images to train and to test, and
    labels without a class; making one raises ValueError for other labels and numbers of images below 1.
    """

    directory: FilePath
    labels: Granularity = "fine"
    images: tuple[int, int] = (50_000, 10_000)
    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "Cifar100Binary: seed")
        object.__setattr__(self, "directory", str(self.directory))
        check_labels_of("Cifar100Binary", self.labels)
        if not isinstance(self.images, tuple | list) or len(self.images) != 2:
            raise ValueError(f"Cifar100Binary: images is {self.images!r}; it must be two numbers, to train and to test")
        for number in self.images:
            check_positive("Cifar100Binary", "images", number)
        object.__setattr__(self, "images", tuple(self.images))

    def load(self) -> Splits:
        """train.bin as training set, test.bin as test set."""
        classes = read_names(existing(Path(self.directory), f"{self.labels}_label_names.txt"))
        train, test = (self._part(*part, classes) for part in zip(("train.bin", "test.bin"), self.images, strict=True))
        provenance = f"{self.directory} (CIFAR-100, binary version, {self.labels} labels)"
        raw = Raw(str(self.directory), train, test, provenance, classes)
        return raw.splits(self.train, self.test, self.seed, self.stratified)

    def _part(self, name: str, images: int, classes: tuple[str, ...]) -> RawSplit:
        path = existing(Path(self.directory), name)
        records = read_records(path, images, len(LABELS))
        labels = records[:, LABELS[self.labels]]
        return labelled_images(images_of(records[:, len(LABELS) :]), labels, classes, str(path), str(path))


def check_labels_of(source: str, labels: Granularity) -> None:
    """Raise ValueError for what are neither of CIFAR-100's two kinds of labels."""
    if labels not in get_args(Granularity):
        raise ValueError(f"{source}: labels is {labels!r}; it must be one of {', '.join(get_args(Granularity))}")
