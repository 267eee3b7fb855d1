"""Which records of several runs are of the same training time."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

SAME_TIME = 1e-6  # relative: times are sums of learning rates


def common_records(
    reference: Float[np.ndarray, " time"], others: Sequence[Float[np.ndarray, " other_time"]]
) -> list[tuple[int, ...]]:
    """Indices of records of one time, the reference's first, each record in one of them at most.

    A time may repeat, as where the learning rate is 0: then the first record of it is matched with the others' first,
    the second with their second, as far as all have them.
    """
    common, places = [], [0] * len(others)
    for index, time in enumerate(reference):
        for number, times in enumerate(others):
            earlier = (times < time) & ~np.isclose(times, time, rtol=SAME_TIME, atol=0)
            places[number] = max(places[number], int(earlier.sum()))
        at = [times[place : place + 1] for place, times in zip(places, others, strict=True)]
        if all(len(times) and np.isclose(times, time, rtol=SAME_TIME, atol=0).all() for times in at):
            common.append((index, *places))
            places = [place + 1 for place in places]
    return common
