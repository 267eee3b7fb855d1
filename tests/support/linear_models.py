"""Random models linear in their parameters, whose training is known without any theory of wide networks."""

import math

import numpy as np

from widesym.analysis.dynamics import largest_eigenvalue
from widesym.analysis.kernels import Kernel

TRAIN, TEST, LOGITS = 5, 3, 2
# Sums of a few hundred float64 terms of order one; predictions go through an eigendecomposition.
FLOAT64 = {"rtol": 1e-10, "atol": 1e-10}


def problem(rank, ridge=0.0):
    """Features J and prior features P of test and training inputs, with Θ = J Jᵀ and K = P Pᵀ; targets, rate."""
    rng = np.random.default_rng(rank)
    features, prior = (rng.standard_normal((TEST + TRAIN, size)) / math.sqrt(size) for size in (rank, TEST + TRAIN + 2))
    targets = rng.standard_normal((TRAIN, LOGITS))
    rate = 0.6 * 2 * TRAIN / (largest_eigenvalue(features[TEST:] @ features[TEST:].T) + ridge)
    return features, prior, targets, rate


def kernels(features, prior):
    """K, Θ of the training set, those between the test inputs and it, and K of these."""
    ntk, nngp = features @ features.T, prior @ prior.T
    train, cross = (Kernel(nngp[rows, TEST:], ntk[rows, TEST:]) for rows in (slice(TEST, None), slice(TEST)))
    return train, cross, nngp[:TEST, :TEST]
