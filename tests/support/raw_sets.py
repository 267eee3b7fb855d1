"""Sets as they came, for tests: random pictures in two parts, and molecules in one."""

from dataclasses import replace

import numpy as np

from widesym.ensembles.data import Quantity
from widesym.ensembles.data.raw import Raw, RawSplit


def pictures(samples, seed=0):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, [200, 256], (samples, 4, 4, 2), np.uint8)
    return RawSplit(pixels, rng.integers(0, 3, samples))


def raw(**changes):
    return replace(
        Raw("shapes", pictures(30), pictures(10, 1), "drawn", ("a", "b", "ç"), (), {"pen": "1.2"}), **changes
    )


def molecules():
    rng = np.random.default_rng(2)
    values = rng.standard_normal((20, 2)).astype(np.float32)
    part = RawSplit(rng.standard_normal((20, 5, 4)).astype(np.float32), None, values)
    return Raw("molecules", part, None, "computed", (), (Quantity("U0", "Ha"), Quantity("mu", "D")))
