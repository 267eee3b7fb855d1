"""Spherical layers refuse what they cannot act on, and say what would be right."""

import pytest

from widesym.models import Architecture, cyclic
from widesym.models.signal import Signal
from widesym.models.spherical.conv import SO3Conv, SO3Pool, SphereLifting
from widesym.models.spherical.so3 import SO3

BAD = [
    (lambda: SphereLifting(0, 3, 3), "SphereLifting: features is 0; it must be a positive integer"),
    (lambda: SphereLifting(2, 0, 3), "SphereLifting: bandlimit_in is 0; it must be a positive integer"),
    (lambda: SO3Conv(2, 3, 2.5), "SO3Conv: bandlimit_out is 2.5; it must be a positive integer"),
    (lambda: SO3Conv(2, 3, -1), "SO3Conv: bandlimit_out is -1; it must be a positive integer"),
    (lambda: SO3(0), "SO3: bandlimit is 0; it must be a positive integer"),
    (lambda: SO3Conv(2, 3, 4), "SO3Conv: bandlimit_out=4 exceeds bandlimit_in=3, and the degrees between"),
    (lambda: SO3Conv(2, 3, 3, w_std=0.0), "SO3Conv: w_std is 0.0; it must be positive"),
    (
        lambda: SphereLifting(2, 6, 3).output(Signal(1, (8, 7))),
        "SphereLifting: signal has grid (8, 7), but bandlimit L=6 needs (12, 11): 2L rings of 2L−1 points",
    ),
    (lambda: SphereLifting(2, 6, 3).output(Signal(1)), "signal has grid None, but bandlimit L=6 needs (12, 11)"),
    (
        lambda: SphereLifting(2, 3, 3).output(Signal(1, None, SO3(3))),
        "gets 1 channels on SO(3) at bandlimit 3; use SO3Conv",
    ),
    (lambda: SO3Conv(2, 3, 3).output(Signal(1, (6, 5))), "put SphereLifting(…) before it"),
    (
        lambda: SO3Conv(2, 3, 3).output(Signal(1, None, cyclic(4))),
        "gets 1 channels on C4; put SphereLifting(…) before it",
    ),
    (
        lambda: SO3Conv(2, 3, 3).output(Signal(1, None, SO3(4))),
        "needs a signal on SO(3) at bandlimit 3, but gets 1 channels on SO(3) at bandlimit 4; change its bandlimit_in",
    ),
    (lambda: SO3Pool().output(Signal(1, (6, 5))), "SO3Pool averages over SO(3), but gets 1 channels on 6×5 pixels"),
    (
        lambda: Architecture([SphereLifting(2, 4, 3), SO3Conv(2, 4, 3)]).signals((8, 7, 1)),
        "layer 1: SO3Conv needs a signal on SO(3) at bandlimit 4",
    ),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message[:50] for _, message in BAD])
def test_bad_input(make, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011 (the message is checked below, verbatim)
        make()
    assert message in str(raised.value)
