"""How fast kernels of finite networks come to the analytic ones as the width grows, on the plane and on the sphere."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float
from rich.console import Console

from widesym.ensembles.data import Digits
from widesym.ensembles.data.transforms import resize, to_sphere
from widesym.launch.kernels.sampled import KernelSample, sample_kernels
from widesym.launch.kernels.sampled_report import report
from widesym.launch.recipes.base import Output, Recipe
from widesym.launch.runs.begun import unstated_told
from widesym.models import (
    Architecture,
    Dense,
    GroupConv,
    GroupPool,
    LiftingConv,
    Relu,
    SO3Conv,
    SO3Pool,
    SphereLifting,
    cyclic,
)
from widesym.models.checks import MOST_SEED
from widesym.models.zoo import HIDDEN_STD


@dataclass(frozen=True)
class KernelConvergence(Recipe):
    """What both recipes share: their options, and what they do."""

    members: int = 100
    """Initialisations of each width."""
    widths: tuple[int, ...] = (8, 16, 32, 64)
    """Channels of the hidden layers."""
    inputs: int = 4
    """Digits between all of which kernels are computed."""
    seed: int = 0
    """Seed of digits, networks and bootstrap."""
    output: Output = Path("runs/kernel-convergence")
    """Where sums over members, figure and summary go; members found there are not computed again."""
    paper: bool = False
    """1000 initialisations of widths 4, 8, … 256."""

    limits: ClassVar = {"members": (10, 1_000_000), "inputs": (1, 32), "seed": (0, MOST_SEED)}
    sizes_of_paper: ClassVar = {"members": 1000, "widths": (4, 8, 16, 32, 64, 128, 256)}

    def check(self) -> None:
        """Raise ValueError for widths that cannot be."""
        super().check()
        if len(self.widths) < 2 or len(set(self.widths)) < len(self.widths):
            raise ValueError(f"--widths are {self.widths}; exponents need two or more, each named once")
        if not all(1 <= width <= 4096 for width in self.widths):
            raise ValueError(f"--widths are {self.widths}; each must be between 1 and 4096")

    @property
    def digits(self) -> Float[np.ndarray, "n 8 8 1"]:
        """The digits, normalised over their pixels."""
        return Digits(self.inputs, 1, self.seed).load().train.inputs

    @property
    def x(self) -> Float[np.ndarray, "n row column 1"]:
        """The digits as the networks take them."""
        raise NotImplementedError

    def network(self, width: int) -> Architecture:
        """The network of this width."""
        raise NotImplementedError

    def carry_out(self, name: str, console: Console) -> None:
        """Sample kernels, fit, draw; members whose kernels are in the sums on disk are not computed again."""
        networks, path = {width: self.network(width) for width in self.widths}, self.output / "kernels"
        sample = KernelSample(networks, self.x, self.members, self.seed, randomness=unstated_told(path, console))
        exact, moments = sample_kernels(sample, path, console)
        report(name, exact, moments, self.output, console)


@dataclass(frozen=True)
class KernelConvergenceC4(KernelConvergence):
    """Means of the NTK and the NNGP over initialisations of C4 group-CNNs - a lifting and four group convolutions,
    group pooling - on 16×16 digits, against the analytic kernels: bias and spread by width.
    """

    output: Output = Path("runs/kernel-convergence-c4")
    """Where sums over members, figure and summary go; members found there are not computed again."""
    side: int = 16
    """Pixels along a side of the digits; the original ones have 8."""

    limits: ClassVar = {**KernelConvergence.limits, "side": (3, 64)}

    @property
    def x(self) -> Float[np.ndarray, "n row column 1"]:
        """The digits at `side` × `side` pixels."""
        return self.digits if self.side == 8 else resize(self.digits, self.side, self.side)

    def network(self, width: int) -> Architecture:
        """3×3 filters with SAME padding, ReLU after each of the five convolutions (arXiv:2406.06504, F.1)."""
        lifting, conv = (kind(cyclic(4), width, 3, w_std=HIDDEN_STD) for kind in (LiftingConv, GroupConv))
        return Architecture((lifting, Relu(), *(conv, Relu()) * 4, GroupPool(), Dense(1)))


@dataclass(frozen=True)
class KernelConvergenceSO3(KernelConvergence):
    """Means of the NTK and the NNGP over initialisations of spherical CNNs - a lifting to SO(3), a convolution there,
    pooling - on digits projected on the sphere, against the analytic kernels: bias and spread by width.
    """

    output: Output = Path("runs/kernel-convergence-so3")
    """Where sums over members, figure and summary go; members found there are not computed again."""

    @property
    def x(self) -> Float[np.ndarray, "n 12 11 1"]:
        """Digits on the northern hemisphere, on the grid of bandlimit 6; all around is the mean of all pixels, 0."""
        return to_sphere(self.digits, 6)

    def network(self, width: int) -> Architecture:
        """Bandlimits 6 → 3 → 3, as in arXiv:2406.06504, table 2."""
        lifting, conv = SphereLifting(width, 6, 3, w_std=HIDDEN_STD), SO3Conv(width, 3, 3, w_std=HIDDEN_STD)
        return Architecture((lifting, Relu(), conv, Relu(), SO3Pool(), Dense(1)))
