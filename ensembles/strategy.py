"""How the members share a device. It changes speed, memory and rounding, nothing else."""

import typing
from dataclasses import dataclass
from numbers import Integral

from widesym.models.correlation import Formulation


@dataclass(frozen=True)
class Strategy:
    """`members_at_once` members under one `vmap`, these groups one after the other on each device.

    Without a number it depends on the platform: on a CPU one at a time, which keeps the working set in cache; on an
    accelerator all at once. `formulation` says how planar convolutions are computed (models/correlation.py), without
    one by `reverse` on a CPU and by `patches` elsewhere. `measured_strategy` finds the fastest.
    """

    members_at_once: int | None = None
    formulation: Formulation | None = None

    def __post_init__(self):
        number = self.members_at_once
        if number is not None and (not isinstance(number, Integral) or isinstance(number, bool) or number < 1):
            raise ValueError(f"members_at_once is {number!r}; it must be a positive whole number, or None")
        if self.formulation is not None and self.formulation not in typing.get_args(Formulation):
            allowed = ", ".join(typing.get_args(Formulation))
            raise ValueError(f"formulation is {self.formulation!r}; it must be one of {allowed}, or None")

    def on(self, platform: str, share: int) -> "Strategy":
        """The strategy with its choices made, for devices of this platform that take `share` members each."""
        on_cpu = platform == "cpu"
        at_once = min(self.members_at_once or (1 if on_cpu else share), share)
        return Strategy(at_once, self.formulation or ("reverse" if on_cpu else "patches"))
