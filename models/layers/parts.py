"""One network on several parts of an input, summed: over the orbit of a group, or over the atoms of a molecule."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from widesym.models.groups import Group
from widesym.models.layer import Layer
from widesym.models.network import Around, Network, Through, checked_layers, signal_after_body
from widesym.models.signal import Signal, to_layout


@dataclass(frozen=True)
class PartSum(Layer):
    """z(x) = Σ_p w_p(x) body(x_p), for the parts x_p of an input."""

    has_closed_form: ClassVar[bool] = True

    body: tuple[Layer, ...]

    @property
    def is_shared(self) -> bool:
        """Whether all parts go through the same weights."""
        return True

    def part(self, signal: Signal) -> Signal:
        """The signal of one part; raises ValueError where there are none."""
        raise NotImplementedError

    def parts(self, x: Float[Array, "sample *point channel"]) -> Float[Array, "sample part *new_point channel"]:
        """x_p, of a batch of inputs in the users' layout."""
        raise NotImplementedError

    def weights(self, x: Float[Array, "sample *point channel"]) -> Float[Array, "sample part"]:
        """The factors w_p(x) of the parts in the sum, for a batch of inputs."""
        raise NotImplementedError

    def output(self, signal: Signal) -> Signal:
        name = type(self).__name__
        after = signal_after_body(name, self.body, self.part(signal))
        if not after.is_vector:
            raise ValueError(
                f"{name} adds up vectors, but its body makes {after}; add Flatten() or a global pool to it"
            )
        return after

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "PartSumModule":
        return PartSumModule(self, signal, rngs)


@dataclass(frozen=True)
class OrbitAverage(PartSum):
    """z(x) = 1/|G| Σ_g body(ρ_g x): any network on images, made exactly invariant (theory.md §3, theorem 7)."""

    body: tuple[Layer, ...]
    group: Group

    def __init__(self, body: Iterable[Layer], group: Group):
        object.__setattr__(self, "body", checked_layers("OrbitAverage", body))
        object.__setattr__(self, "group", check_acting("OrbitAverage", group))

    def part(self, signal: Signal) -> Signal:
        return check_image("OrbitAverage", self.group, signal)

    def parts(self, x: Float[Array, "sample row column channel"]) -> Float[Array, "sample part row column channel"]:
        return jnp.stack([self.group.rotate_images(x, g) for g in self.group.elements], axis=1)

    def weights(self, x: Float[Array, "sample row column channel"]) -> Float[Array, "sample part"]:
        return jnp.full((len(x), self.group.order), 1 / self.group.order, x.dtype)


@dataclass(frozen=True)
class AtomSum(PartSum):
    """z(x) = Σ_a body(x_a) over the atoms of an input (A, …), with weights shared by all atoms or a set per slot a.

    Slots that hold zeros alone are padding and do not count. Shared weights make the sum invariant under permutations
    of the atoms (arXiv:2406.06504, app. F.3). Padding is told by its zeros: nothing may stand before that changes them.
    """

    body: tuple[Layer, ...]
    shared: bool = field(default=True, kw_only=True)

    def __init__(self, body: Iterable[Layer], *, shared: bool = True):
        object.__setattr__(self, "body", checked_layers("AtomSum", body))
        object.__setattr__(self, "shared", shared)

    @property
    def is_shared(self) -> bool:
        return self.shared

    def part(self, signal: Signal) -> Signal:
        if signal.atoms is None:
            raise ValueError(f"AtomSum adds up atoms, but gets {signal}; its inputs are (A, H, W, C) or (A, C)")
        return replace(signal, atoms=None)

    def parts(self, x: Float[Array, "sample atom *point channel"]) -> Float[Array, "sample atom *point channel"]:
        return x

    def weights(self, x: Float[Array, "sample atom *point channel"]) -> Float[Array, "sample atom"]:
        return jnp.any(x != 0, axis=tuple(range(2, x.ndim))).astype(x.dtype)


class PartSumModule(Around[Network]):
    """Finite-width PartSum; where weights are not shared, each of them has a leading axis over parts."""

    def __init__(self, layer: PartSum, signal: Signal, rngs: nnx.Rngs):
        part = layer.part(signal)
        self.layer = layer
        if layer.is_shared:
            self.body = Network(layer.body, part, rngs)
        else:
            keys = jax.random.split(rngs(), signal.axes[0])
            graph = nnx.split(nnx.eval_shape(lambda: Network(layer.body, part, nnx.Rngs(0))))[0]
            stacked = jax.vmap(lambda key: nnx.state(Network(layer.body, part, nnx.Rngs(key))))(keys)
            self.body = nnx.merge(graph, stacked)

    def around(
        self, through: Through, x: Float[Array, "channel *point sample"], extra: Any
    ) -> tuple[Float[Array, "feature sample"], Any]:
        x = to_layout(x)  # its own inverse
        parts = self.layer.parts(x)
        if self.layer.is_shared:
            z, returned = through(self.body, to_layout(parts.reshape(-1, *parts.shape[2:])), extra)
            z = z.reshape(-1, *parts.shape[:2])
        else:
            graph, state = nnx.split(self.body)

            def of_slot(state: Any, part: Array, extra: Any) -> tuple[Array, Any]:
                return through(nnx.merge(graph, state), to_layout(part), extra)

            z, returned = jax.vmap(of_slot, (0, 1, 0), (-1, 0))(state, parts, extra)
        return jnp.sum(z * self.layer.weights(x), axis=-1), returned


def check_acting(name: str, group: Group) -> Group:
    """The group; raises ValueError if it does not act exactly on images."""
    if not isinstance(group, Group) or not group.is_exact:
        raise ValueError(
            f"{name}: the group is {group!r}; it must act exactly on images: cyclic(n) or dihedral(n) with n = 1, 2, 4"
        )
    return group


def check_image(name: str, group: Group, signal: Signal) -> Signal:
    """The signal; raises ValueError if it is no plain image on which the group acts."""
    if signal.grid is None or signal.group or signal.atoms:
        raise ValueError(f"{name} acts on images, but gets {signal}")
    if group.needs_square and signal.grid[0] != signal.grid[1]:
        raise ValueError(f"{name}: {group} needs a square image, but gets {signal}")
    return signal
