"""Data sets in memory, one file a source."""

from ensembles.data.dataset import Dataset, standardise_each
from ensembles.data.digits import digits
from ensembles.data.ising import ising
from ensembles.data.letters import letters
from ensembles.data.noise import matched_noise

__all__ = ["Dataset", "digits", "ising", "letters", "matched_noise", "standardise_each"]
