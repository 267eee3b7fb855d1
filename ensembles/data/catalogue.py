"""Data sets by name, and the out-of-distribution sets that there are of each; what `widesym data` knows."""

import difflib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from widesym.ensembles.data.corruptions import blur, contrast
from widesym.ensembles.data.dataset import DataError, Dataset, Source
from widesym.ensembles.data.generators.cross_product import COMPONENTS, CrossProduct, other_norms
from widesym.ensembles.data.generators.ising import ENERGY, IsingEnergies, at_temperature, continuous_spins
from widesym.ensembles.data.generators.noise import matched_noise, pixel_noise, uniform_noise, white_noise
from widesym.ensembles.data.generators.toy import HEIGHT, Toy, further_out
from widesym.ensembles.data.out_of_distribution import corrupted, permuted_pixels, printed_letters
from widesym.ensembles.data.paths import as_written, source_at
from widesym.ensembles.data.readers.digits import Digits
from widesym.ensembles.data.readers.image_folders import ImageFolders
from widesym.ensembles.data.readers.picture_trees import holds_pictures
from widesym.ensembles.data.readers.qm9 import Qm9
from widesym.ensembles.data.readers.tfds import Tfds

OodSet = Callable[[Dataset, int, int], Dataset]  # of the training set, a number of samples, and a seed


class Known(NamedTuple):
    """A data set that has a name, in words, and where it comes from."""

    source: Source
    about: str
    origin: str


SETS = {
    "digits": Known(Digits(), "1,797 handwritten digits, 8×8", "scikit-learn"),
    "ising": Known(IsingEnergies(16, 1000, 1000), "16×16 spins at the critical temperature and their energy", "made"),
    "toy": Known(Toy(), "cos π|x| on the line", "made"),
    "toy-plane": Known(Toy(train=64, dimension=2), "cos π‖x‖ in the plane", "made"),
    "cross-product": Known(CrossProduct(1000, 1000), "pairs of vectors and u × v", "made"),
    "qm9": Known(Qm9(), "molecules as signals on the sphere, atomisation energies", "qm9pack"),
    "mnist": Known(Tfds("mnist"), "70,000 handwritten digits, 28×28", "TFDS"),
    "fashion_mnist": Known(Tfds("fashion_mnist"), "70,000 pieces of clothing, 28×28", "TFDS"),
    "kmnist": Known(Tfds("kmnist"), "70,000 cursive Japanese characters, 28×28", "TFDS"),
    "emnist": Known(Tfds("emnist"), "814,255 handwritten characters, 28×28, lying on their side", "TFDS"),
    "cifar10": Known(Tfds("cifar10"), "60,000 photographs, 32×32 in colour", "TFDS"),
    "colorectal_histology": Known(Tfds("colorectal_histology"), "5,000 stained tissues, 150×150 in colour", "TFDS"),
}
NOISE: dict[str, OodSet] = {"white noise": white_noise, "pixel noise": pixel_noise, "uniform noise": uniform_noise}
OF_IMAGES: dict[str, OodSet] = {
    **NOISE,
    "matched noise": matched_noise,
    "permuted pixels": permuted_pixels,
    "contrast": partial(corrupted, corruption=contrast),
    "blur": partial(corrupted, corruption=blur),
}
OF_PICTURES = OF_IMAGES | {"letters": printed_letters}  # grey, or red, green and blue
OF_QUANTITIES: dict[tuple, dict[str, OodSet]] = {
    (ENERGY,): {"hot spins": at_temperature, "continuous spins": continuous_spins},
    (HEIGHT,): {"further out": further_out},
    COMPONENTS: {"longer vectors": other_norms},
}


def ood_sets(data: Dataset) -> dict[str, OodSet]:
    """The out-of-distribution sets that can be made of a training set, by name."""
    if data.quantities in OF_QUANTITIES:
        return OF_QUANTITIES[data.quantities]
    if data.inputs.ndim != 4:
        return NOISE
    return OF_PICTURES if data.inputs.shape[3] in (1, 3) else OF_IMAGES


def find_source(name: str) -> Source:
    """The source of that name: one of `SETS`, or the path of a file or folder (`source_at`), from the directory that
    this runs in, or an image classification set that is in the cache or that TFDS knows.

    Raises DataError, with the names that come close, for what is none of these, and for the name of a set where data of
    the same name lie here.
    """
    if name in SETS:
        check_not_a_path(name, "a data set", SETS[name].source)
        return SETS[name].source
    path = Path(os.path.expanduser(name))  # unlike Path's it leaves the names of people who are not there as they are
    if name and path.exists():
        if ":" not in name and Tfds(name).entry.path.exists():  # no name there has one
            check_not_a_path(name, "a data set in the cache", Tfds(name))
        return source_at(path)
    try:
        return Tfds(name).known()
    except DataError as error:
        close = difflib.get_close_matches(name.lower(), SETS)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(SETS)}"
        raise DataError(
            f"there is no data set named {name!r}, and no such file or folder; {hint} (beyond these: {error})"
        ) from None


def check_not_a_path(name: str, meaning: str, instead: Source | None = None) -> None:
    """Raise DataError where a name that has a meaning, such as the source `instead`, is that of a file or folder of
    data, too; it says what to write for each.
    """
    path = Path(name)
    try:
        source = source_at(path)
    except DataError:
        return
    if not isinstance(source, ImageFolders) or holds_pictures(path):
        otherwise = "" if instead is None else f"write {as_written(instead)} in a configuration, or "
        raise DataError(
            f"{name!r} is the name of {meaning}, and {path.resolve()} holds data, too; write ./{name} for these, and "
            f"for the former {otherwise}give them another name"
        )
