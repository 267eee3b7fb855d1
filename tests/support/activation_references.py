"""Activations in NumPy, and their duals as integrals in float64."""

import math
from itertools import product

import jax
import numpy as np
import scipy.special

from widesym.models import Abs, Elementwise, Erf, Gelu, LeakyRelu, Relu, Sin, Tanh


def softplus_square(z):
    """Neither odd, even nor zero at zero."""
    return jax.nn.softplus(z) ** 2


def normal_distribution(z):
    return scipy.special.ndtr(z)


def gelu_slope(z):
    return normal_distribution(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


LINEAR = {  # φ and φ' in NumPy
    Relu(): (lambda z: np.maximum(z, 0), lambda z: z > 0),
    LeakyRelu(0.3): (lambda z: np.where(z > 0, z, 0.3 * z), lambda z: np.where(z > 0, 1, 0.3)),
    LeakyRelu(-2): (lambda z: np.where(z > 0, z, -2 * z), lambda z: np.where(z > 0, 1, -2)),
    LeakyRelu(1): (lambda z: z, np.ones_like),
    Abs(): (np.abs, np.sign),
}
SMOOTH = {
    Erf(): (scipy.special.erf, lambda z: 2 / math.sqrt(math.pi) * np.exp(-(z**2))),
    Gelu(): (lambda z: z * normal_distribution(z), gelu_slope),
    Sin(): (np.sin, np.cos),
    Sin(2.5): (lambda z: np.sin(2.5 * z), lambda z: 2.5 * np.cos(2.5 * z)),
}
NUMERIC = {
    Tanh(): (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    Elementwise(softplus_square): (
        lambda z: np.logaddexp(z, 0) ** 2,
        lambda z: 2 * np.logaddexp(z, 0) * scipy.special.expit(z),
    ),
}
ALL = LINEAR | SMOOTH | NUMERIC
COSINES = (-1, -0.999, -0.4, 0, 0.5, 0.999, 1)
VARIANCES = ((0, 0), (0, 2), (1e-6, 3), (0.3, 0.3), (1, 1), (0.5, 7), (100, 1), (100, 100))


def integrals(layer, q1, q2, cosine):
    """E[φ(u)φ(v)] and E[φ'(u)φ'(v)] in float64."""
    kind = by_direction if layer in LINEAR else on_grid
    return np.array([kind(f, q1, q2, cosine) for f in ALL[layer]]) * ([1, 1] if kind is on_grid else [1, 0.5])


def by_direction(f, q1, q2, cosine):
    """1/2π ∫ f(√q cos α) f(√q' cos(α − θ)) dα, between the kinks; the radius gives φφ' a factor 2, φ'φ' a factor 1."""
    θ = np.arccos(cosine)
    kinks = np.sort(
        [
            *((np.arange(2) * np.pi + np.pi / 2) % (2 * np.pi)),
            *((θ + np.pi * np.arange(2) + np.pi / 2) % (2 * np.pi)),
            0,
            2 * np.pi,
        ]
    )
    x, w = np.polynomial.legendre.leggauss(20)
    width = np.diff(kinks)[:, None] / 2
    α = kinks[:-1, None] + width * (1 + x)
    return np.sum(width * w * f(np.sqrt(q1) * np.cos(α)) * f(np.sqrt(q2) * np.cos(α - θ))) / np.pi


def on_grid(f, q1, q2, cosine, points=481):
    """The trapezoidal rule on ±9: exact to rounding for these entire functions."""
    x = np.linspace(-9, 9, points)
    w = np.exp(-(x**2) / 2) * (x[1] - x[0]) / math.sqrt(2 * math.pi)
    v = np.sqrt(q2) * (cosine * x[:, None] + np.sqrt((1 - cosine) * (1 + cosine)) * x)
    return (w * f(np.sqrt(q1) * x)) @ (f(v) @ w)


def cases_and_integrals(layer, variances=VARIANCES):
    cases = [(*pair, cosine) for pair, cosine in product(variances, COSINES) if all(pair) or cosine == 0]
    return cases, np.array([integrals(layer, *case) for case in cases])
