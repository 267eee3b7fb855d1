"""Kernels of finite networks: of given weights, and sampled over many draws of them (docs/empirical-ntk.md)."""

from widesym.analysis.empirical.ntk import empirical_nngp, empirical_ntk
from widesym.analysis.empirical.sampled import check_linear_head, empirical_kernel, kernels_of_members, sampled_kernel

__all__ = [
    "check_linear_head",
    "empirical_kernel",
    "empirical_nngp",
    "empirical_ntk",
    "kernels_of_members",
    "sampled_kernel",
]
