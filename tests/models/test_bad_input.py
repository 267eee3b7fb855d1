"""Errors say which layer, which value and what would be right."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widesym.models import (
    Architecture,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupFlatten,
    GroupPool,
    LiftingConv,
    NoClosedFormError,
    Relu,
    cyclic,
)
from widesym.models.layer import Affine, Layer, Nonlinearity
from widesym.models.signal import Signal

C1, C2, C4 = cyclic(1), cyclic(2), cyclic(4)
IMAGE = (5, 5, 1)

BAD_SPECS = [
    (lambda: Dense(0), "Dense: features is 0; it must be a positive integer"),
    (lambda: Conv(-2, 3), "Conv: features is -2; it must be a positive integer"),
    (lambda: LiftingConv(C4, 2.0, 3), "LiftingConv: features is 2.0; it must be a positive integer"),
    (lambda: Dense(2, w_std=0.0), "Dense: w_std is 0.0; it must be positive"),
    (lambda: Conv(2, 3, w_std=-1), "Conv: w_std is -1; it must be positive"),
    (lambda: Dense(2, w_std=float("inf")), "Dense: w_std is inf; it must be positive"),
    (lambda: GroupConv(C4, 2, 3, w_std=float("nan")), "GroupConv: w_std is nan; it must be positive"),
    (lambda: Dense(2, b_std=-0.1), "Dense: b_std is -0.1; it must be zero or positive"),
    (lambda: Dense(2, b_std=float("inf")), "Dense: b_std is inf; it must be zero or positive"),
    (lambda: Conv(2, 0), "Conv: size is 0; it must be a positive integer"),
    (lambda: Conv(2, 2.5), "Conv: size is 2.5; it must be a positive integer"),
    (lambda: LiftingConv(C4, 2, (3, 3)), "LiftingConv: size is (3, 3); it must be a positive integer"),
    (lambda: Conv(2, 3, "FULL"), "Conv: padding is 'FULL'; it must be one of SAME, VALID, CIRCULAR"),
    (lambda: GroupConv(C4, 2, 3, "same"), "GroupConv: padding is 'same'; it must be one of SAME, VALID, CIRCULAR"),
    (lambda: LiftingConv(4, 2, 3), "LiftingConv: the first argument is the group, such as cyclic(4), but it is 4"),
    (lambda: LiftingConv(C4, 2, 2), "LiftingConv: with SAME padding an even filter (2×2) sits off"),
    (lambda: GroupConv(C2, 2, 4, "CIRCULAR"), "is not C2-equivariant; use an odd size or VALID padding"),
    (lambda: Architecture([]), "an architecture needs at least one layer, such as Dense(10)"),
    (lambda: Architecture([Dense(2), "relu"]), "layer 1 is 'relu'; it must be a layer spec such as Dense(10)"),
    (
        lambda: Architecture([Relu]),
        "layer 0 is <class 'widesym.models.layers.activations.Relu'>; it must be a layer spec",
    ),
]

MISFITS = [
    (
        (1, 2, 3, 4, 5),
        [Dense(1)],
        "input shape is (1, 2, 3, 4, 5); it must be (H, W, C) for images, (C,) for vectors, (A, H, W, C) or (A, C) for",
    ),
    ((0,), [Dense(1)], "input shape is (0,); it must be"),
    ((5, 0, 1), [Flatten()], "input shape is (5, 0, 1); it must be"),
    ((3,), [Dense(2), Conv(2, 3)], "layer 1: Conv acts on images, but gets a vector of 2 channels"),
    ((3,), [LiftingConv(C4, 2, 3)], "layer 0: LiftingConv acts on images, but gets a vector of 3 channels"),
    (
        IMAGE,
        [LiftingConv(C4, 2, 3), Conv(2, 3)],
        "layer 1: Conv acts on images, but gets 2 channels on C4 × 5×5 pixels; use GroupConv(C4, …) after a lifting",
    ),
    (
        IMAGE,
        [LiftingConv(C4, 2, 3), Relu(), LiftingConv(C4, 2, 3)],
        "layer 2: LiftingConv acts on images, but gets 2 channels on C4 × 5×5 pixels; use GroupConv after",
    ),
    (
        IMAGE,
        [Dense(2), GroupConv(C4, 2, 3)],
        "layer 1: GroupConv(C4, …) needs a signal on C4, but gets 2 channels on 5×5 pixels; put LiftingConv(C4, …)",
    ),
    (IMAGE, [LiftingConv(C2, 2, 3), GroupConv(C4, 2, 3)], "layer 1: GroupConv(C4, …) needs a signal on C4, but gets 2"),
    (
        IMAGE,
        [LiftingConv(C4, 2, 3), GlobalAvgPool(), GroupConv(C4, 2, 3)],
        "layer 2: GroupConv acts on images, but gets 2 channels on C4",
    ),
    ((5, 4, 1), [LiftingConv(C4, 2, 3)], "layer 0: LiftingConv: C4 needs a square image, but gets 1 channels on 5×4"),
    ((5, 2, 1), [Conv(2, 3, "CIRCULAR")], "layer 0: Conv: a window of 3×3 does not fit in 5×2 pixels"),
    (
        IMAGE,
        [LiftingConv(C4, 2, 3, "VALID"), GroupConv(C4, 2, 4, "VALID")],
        "layer 1: GroupConv: a window of 4×4 does not fit in 3×3 pixels",
    ),
    ((3,), [GlobalAvgPool()], "layer 0: GlobalAvgPool averages over pixels, but gets a vector of 3 channels"),
    (
        IMAGE,
        [Conv(2, 3), GroupPool()],
        "layer 1: GroupPool averages over a finite group, but gets 2 channels on 5×5 pixels",
    ),
    (
        IMAGE,
        [Conv(2, 3), GroupFlatten()],
        "layer 1: GroupFlatten flattens pixels on a finite group, but gets 2 channels on 5×5 pixels; start with",
    ),
    (
        IMAGE,
        [LiftingConv(C4, 2, 3), GlobalAvgPool(), GroupFlatten()],
        "layer 2: GroupFlatten flattens pixels on a finite group, but gets 2 channels on C4; use Flatten()",
    ),
    (
        IMAGE,
        [LiftingConv(cyclic(8), 2, 3), GroupFlatten()],
        "layer 1: GroupFlatten: C8 does not map pixels to pixels; use GroupPool()",
    ),
    (IMAGE, [Conv(2, 3)], "the network ends in 2 channels on 5×5 pixels, not in a vector of logits; add Flatten() or"),
    (IMAGE, [LiftingConv(C4, 2, 3), GlobalAvgPool()], "the network ends in 2 channels on C4, not in a vector"),
]


@pytest.mark.parametrize(("make", "message"), BAD_SPECS, ids=[message for _, message in BAD_SPECS])
def test_bad_spec(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 the text is compared below, free of regular expressions
        make()
    assert message in str(error.value)


@pytest.mark.parametrize(("shape", "layers", "message"), MISFITS, ids=[message for *_, message in MISFITS])
def test_layers_that_do_not_fit(shape, layers, message):
    """The same error from `signals`, from `init` and from `apply`."""
    architecture = Architecture(layers)
    calls = [architecture.signals, lambda shape: architecture.init(jax.random.key(0), shape)]
    if len(shape) in (1, 3):
        calls.append(lambda shape: architecture.apply({}, jnp.zeros((2, *shape))))
    for call in calls:
        with pytest.raises(ValueError) as error:  # noqa: PT011
            call(shape)
        assert message in str(error.value)
        assert not isinstance(error.value, NoClosedFormError)


@pytest.mark.parametrize("shape", [(5,), (1, 2, 3, 5, 5, 1)])
def test_inputs_without_a_sample_axis(shape):
    with pytest.raises(ValueError, match=r"it must be \[sample, H, W, C\] or \[sample, C\]") as error:
        Architecture([Flatten(), Dense(1)]).apply({}, np.zeros(shape))
    assert str(shape) in str(error.value)


def test_a_layer_has_no_closed_form_unless_it_says_so():
    @dataclass(frozen=True)
    class Maximum(Layer):
        pass

    assert not Maximum().has_closed_form
    assert issubclass(NoClosedFormError, ValueError)


def test_bases_leave_the_mathematics_to_the_layers():
    for unfinished in (
        lambda: Layer().output(Signal(1)),
        lambda: Layer().module(Signal(1), None),
        lambda: Nonlinearity().dual(0, 1, 1),
        lambda: Affine().average(0, None),
    ):
        with pytest.raises(NotImplementedError):
            unfinished()
