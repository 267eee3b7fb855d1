"""Finite groups of the plane: their full orbits, chosen elements, random elements."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from widesym.ensembles.augmentation.images import Images
from widesym.ensembles.augmentation.policy import FixedCopies, Inputs, Targets, merged
from widesym.ensembles.augmentation.representations import (
    Invariant,
    Representation,
    Space,
    check_fields,
    turned_copies,
    turned_each,
)
from widesym.models.groups import Group
from widesym.models.layers.circular_harmonics import turn


@dataclass(frozen=True)
class GroupPolicy:
    """What policies of a finite group share: the group, what it acts on, and how the targets move along.

    C_n and D_n with n = 1, 2, 4 move the pixels of images exactly; otherwise `space` says how to interpolate.
    Raises ValueError for what is no group, or does not live in the plane.
    """

    group: Group
    space: Space = field(default_factory=Images, kw_only=True)
    targets: Representation = field(default_factory=Invariant, kw_only=True)

    def __post_init__(self):
        name = type(self).__name__
        if not isinstance(self.group, Group):
            raise ValueError(f"{name}: the group is {self.group!r}; it must be cyclic(n) or dihedral(n)")
        check_fields(self, self.space, self.targets)
        if self.space.dimension != 2:
            raise ValueError(
                f"{name}: {self.group} acts on the plane, but {self.space} has {self.space.dimension} dimensions"
            )

    def _moved(self, x: Inputs, elements: Iterable[int]) -> Float[Array, "element sample *shape"]:
        """ρ_g of all inputs, for each g of `elements`."""
        if isinstance(self.space, Images) and self.group.is_exact:
            return jnp.stack([self.group.rotate_images(x, g) for g in elements])
        return turned_copies(self.space, x, matrices(self.group)[list(elements)])

    def _moved_each(
        self, g: Int[Array, "copy sample"], x: Inputs, y: Targets
    ) -> tuple[Float[Array, "copy*sample *shape"], Float[Array, "copy*sample target"]]:
        """Each copy of each sample, moved by its own g."""
        if isinstance(self.space, Images) and self.group.is_exact:
            # All copies, then slices of them: on CPUs faster than gathering pixels, selecting or branching.
            orbit = self._moved(x, self.group.elements)
            moved = jnp.take_along_axis(orbit, g.reshape(*g.shape, *[1] * (x.ndim - 1)), axis=0)
        else:
            moved = self._by_own(self.space, x, g)
        return merged(moved), merged(self._by_own(self.targets, y, g))

    def _by_own(
        self, on: Representation, values: Float[Array, "sample *shape"], g: Int[Array, "copy sample"]
    ) -> Float[Array, "copy sample *shape"]:
        values = jnp.asarray(values)
        own = jnp.asarray(matrices(self.group), values.dtype)[g]
        return jax.vmap(lambda R: turned_each(on, values, R))(own)


@dataclass(frozen=True)
class FixedElements(GroupPolicy, FixedCopies):
    """g·x for the given elements of the group, by their indices: the batch grows as many times.

    Raises ValueError for none, for repeated ones, and for indices that the group does not have.
    """

    elements: tuple[int, ...]

    def __post_init__(self):
        super().__post_init__()
        given = tuple(self.elements)
        if not given or len(set(given)) < len(given) or not all(_is_index(g, self.group) for g in given):
            raise ValueError(
                f"FixedElements: elements are {given}; they must be different indices of {self.group}, "
                f"0 to {self.group.order - 1}, one at least"
            )
        object.__setattr__(self, "elements", tuple(map(int, given)))

    @property
    def size(self) -> int:
        return len(self.elements)

    def copies(self, x: Inputs) -> Float[Array, "element sample *shape"]:
        return self._moved(x, self.elements)

    def target_copies(self, y: Targets) -> Float[Array, "element sample target"]:
        return turned_copies(self.targets, y, matrices(self.group)[list(self.elements)])


@dataclass(frozen=True)
class FullOrbit(GroupPolicy, FixedCopies):
    """All g·x for all g of the group, in their order: the batch grows |G|-fold (arXiv:2403.03103, sec. 3)."""

    @property
    def size(self) -> int:
        return self.group.order

    def copies(self, x: Inputs) -> Float[Array, "element sample *shape"]:
        return self._moved(x, self.group.elements)

    def target_copies(self, y: Targets) -> Float[Array, "element sample target"]:
        return turned_copies(self.targets, y, matrices(self.group))


@dataclass(frozen=True)
class RandomElement(GroupPolicy):
    """g·x for one uniformly drawn g per sample, independently of all others: in the mean, the full orbit's loss."""

    def __call__(self, key: Key[Array, ""], x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        g = jax.random.randint(key, (1, len(x)), 0, self.group.order, jnp.int32)
        return self._moved_each(g, x, y)


@dataclass(frozen=True)
class RandomElements(GroupPolicy):
    """`count` different elements per sample, drawn without replacement: the batch grows `count`-fold.

    Samples draw independently of one another. With count = |G| the batch is the full orbit, in another order. Raises
    ValueError for more elements than there are.
    """

    count: int

    def __post_init__(self):
        super().__post_init__()
        if not _is_integer(self.count) or not 1 <= self.count <= self.group.order:
            raise ValueError(
                f"RandomElements: count is {self.count!r}; of {self.group} it must be 1 to {self.group.order}, "
                "as no element is drawn twice"
            )

    def __call__(self, key: Key[Array, ""], x: Inputs, y: Targets) -> tuple[Inputs, Targets]:
        all_elements = jnp.broadcast_to(jnp.arange(self.group.order, dtype=jnp.int32), (len(x), self.group.order))
        shuffled = jax.random.permutation(key, all_elements, axis=1, independent=True)
        return self._moved_each(shuffled[:, : self.count].T, x, y)


def matrices(group: Group) -> Float[np.ndarray, "element 2 2"]:
    """Element r + n·f on points (x, y), x to the right and y up: x ↦ −x if f = 1, then 2πr/n to the left."""
    turns = [turn(group.rotations, r) for r in range(group.rotations)]
    rotations = np.array([[[z.real, -z.imag], [z.imag, z.real]] for z in turns])
    return np.concatenate([rotations, rotations @ np.diag([-1.0, 1.0])]) if group.reflections else rotations


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_index(g: object, group: Group) -> bool:
    return _is_integer(g) and g in group.elements
