"""Kernels of networks that act on parts of their input, or on a function of it; engines do the rest.

Layers that act on the input (models/parts.py, models/invariants.py) are peeled off one after the other, until a network
is left that an engine computes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from analysis.kernels import engines
from analysis.kernels.engines import Batch
from analysis.kernels.lag_plan import with_signals
from analysis.kernels.propagation import propagate, recorded, replayed
from models.architecture import Architecture
from models.covariance import Covariance
from models.invariants import Canonicalize, InputMap
from models.layer import Affine, Layer, Nonlinearity
from models.parts import PartSum
from models.residual import Identity
from models.signal import Signal


def gram(layers: Sequence[Layer], x1: Batch, x2: Batch) -> Covariance:
    """(K, Θ) of all pairs of inputs, [n1, n2]."""
    layer, rest = layers[0], layers[1:]
    match layer:
        case Identity() if rest:
            return gram(rest, x1, x2)
        case InputMap():
            return gram(_after(layer, rest), layer.mapped(x1), layer.mapped(x2))
        case PartSum():
            return _head(layer, rest, x1, x2, _gram_parts(layer, x1, x2))
    return engines.gram(_engine(layers, x1), x1, x2)


def diagonal(layers: Sequence[Layer], x: Batch) -> Covariance:
    """(K, Θ) of each input with itself, [n]."""
    layer, rest = layers[0], layers[1:]
    match layer:
        case Identity() if rest:
            return diagonal(rest, x)
        case InputMap():
            return diagonal(_after(layer, rest), layer.mapped(x))
        case PartSum():
            pairs = jax.tree.map(lambda k: k[:, None], _diagonal_parts(layer, x))
            return jax.tree.map(lambda k: k[:, 0], _head(layer, rest, x, None, pairs))
    return engines.diagonal(_engine(layers, x), x)


def _elementwise(layers: Sequence[Layer], x1: Batch, x2: Batch) -> Covariance:
    """(K, Θ) of x1[n] and x2[n], for networks whose first layer is no PartSum."""
    layer, rest = layers[0], layers[1:]
    if isinstance(layer, InputMap):
        return _elementwise(_after(layer, rest), layer.mapped(x1), layer.mapped(x2))
    if isinstance(layer, PartSum):
        pairs = [gram(layers, a[None], b[None]) for a, b in zip(x1, x2, strict=True)]
        return Covariance(*(jnp.stack([k[0, 0] for k in of]) for of in zip(*pairs, strict=True)))
    return engines.elementwise(_engine(layers, x1), x1, x2)


def _after(layer: InputMap, rest: Sequence[Layer]) -> tuple[Layer, ...]:
    body = layer.body if isinstance(layer, Canonicalize) else ()
    return (*body, *rest) or (Identity(),)


def _engine(layers: Sequence[Layer], x: Batch) -> engines.Engine:
    return engines.choose_engine(Architecture(layers), tuple(x.shape[1:]))


def _gram_parts(layer: PartSum, x1: Batch, x2: Batch) -> Covariance:
    """Σ_pq w_p w_q K(x_p, x'_q) where parts share weights; else p = q, as different slots are independent."""
    (parts1, weights1), (parts2, weights2) = ((layer.parts(x), layer.weights(x)) for x in (x1, x2))
    if layer.is_shared:
        flat = gram(layer.body, parts1.reshape(-1, *parts1.shape[2:]), parts2.reshape(-1, *parts2.shape[2:]))
        split = (*parts1.shape[:2], *parts2.shape[:2])
        return jax.tree.map(lambda k: jnp.einsum("apbq,ap,bq->ab", k.reshape(split), weights1, weights2), flat)
    slots = [gram(layer.body, parts1[:, p], parts2[:, p]) for p in range(parts1.shape[1])]
    masks = [weights1[:, p, None] * weights2[:, p] for p in range(parts1.shape[1])]
    return jax.tree.map(lambda *ks: sum(mask * k for mask, k in zip(masks, ks, strict=True)), *slots)


def _diagonal_parts(layer: PartSum, x: Batch) -> Covariance:
    """The same of each input with itself, [n]."""
    parts, weights = layer.parts(x), layer.weights(x)
    n, p = parts.shape[:2]
    first, second = jnp.divmod(jnp.arange(p * p), p) if layer.is_shared else (jnp.arange(p),) * 2
    flat = _elementwise(
        layer.body,
        parts[:, first].reshape(-1, *parts.shape[2:]),
        parts[:, second].reshape(-1, *parts.shape[2:]),
    )
    both = weights[:, first] * weights[:, second]
    return jax.tree.map(lambda k: jnp.sum(k.reshape(n, -1) * both, axis=1), flat)


@dataclass(frozen=True)
class VectorRules:
    """Linear layers on vectors: Dense, and such as do nothing to a vector."""

    def affine(self, layer: Affine, signal: Signal, state: Covariance) -> Covariance:
        """K ← σ_w² K + σ_b², Θ ← K_new + σ_w² Θ (theory.md §2)."""
        nngp = layer.w_std**2 * state.nngp + layer.b_std**2
        return Covariance(nngp, nngp + layer.w_std**2 * state.ntk)

    def linear(self, layer: Layer, signal: Signal, state: Covariance) -> Covariance:
        """Identity, or Flatten of a vector."""
        return state


def _head(layer: PartSum, rest: Sequence[Layer], x1: Batch, x2: Batch | None, pairs: Covariance) -> Covariance:
    """The layers after the sum, on vectors; without x2, `pairs` are those of each input with itself, [n, 1]."""
    signal, rules = layer.output(Signal.of_input(x1.shape[1:])), VectorRules()
    lists: list[list[Float[Array, " n"]]] = [[], []]
    if any(isinstance(inner, Nonlinearity) for inner, _ in with_signals(rest, signal)):
        for x, variances in zip((x1, x2), lists, strict=True):
            if x is not None:
                own = _diagonal_parts(layer, x)
                propagate(rest, signal, own, rules, recorded(variances, lambda nngp: nngp, lambda a, b: (a, b)))
    if x2 is None:
        return propagate(
            rest, signal, pairs, rules, replayed(lists[0], lists[0], lambda a, b: (a[:, None], b[:, None]))
        )
    return propagate(rest, signal, pairs, rules, replayed(lists[0], lists[1], lambda a, b: (a[:, None], b[None, :])))
