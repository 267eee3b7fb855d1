"""Data sets: sources that load them, one a file, transforms of inputs, and out-of-distribution sets of any set.

A source is a frozen dataclass; its `load()` gives `Splits(train, test)` of `Dataset`s. `find_source` finds them by
name.
"""

from ensembles.data.arrays import from_arrays
from ensembles.data.cache import Cacheable
from ensembles.data.catalogue import SETS, find_source, ood_sets
from ensembles.data.cifar import CifarBinary
from ensembles.data.cross_product import CrossProduct
from ensembles.data.dataset import DataError, Dataset, Quantity, Source, Splits, standardise_each
from ensembles.data.digits import Digits
from ensembles.data.idx import IdxFiles
from ensembles.data.image_folders import ImageFolders
from ensembles.data.ising import IsingEnergies
from ensembles.data.letters import letters
from ensembles.data.noise import matched_noise
from ensembles.data.normalisation import Normalisation
from ensembles.data.npz import Npz
from ensembles.data.out_of_distribution import like
from ensembles.data.qm9 import Qm9
from ensembles.data.tfds import Tfds
from ensembles.data.toy import Toy
from ensembles.data.transforms import standardised, transformed

__all__ = [
    "SETS",
    "Cacheable",
    "CifarBinary",
    "CrossProduct",
    "DataError",
    "Dataset",
    "Digits",
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
