"""Estimators on ensembles, each with an honest interval: means, divergences, orbits, convergence.

Imports kernels.
"""
