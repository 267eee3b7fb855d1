"""Lifting and group convolutions on R ⋉ Z² for a finite rotation group R, at finite and infinite width.

With y' = ρ_r y and p = rq the layers of theory.md §1 read z(t,r) = Σ_{y'} Σ_p W(ρ_r⁻¹y', r⁻¹p) x(t+y', p): plain
convolutions with a bank of rotated filters, one per output element r.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.conv import check_filter, convolved_grid, patches
from models.covariance import Lag, Padding, filter_mean
from models.groups import Group
from models.layer import Affine, AffineModule
from models.signal import Signal


@dataclass(frozen=True)
class LiftingConv(Affine):
    """From images to stacks: z(t,r) = σ_w/√(n·|S|) Σ_{y∈S} W(y) x(t+ρ_r y) + σ_b b (theory.md §1)."""

    group: Group
    features: int
    size: int
    padding: Padding = "SAME"

    def __post_init__(self):
        super().__post_init__()
        check_group_filter("LiftingConv", self.group, self.size, self.padding)

    def output(self, signal: Signal) -> Signal:
        if signal.group:
            raise ValueError(f"LiftingConv acts on images, but gets {signal}; use GroupConv after the first lifting")
        check_grid("LiftingConv", self.group, signal)
        return Signal(self.features, convolved_grid("LiftingConv", signal, self.size, self.padding), self.group)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "LiftingConvModule":
        return LiftingConvModule(self, (self.features, self.size, self.size, signal.channels), rngs)

    def average(self, covariance: Float[Array, "row column"], lag: Lag) -> Float[Array, "new_row new_column"]:
        """Between r and r' = sr, A is Conv's on (f, ρ_s⁻¹f') as the square support is invariant (theory.md §3)."""
        return filter_mean(covariance, self.size, self.padding, lag)


@dataclass(frozen=True)
class GroupConv(Affine):
    """From stacks to stacks: z(t,r) = σ_w/√(n|S||R|) Σ_{y∈S} Σ_{q∈R} W(y,q) x(t+ρ_r y, rq) + σ_b b (theory.md §1)."""

    group: Group
    features: int
    size: int
    padding: Padding = "SAME"

    def __post_init__(self):
        super().__post_init__()
        check_group_filter("GroupConv", self.group, self.size, self.padding)

    def output(self, signal: Signal) -> Signal:
        if signal.group != self.group:
            raise ValueError(
                f"GroupConv({self.group}, …) needs a signal on {self.group}, but gets {signal}; "
                f"put LiftingConv({self.group}, …) before it"
            )
        return Signal(self.features, convolved_grid("GroupConv", signal, self.size, self.padding), self.group)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "GroupConvModule":
        shape = (self.features, self.size, self.size, signal.channels, self.group.order)
        return GroupConvModule(self, shape, rngs)

    def average(self, covariance: Float[Array, "row column"], lag: Lag) -> Float[Array, "new_row new_column"]:
        """Between rq and r'q the rotation lag stays, so A is Conv's within it (theory.md §3)."""
        return filter_mean(covariance, self.size, self.padding, lag)


class LiftingConvModule(AffineModule[LiftingConv]):
    """Finite-width LiftingConv."""

    def __call__(self, x: Float[Array, "channel row column sample"]) -> Float[Array, "feature group row column sample"]:
        layer, weight = self.layer, self.scaled_weight()
        bank = jnp.stack([layer.group.rotate(weight, r, axes=(1, 2)) for r in layer.group.elements], axis=1)
        columns, grid = patches(x, layer.size, layer.padding)
        z = bank.reshape(layer.features * layer.group.order, -1) @ columns
        return self.add_bias(z.reshape(layer.features, layer.group.order, *grid, x.shape[-1]))


class GroupConvModule(AffineModule[GroupConv]):
    """Finite-width GroupConv."""

    def __call__(
        self, x: Float[Array, "channel group row column sample"]
    ) -> Float[Array, "feature group new_row new_column sample"]:
        layer, weight = self.layer, self.scaled_weight()
        bank = jnp.stack([self._filter_of(weight, r) for r in layer.group.elements], axis=1)
        columns, grid = patches(x.reshape(-1, *x.shape[2:]), layer.size, layer.padding)
        z = bank.reshape(layer.features * layer.group.order, -1) @ columns
        return self.add_bias(z.reshape(layer.features, layer.group.order, *grid, x.shape[-1]))

    def _filter_of(self, weight: Float[Array, "feature row column channel group"], r: int) -> Float[Array, "..."]:
        """(y', p) ↦ W(ρ_r⁻¹y', r⁻¹p), the filter behind output element r."""
        group = self.layer.group
        moved = jnp.stack([weight[..., group.product(group.inverse(r), p)] for p in group.elements], axis=-1)
        return group.rotate(moved, r, axes=(1, 2))


def check_group_filter(name: str, group: Group, size: int, padding: Padding) -> None:
    """Raise ValueError for a filter that does not exist or that the group does not map to itself."""
    if not isinstance(group, Group):
        raise ValueError(f"{name}: the first argument is the group, such as cyclic(4), but it is {group!r}")
    check_filter(name, size, padding)
    if size % 2 == 0 and padding != "VALID" and group.order > 1:
        raise ValueError(
            f"{name}: with {padding} padding an even filter ({size}×{size}) sits off the pixel's centre and is not "
            f"{group}-equivariant; use an odd size or VALID padding"
        )


def check_grid(name: str, group: Group, signal: Signal) -> None:
    """Raise ValueError for a grid that the group does not map to itself."""
    if signal.grid and group.needs_square and signal.grid[0] != signal.grid[1]:
        raise ValueError(f"{name}: {group} needs a square image, but gets {signal}")
