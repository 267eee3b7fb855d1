"""The rotations of space as a domain of signals (theory.md §1)."""

import math
from dataclasses import dataclass

from widesym.models.checks import check_positive
from widesym.models.spherical.wigner import so3_grid

MOST_BANDLIMIT = 256  # whose grid has 10^8 points


@dataclass(frozen=True)
class SO3:
    """The rotations of space: functions of bandlimit L, sampled on the grid of Euler angles of oversampling · L.

    It stands where a finite group does in a Signal, but its points are no subgroup: rotations act on coefficients.
    """

    bandlimit: int
    oversampling: int = 1

    def __post_init__(self):
        check_positive("SO3", "bandlimit", self.bandlimit, MOST_BANDLIMIT)
        check_positive("SO3", "oversampling", self.oversampling, MOST_BANDLIMIT)

    def __str__(self) -> str:
        return f"SO(3) at bandlimit {self.bandlimit}"

    @property
    def grid(self) -> int:
        """The bandlimit whose grid it is (models/spherical/wigner.py)."""
        return self.bandlimit * self.oversampling

    @property
    def order(self) -> int:
        """Number of points of the grid."""
        return math.prod(so3_grid(self.grid))

    @property
    def elements(self) -> range:
        """The numbers of the grid's points, from 0 on."""
        return range(self.order)

    @property
    def needs_square(self) -> bool:
        """Whether only a square grid of pixels is mapped to itself; there are no pixels."""
        return False
