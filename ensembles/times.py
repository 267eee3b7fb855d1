"""When to record: steps between 0 and the last, both included."""

import numpy as np


def log_spaced_steps(last: int, records: int) -> tuple[int, ...]:
    """0, 1, … , `last`: at most `records` steps, evenly spaced in log(step) from 1 on, without repetition.

    Two records are 0 and `last`.
    """
    check_range(last, records)
    return (0, *sorted({round(step) for step in np.geomspace(last, 1, records - 1)}))


def evenly_spaced_steps(last: int, records: int) -> tuple[int, ...]:
    """0, … , `last`: at most `records` steps, evenly spaced but for rounding, without repetition."""
    check_range(last, records)
    return tuple(sorted({round(step) for step in np.linspace(0, last, records)}))


def check_range(last: int, records: int) -> None:
    """Raise ValueError where there are too few steps or records."""
    if last < 1 or records < 2:
        raise ValueError(f"{records} records up to step {last} asked for; it takes at least 2, and at least step 1")
