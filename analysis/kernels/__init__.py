"""Analytic infinite-width kernels."""

from widesym.analysis.kernels.analytic import AnalyticKernel, Kernel, analytic_kernel
from widesym.analysis.kernels.group_circulant import GroupCirculant, OrbitKernel
from widesym.analysis.kernels.orbits import orbit_blocks, orbit_kernel

__all__ = [
    "AnalyticKernel",
    "GroupCirculant",
    "Kernel",
    "OrbitKernel",
    "analytic_kernel",
    "orbit_blocks",
    "orbit_kernel",
]
