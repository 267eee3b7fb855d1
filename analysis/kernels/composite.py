"""Kernels of networks that act on parts of their input, or on a function of it; engines do the rest.

Layers that act on the input (models/layers/parts.py, models/layers/invariants.py) are peeled off one after the other,
until a network is left that an engine computes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import UnionType

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.analysis.kernels import engines
from widesym.analysis.kernels.closed_form import check_layers
from widesym.analysis.kernels.engines import Batch
from widesym.analysis.kernels.lag_plan import with_signals
from widesym.analysis.kernels.order import flattening_late
from widesym.analysis.kernels.progress import Told, in_pieces
from widesym.analysis.kernels.propagation import Independent, Rules, propagate, recorded, replayed
from widesym.models.architecture import Architecture
from widesym.models.covariance import Covariance
from widesym.models.layer import Affine, Layer, NoClosedFormError, Nonlinearity
from widesym.models.layers.dense import Dense
from widesym.models.layers.invariants import Canonicalize, InputMap
from widesym.models.layers.parts import PartSum
from widesym.models.layers.pooling import Flatten
from widesym.models.layers.residual import Identity
from widesym.models.signal import Signal


def gram(
    layers: Sequence[Layer], x1: Batch, x2: Batch | None, independent: bool = False, told: Told | None = None
) -> Covariance:
    """(K, Θ) of all pairs of inputs, [n1, n2]; of x1 with itself, without x2.

    `independent`: of two networks, each with weights of its own. `told` hears how far it is.
    """
    layers = flattening_late(layers)
    layer, rest = layers[0], layers[1:]
    match layer:
        case Identity() if rest:
            return gram(rest, x1, x2, independent, told)
        case InputMap():
            mapped = layer.mapped(x1), None if x2 is None else layer.mapped(x2)
            return gram(_after(layer, rest), *mapped, independent, told)
        case PartSum():
            columns, rules = x1 if x2 is None else x2, Independent(VectorRules()) if independent else VectorRules()
            whole = _head(layer, rest, x1, columns, _gram_parts(layer, x1, columns, independent, told), rules)
            return jax.tree.map(engines.mirrored, whole) if x2 is None else whole  # two orders of a pair round apart
    return engines.gram_by_engine(_engine(layers, x1, independent), x1, x2, told)


def diagonal(layers: Sequence[Layer], x: Batch) -> Covariance:
    """(K, Θ) of each input with itself, [n]."""
    layers = flattening_late(layers)
    layer, rest = layers[0], layers[1:]
    match layer:
        case Identity() if rest:
            return diagonal(rest, x)
        case InputMap():
            return diagonal(_after(layer, rest), layer.mapped(x))
        case PartSum():
            pairs = jax.tree.map(lambda k: k[:, None], _diagonal_parts(layer, x))
            return jax.tree.map(lambda k: k[:, 0], _head(layer, rest, x, None, pairs, VectorRules()))
    return engines.diagonal_by_engine(_engine(layers, x), x)


def _after(layer: InputMap, rest: Sequence[Layer]) -> tuple[Layer, ...]:
    body = layer.body if isinstance(layer, Canonicalize) else ()
    return (*body, *rest) or (Identity(),)


def _engine(layers: Sequence[Layer], x: Batch, independent: bool = False) -> engines.Engine:
    return engines.choose_engine(Architecture(layers), tuple(x.shape[1:]), independent)


def _gram_parts(
    layer: PartSum, x1: Batch, x2: Batch, independent: bool = False, told: Told | None = None
) -> Covariance:
    """Σ_pq w_p w'_q K(x_p, x'_q); where parts have weights of their own, K is `independent` for p ≠ q."""
    (parts1, weights1), (parts2, weights2) = ((layer.parts(x), layer.weights(x)) for x in (x1, x2))
    split = (*parts1.shape[:2], *parts2.shape[:2])

    def total(pairs: Float[Array, "part part"], independent: bool, told: Told | None) -> Covariance:
        flat1, flat2 = (parts.reshape(-1, *parts.shape[2:]) for parts in (parts1, parts2))
        kernel = gram(layer.body, flat1, flat2, independent, told)
        return jax.tree.map(
            lambda k: jnp.einsum("apbq,ap,bq,pq->ab", k.reshape(split), weights1, weights2, pairs), kernel
        )

    slots = parts1.shape[1]
    if layer.is_shared:
        return total(jnp.ones((slots, slots), x1.dtype), independent, told)
    centred = check_layers(layer.body, layer.part(Signal.of_input(x1.shape[1:]))).gaussian
    *of_own, of_others = in_pieces(told, [1] * slots + [0 if centred else slots**2])
    own = [gram(layer.body, parts1[:, p], parts2[:, p], independent, of_own[p]) for p in range(slots)]
    masks = [weights1[:, p, None] * weights2[:, p] for p in range(slots)]
    same = jax.tree.map(lambda *ks: sum(mask * k for mask, k in zip(masks, ks, strict=True)), *own)
    if centred:
        return same  # what the slots add up is centred: different ones are uncorrelated
    return jax.tree.map(jnp.add, same, total(1 - jnp.eye(slots, dtype=x1.dtype), True, of_others))


def _diagonal_parts(layer: PartSum, x: Batch) -> Covariance:
    """The same of each input with itself, [n]."""
    each = [_gram_parts(layer, one[None], one[None]) for one in x]
    return Covariance(*(jnp.stack([k[0, 0] for k in of]) for of in zip(*each, strict=True)))


@dataclass(frozen=True)
class VectorRules(Rules[Covariance]):
    """Linear layers on vectors: Dense, and such as do nothing to a vector."""

    def affine(self, layer: Affine, signal: Signal, state: Covariance) -> Covariance:
        """K ← σ_w² K + σ_b², Θ ← K_new + σ_w² Θ (theory.md §2)."""
        _check_vectors(layer, Dense)
        nngp = layer.w_std**2 * state.nngp + layer.b_std**2
        return Covariance(nngp, nngp + layer.w_std**2 * state.ntk)

    def linear(self, layer: Layer, signal: Signal, state: Covariance) -> Covariance:
        """Identity, or Flatten of a vector."""
        _check_vectors(layer, Identity | Flatten)
        return state


def _check_vectors(layer: Layer, known: type | UnionType) -> None:
    """Raise NoClosedFormError for layers of others' making, whose action on vectors is not known here."""
    if not isinstance(layer, known):
        raise NoClosedFormError(f"{type(layer).__name__} has no closed form after a sum over parts of the input")


def _head(
    layer: PartSum, rest: Sequence[Layer], x1: Batch, x2: Batch | None, pairs: Covariance, rules: Rules
) -> Covariance:
    """The layers after the sum, on vectors; without x2, `pairs` are those of each input with itself, [n, 1]."""
    signal = layer.output(Signal.of_input(x1.shape[1:]))
    lists: list[list[Float[Array, " n"]]] = [[], []]
    if any(isinstance(inner, Nonlinearity) for inner, _ in with_signals(rest, signal)):
        for x, variances in zip((x1, x2), lists, strict=True):
            if x is not None:
                own = _diagonal_parts(layer, x)
                propagate(rest, signal, own, VectorRules(), recorded(variances, lambda nngp: nngp, lambda a, b: (a, b)))
    if x2 is None:
        return propagate(
            rest, signal, pairs, rules, replayed(lists[0], lists[0], lambda a, b: (a[:, None], b[:, None]))
        )
    return propagate(rest, signal, pairs, rules, replayed(lists[0], lists[1], lambda a, b: (a[:, None], b[None, :])))
