"""Whether ensembles share random numbers (`ensembles/randomness.py` says how)."""

import typing
from typing import Literal

Randomness = Literal["own", "shared"]


def check_randomness(randomness: Randomness) -> None:
    """Raise ValueError for what is neither."""
    if randomness not in typing.get_args(Randomness):
        raise ValueError(
            f"randomness is {randomness!r}; it must be 'own', with which ensembles are independent, or 'shared', with "
            "which those of one seed have random numbers in common"
        )
