"""Lifting and group convolutions on R ⋉ Z² for a finite group R of rotations and reflections.

With y' = ρ_r y and p = rq the layers of theory.md §1 read z(t,r) = Σ_{y'} Σ_p W(ρ_r⁻¹y', r⁻¹p) x(t+y', p): plain
convolutions with a bank of rotated filters, one per output element r. Where R maps pixels to pixels, W is any filter.
Elsewhere W(·, q) = Σ_b c_b B_b with i.i.d. coefficients c in a band-limited basis
(models/layers/circular_harmonics.py), which is sampled anew at the pixels for every r; then n·|S| above counts basis
functions instead of pixels.
"""

from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from widesym.models.correlation import Formulation, correlate
from widesym.models.covariance import Lag, filter_mean
from widesym.models.groups import Group
from widesym.models.layer import Affine, AffineModule
from widesym.models.layers.circular_harmonics import rotated_basis
from widesym.models.signal import Signal
from widesym.models.window import Padding, Window


@dataclass(frozen=True)
class _GroupAffine(Affine):
    """What lifting and group convolution share."""

    group: Group
    features: int
    size: int
    padding: Padding = "SAME"
    stride: int = 1

    def __post_init__(self):
        super().__post_init__()
        check_group_filter(type(self).__name__, self.group, self.window)

    @property
    def keeps_lags_apart(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether turned filters have the support of the unturned ones, as on the grid's own turns."""
        return self.group.is_exact

    @property
    def window(self) -> Window:
        """The filter's support and where it stands."""
        return Window(type(self).__name__, self.size, self.stride, self.padding)

    @property
    def support(self) -> tuple[int, ...]:
        """Shape of a filter's coefficients on the plane: its pixels, or its basis functions."""
        return (self.size, self.size) if self.group.is_exact else rotated_filters(self.group, self.size).shape[:1]

    def average(self, covariance: Float[Array, "*point pair"], lag: Lag) -> Float[Array, "*new_point pair"]:
        """Conv's A, for exact groups: the square support is invariant (theory.md §3)."""
        return filter_mean(covariance, self.window, lag)

    def _reads(self, deviation: Float[Array, "*point pair"]) -> Float[Array, "tap *new_point pair"]:
        return self.window.views(deviation)


@dataclass(frozen=True)
class LiftingConv(_GroupAffine):
    """From images to stacks: z(t,r) = σ_w/√(n·|S|) Σ_{y∈S} W(y) x(t+ρ_r y) + σ_b b (theory.md §1)."""

    def output(self, signal: Signal) -> Signal:
        if signal.group:
            raise ValueError(f"LiftingConv acts on images, but gets {signal}; use GroupConv after the first lifting")
        grid = self.window.output_grid(signal)
        self.window.check_symmetry(self.group, signal)
        return Signal(self.features, grid, self.group)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "GroupAffineModule":
        return GroupAffineModule(self, (self.features, *self.support, signal.channels), rngs)


@dataclass(frozen=True)
class GroupConv(_GroupAffine):
    """From stacks to stacks: z(t,r) = σ_w/√(n|S||R|) Σ_{y∈S} Σ_{q∈R} W(y,q) x(t+ρ_r y, rq) + σ_b b (theory.md §1)."""

    def output(self, signal: Signal) -> Signal:
        if signal.group != self.group:
            raise ValueError(
                f"GroupConv({self.group}, …) needs a signal on {self.group}, but gets {signal}; "
                f"put LiftingConv({self.group}, …) before it"
            )
        return Signal(self.features, self.window.output_grid(signal), self.group)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "GroupAffineModule":
        return GroupAffineModule(self, (self.features, *self.support, signal.channels, self.group.order), rngs)


class GroupAffineModule(AffineModule[_GroupAffine]):
    """Finite-width LiftingConv (one q, as images have no group axis) and GroupConv."""

    formulation: Formulation | None = "patches"

    def __call__(
        self, x: Float[Array, "channel *group row column sample"]
    ) -> Float[Array, "feature group new_row new_column sample"]:
        group, weight = self.layer.group, self.scaled_weight()
        if isinstance(self.layer, LiftingConv):
            weight = weight[..., None]
        bank = jnp.stack([self._filter_of(weight, r) for r in group.elements], axis=1)
        z = correlate(bank.reshape(-1, *bank.shape[2:]), x, self.layer.window, self.formulation)
        return self.add_bias(z.reshape(len(weight), group.order, *z.shape[1:]))

    def _filter_of(
        self, weight: Float[Array, "feature *support channel q"], r: int
    ) -> Float[Array, "feature row column channel p"]:
        """(y', p) ↦ W(ρ_r⁻¹y', r⁻¹p), the filter behind output element r."""
        group = self.layer.group
        if weight.shape[-1] > 1:
            weight = jnp.stack([weight[..., group.product(group.inverse(r), p)] for p in group.elements], axis=-1)
        if group.is_exact:
            return group.rotate(weight, r, axes=(1, 2))
        basis = jnp.asarray(rotated_filters(group, self.layer.size)[:, r], weight.dtype)
        return jnp.einsum("fbcp,bij->fijcp", weight, basis)

    def _inputs(self, x: Float[Array, "channel *group row column sample"]) -> Float[Array, "block fan_in place sample"]:
        size = self.layer.size
        patches = self.layer.window.views(x if isinstance(self.layer, GroupConv) else x[:, None])
        patches = patches.reshape(size, size, *patches.shape[1:])
        each = [self._read_by(patches, r) for r in self.layer.group.elements]
        return jnp.stack(each, axis=-4).reshape(1, self.fan_in, -1, x.shape[-1])

    def _read_by(
        self, patches: Float[Array, "row column channel p new_row new_column sample"], r: int
    ) -> Float[Array, "*support channel q new_row new_column sample"]:
        """(y, q) ↦ x(t+ρ_r y, rq), what the weights multiply in output element r: the transpose of `_filter_of`."""
        group = self.layer.group
        if patches.shape[3] > 1:
            patches = jnp.stack([patches[:, :, :, group.product(r, q)] for q in group.elements], axis=3)
        if group.is_exact:
            return group.rotate(patches, group.inverse(r), axes=(0, 1))
        basis = jnp.asarray(rotated_filters(group, self.layer.size)[:, r], patches.dtype)
        return jnp.einsum("ij...,bij->b...", patches, basis)


def rotated_filters(group: Group, size: int) -> Float[np.ndarray, "basis element row column"]:
    """The basis functions of a group's filters at every element, `[basis, element, row, column]`."""
    return rotated_basis(group.rotations, group.reflections, size)


def check_group_filter(name: str, group: Group, window: Window) -> None:
    """Raise ValueError for a filter that the group does not map to itself."""
    if not isinstance(group, Group):
        raise ValueError(f"{name}: the first argument is the group, such as cyclic(4), but it is {group!r}")
    if not group.is_exact and window.size < 3:
        raise ValueError(f"{name}: filters on {group} are turned between pixels and need a size of at least 3")
    if window.size % 2 == 0 and window.stride == 1 and window.padding != "VALID" and group.order > 1:
        raise ValueError(
            f"{name}: with {window.padding} padding an even filter ({window.size}×{window.size}) sits off the pixel's "
            f"centre and is not {group}-equivariant; use an odd size or VALID padding"
        )
