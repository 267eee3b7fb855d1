"""Analytic infinite-width kernels."""

from analysis.kernels.analytic import AnalyticKernel, Kernel, analytic_kernel

__all__ = ["AnalyticKernel", "Kernel", "analytic_kernel"]
