"""How inputs were made of values as they came: needed wherever a function is one of the values, such as luminance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Num

from widesym.ensembles.data.statistics import blocks


@dataclass(frozen=True)
class Normalisation:
    """input = (value − shift)/scale, channel by channel, of which `standardise_each` may since have moved and stretched
    each sample as a whole.

    `Normalisation((0, 0, 0), (1, 1, 1))` says of three channels that they are as they came. Raises ValueError for
    numbers that are not finite, scales that are not positive, and not one of each for every channel.
    """

    shift: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self):
        for name in ("shift", "scale"):
            object.__setattr__(self, name, tuple(float(number) for number in getattr(self, name)))
        whole = len(self.shift) == len(self.scale) > 0 and np.isfinite([*self.shift, *self.scale]).all()
        if not whole or min(self.scale) <= 0:
            raise ValueError(
                f"Normalisation: shift is {self.shift} and scale {self.scale}; they must be one finite number for each "
                "channel, scales positive"
            )

    @property
    def channels(self) -> int:
        """How many channels it is of."""
        return len(self.shift)

    def applied(self, values: Num[np.ndarray, "sample *point channel"]) -> Float[np.ndarray, "sample *point channel"]:
        """(value − shift)/scale, rounded to float32 once, at the end."""
        result = np.empty(values.shape, np.float32)
        for part in blocks(len(values)):
            result[part] = (values[part] - np.array(self.shift)) / self.scale
        return result

    def undone(self, inputs: Float[np.ndarray, "*point channel"]) -> Float[np.ndarray, "*point channel"]:
        """The values that inputs were made of, in float64."""
        return inputs * np.array(self.scale) + self.shift

    def of(self, value: float) -> tuple[float, ...]:
        """What one value is in each channel: `of(0)` is black, where pictures are stored so."""
        return tuple(((value - np.array(self.shift)) / self.scale).tolist())
