"""Kernels into directories of their own: Gram matrices, empirical NTKs, sampled kernels.

Imports config, runs and integrity.
"""
