"""Which architectures have an analytic kernel, and what is said of those that have none."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from widesym.analysis import analytic_kernel
from widesym.analysis.kernels.closed_form import check_layers
from widesym.analysis.kernels.engines import choose_engine
from widesym.analysis.kernels.lags import LagEngine
from widesym.models import (
    Architecture,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    GroupFlatten,
    GroupPool,
    LayerNorm,
    LiftingConv,
    NoClosedFormError,
    Relu,
    cyclic,
)
from widesym.models.layer import Layer
from widesym.models.signal import Signal

C2, C4 = cyclic(2), cyclic(4)
IMAGE = (5, 5, 1)


@dataclass(frozen=True)
class Maximum(Layer):
    """A layer that does not say that it has a closed form."""

    def output(self, signal):
        return replace(signal, grid=None)


WITHOUT = [
    ([Conv(2, 3), Maximum(), Dense(1)], "layer 1: Maximum has no closed-form kernel; train it as usual and estimate"),
    ([Relu(), Flatten(), Dense(1)], "layer 0: Relu acts on values that are not Gaussian at infinite width"),
    ([Flatten(), Relu(), Dense(1)], "layer 1: Relu acts on values that are not Gaussian"),
    ([Conv(2, 3), Relu(), Relu(), Flatten(), Dense(1)], "layer 2: Relu acts on values that are not Gaussian"),
    ([Conv(2, 3), Relu(), GlobalAvgPool(), Relu()], "layer 3: Relu acts on values that are not Gaussian"),
    (
        [Conv(2, 3), Flatten(), LayerNorm(), Relu(), Dense(1)],
        "layer 3: Relu acts on flattened pixels, which differ in variance",
    ),
    ([LiftingConv(C2, 2, 3), Flatten(), Relu()], "the logits are not Gaussian at infinite width"),
    (
        [LiftingConv(C2, 2, 3), GroupFlatten(), Relu(), GroupPool()],
        "layer 2: Relu acts on flattened pixels, which diff",
    ),
]
WITH = [
    [Conv(2, 3), Flatten(), Dense(2), Relu(), Dense(1)],
    [Flatten(), Dense(2), Relu()],
    [Dense(2), Relu(), LiftingConv(C4, 2, 3), Relu(), GroupPool()],
    [LiftingConv(C2, 2, 3), GroupFlatten(), Dense(2), Relu(), GroupPool()],
    [Conv(2, 3), GlobalAvgPool(), Relu(), Dense(1)],
    [LiftingConv(C4, 2, 3), GlobalAvgPool(), Flatten(), Relu()],
    [Conv(2, 3, "CIRCULAR"), Relu(), Conv(2, 2, "VALID"), Relu(), Conv(2, 3, "SAME"), Flatten()],
]


@pytest.mark.parametrize(("layers", "message"), WITHOUT, ids=[message for _, message in WITHOUT])
def test_what_has_no_closed_form_says_why(layers, message):
    with pytest.raises(NoClosedFormError) as error:
        analytic_kernel(Architecture(layers))(np.ones((1, *IMAGE)))
    assert message in str(error.value)


@pytest.mark.parametrize("layers", WITH, ids=str)
def test_what_has_a_closed_form_is_not_refused(layers):
    assert isinstance(choose_engine(Architecture(layers), IMAGE), LagEngine)
    check_layers(layers, Signal.of_input(IMAGE))
