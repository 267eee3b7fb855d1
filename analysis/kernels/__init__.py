"""Analytic infinite-width kernels."""

from analysis.kernels.analytic import AnalyticKernel, Kernel, analytic_kernel
from analysis.kernels.orbits import orbit_kernel

__all__ = ["AnalyticKernel", "Kernel", "analytic_kernel", "orbit_kernel"]
