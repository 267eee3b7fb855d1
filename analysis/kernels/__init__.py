"""Analytic infinite-width kernels."""

from analysis.kernels.analytic import AnalyticKernel, Kernel, analytic_kernel
from analysis.kernels.group_circulant import GroupCirculant, OrbitKernel
from analysis.kernels.orbits import orbit_blocks, orbit_kernel

__all__ = [
    "AnalyticKernel",
    "GroupCirculant",
    "Kernel",
    "OrbitKernel",
    "analytic_kernel",
    "orbit_blocks",
    "orbit_kernel",
]
