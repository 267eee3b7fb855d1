"""Data sets: sources that load them, one a file, transforms of inputs, and out-of-distribution sets of any set.

A source is a frozen dataclass; its `load()` gives `Splits(train, test)` of `Dataset`s. `find_source` finds them by
name.
"""

from widesym.ensembles.data.cache import Cacheable
from widesym.ensembles.data.catalogue import SETS, find_source, ood_sets
from widesym.ensembles.data.dataset import DataError, Dataset, Quantity, Source, Splits, standardise_each
from widesym.ensembles.data.generators.cross_product import CrossProduct
from widesym.ensembles.data.generators.ising import IsingEnergies
from widesym.ensembles.data.generators.letters import letters
from widesym.ensembles.data.generators.noise import matched_noise
from widesym.ensembles.data.generators.toy import Toy
from widesym.ensembles.data.normalisation import Normalisation
from widesym.ensembles.data.out_of_distribution import like
from widesym.ensembles.data.readers.amat import Amat
from widesym.ensembles.data.readers.arrays import from_arrays
from widesym.ensembles.data.readers.cifar import CifarBinary
from widesym.ensembles.data.readers.cifar10c import Cifar10C
from widesym.ensembles.data.readers.cifar100 import Cifar100Binary
from widesym.ensembles.data.readers.cifar_python import CifarPython
from widesym.ensembles.data.readers.digits import Digits
from widesym.ensembles.data.readers.emnist import Emnist
from widesym.ensembles.data.readers.idx import IdxFiles
from widesym.ensembles.data.readers.image_folders import ImageFolders
from widesym.ensembles.data.readers.npz import Npz
from widesym.ensembles.data.readers.qm9 import Qm9
from widesym.ensembles.data.readers.tfds import Tfds
from widesym.ensembles.data.transforms import standardised, transformed

__all__ = [
    "SETS",
    "Amat",
    "Cacheable",
    "Cifar10C",
    "Cifar100Binary",
    "CifarBinary",
    "CifarPython",
    "CrossProduct",
    "DataError",
    "Dataset",
    "Digits",
    "Emnist",
    "IdxFiles",
    "ImageFolders",
    "IsingEnergies",
    "Normalisation",
    "Npz",
    "Qm9",
    "Quantity",
    "Source",
    "Splits",
    "Tfds",
    "Toy",
    "find_source",
    "from_arrays",
    "letters",
    "like",
    "matched_noise",
    "ood_sets",
    "standardise_each",
    "standardised",
    "transformed",
]
