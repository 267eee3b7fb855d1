"""Flatten on a group: the pixels of each element's stack as channels, in that element's own frame."""

import math
from dataclasses import dataclass
from typing import ClassVar

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from widesym.models.groups import Group
from widesym.models.layer import Reduction
from widesym.models.signal import Signal


@dataclass(frozen=True)
class GroupFlatten(Reduction):
    """All channels at all pixels as one vector for each group element r, in its own frame: z_(c,y)(r) = x_c(ρ_r y, r).

    Rotations of the input permute the vectors. At infinite width the zero displacement of every lag q is left: of a
    lifted network, what Flatten leaves of the plain network between f and ρ_q f' (theory.md §3).
    """

    keeps_lags_apart: ClassVar[bool] = True

    def output(self, signal: Signal) -> Signal:
        if not isinstance(signal.group, Group) or signal.grid is None:
            advice = "start with LiftingConv" if signal.grid and not signal.group else "use Flatten()"
            raise ValueError(f"GroupFlatten flattens pixels on a finite group, but gets {signal}; {advice}")
        if not signal.group.is_exact:
            raise ValueError(f"GroupFlatten: {signal.group} does not map pixels to pixels; use GroupPool()")
        return Signal(signal.channels * math.prod(signal.grid), group=signal.group)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "GroupFlattenModule":
        assert isinstance(signal.group, Group)
        return GroupFlattenModule(signal.group)


class GroupFlattenModule(nnx.Module):
    """The flattening of `GroupFlatten` at finite width: each element's pixels, turned back, become channels."""

    def __init__(self, group: Group):
        self.group = group

    def __call__(self, x: Float[Array, "channel group row column sample"]) -> Float[Array, "feature group sample"]:
        group = self.group
        turned = [group.rotate(x[:, r], group.inverse(r), axes=(1, 2)) for r in group.elements]  # x(ρ_r y, r)
        return jnp.stack([part.reshape(-1, x.shape[-1]) for part in turned], axis=1)
