"""Layers that replace the input by something invariant, so that any network on top is exactly invariant."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from widesym.models.groups import Group
from widesym.models.layer import Layer
from widesym.models.layers.parts import check_acting, check_image
from widesym.models.network import Around, Network, Through, checked_layers, signal_after_body
from widesym.models.signal import Signal, to_layout


@dataclass(frozen=True)
class InputMap(Layer):
    """A function of the input without weights; at infinite width, too, what follows sees the mapped input."""

    has_closed_form: ClassVar[bool] = True

    def mapped(self, x: Float[Array, "sample *point channel"]) -> Float[Array, "sample *new_point new_channel"]:
        """The function, on a batch in the users' layout."""
        raise NotImplementedError


@dataclass(frozen=True)
class InvariantScalars(InputMap):
    """Of A vectors in R^d, (A, d): all inner products v_a·v_b, a ≤ b, and with `determinants` all d × d determinants.

    By the first fundamental theorem these generate all invariants of O(d), with determinants of SO(d) (Weyl 1946).
    """

    determinants: bool = False

    def output(self, signal: Signal) -> Signal:
        vectors, dimension = signal.atoms, signal.channels
        if vectors is None or signal.grid:
            raise ValueError(f"InvariantScalars acts on sets of vectors, inputs (A, d), but gets {signal}")
        if self.determinants and vectors < dimension:
            raise ValueError(
                f"InvariantScalars: determinants take {dimension} vectors in {dimension} dimensions, "
                f"but there are {vectors}"
            )
        minors = math.comb(vectors, dimension) if self.determinants else 0
        return Signal(vectors * (vectors + 1) // 2 + minors)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "InputMapModule":
        return InputMapModule(self, None)

    def mapped(self, x: Float[Array, "sample vector dimension"]) -> Float[Array, "sample scalar"]:
        first, second = np.triu_indices(x.shape[1])
        scalars = [jnp.einsum("nad,nbd->nab", x, x)[:, first, second]]
        if self.determinants:
            subsets = np.array(list(combinations(range(x.shape[1]), x.shape[2])))
            scalars.append(jnp.linalg.det(x[:, subsets]))
        return jnp.concatenate(scalars, axis=-1)


@dataclass(frozen=True)
class Canonicalize(InputMap):
    """z(x) = body(x̂): of the orbit {ρ_g x}, the network sees the one image x̂ with the highest score.

    The score is the inner product with fixed white noise, which no image of practice scores twice the same: as every
    image of an orbit leads to the same x̂, any body becomes exactly invariant, though not continuous
    (Kaba et al. 2023, arXiv:2211.06489; the score here has no weights).
    """

    body: tuple[Layer, ...]
    group: Group

    def __init__(self, body: Iterable[Layer], group: Group):
        object.__setattr__(self, "body", checked_layers("Canonicalize", body))
        object.__setattr__(self, "group", check_acting("Canonicalize", group))

    def output(self, signal: Signal) -> Signal:
        check_image("Canonicalize", self.group, signal)
        return signal_after_body("Canonicalize", self.body, signal)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "InputMapModule":
        return InputMapModule(self, Network(self.body, signal, rngs))

    def mapped(self, x: Float[Array, "sample row column channel"]) -> Float[Array, "sample row column channel"]:
        template = np.random.default_rng(0).standard_normal(x.shape[1:]).astype(np.float32)
        orbit = jnp.stack([self.group.rotate_images(x, g) for g in self.group.elements])
        best = jnp.argmax(jnp.sum(orbit * template, axis=(2, 3, 4)), axis=0)  # in float32 at least: ties would show
        return jax.vmap(lambda images, g: images[g], in_axes=(1, 0))(orbit, best)


class InputMapModule(Around[Network | None]):
    """Finite-width InputMap, and the network that reads what it makes, if it has one."""

    def __init__(self, layer: InputMap, body: Network | None):
        self.layer, self.body = layer, body

    def around(
        self, through: Through, x: Float[Array, "channel *point sample"], extra: Any
    ) -> tuple[Float[Array, "feature *new_point sample"], Any]:
        z = to_layout(self.layer.mapped(to_layout(x)))
        return (z, extra) if self.body is None else through(self.body, z, extra)
