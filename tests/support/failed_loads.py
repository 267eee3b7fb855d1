"""Marks for tests in which loads of checkpoints fail."""

import pytest

# A load that fails leaves coroutines of orbax's behind: reads under way that nobody waits for. They are told when they
# are collected: in the module itself (tests/conftest.py), not in whatever tests come next.
FAILED_LOADS = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore:coroutine:RuntimeWarning"),
    pytest.mark.usefixtures("nothing_left_behind"),
]
