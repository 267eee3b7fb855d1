"""Analysis: analytic kernels, training dynamics at infinite width, estimators on ensembles, figures."""

from widesym.analysis.kernels import AnalyticKernel, Kernel, analytic_kernel

__all__ = ["AnalyticKernel", "Kernel", "analytic_kernel"]
