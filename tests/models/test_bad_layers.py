"""Layers made of layers, windows and maps of the input: what they refuse, naming the layer, the value and a remedy."""

import math
from functools import partial

import jax
import numpy as np
import pytest

from widesym.analysis import analytic_kernel
from widesym.models import (
    Architecture,
    AtomSum,
    AvgPool,
    Canonicalize,
    Conv,
    Dense,
    Flatten,
    GroupConv,
    GroupPool,
    Identity,
    InvariantScalars,
    LayerNorm,
    LiftingConv,
    MaxPool,
    NoClosedFormError,
    OrbitAverage,
    Relu,
    Residual,
    cyclic,
    dihedral,
)

C2, C4, C8, D4 = cyclic(2), cyclic(4), cyclic(8), dihedral(4)
IMAGE, VECTOR, ATOMS, IMAGES = (5, 5, 1), (3,), (3, 2), (2, 5, 5, 1)
CONV, DENSE, LIFT = Conv(2, 3), Dense(2), LiftingConv(C4, 2, 3)
NO_ACTION = "it must act exactly on images: cyclic(n) or dihedral(n) with n = 1, 2, 4"

BAD_SPECS = [
    (lambda: AvgPool(0), "AvgPool: size is 0; it must be a positive integer"),
    (lambda: AvgPool(2, 0), "AvgPool: stride is 0; it must be a positive integer"),
    (lambda: MaxPool(2.0), "MaxPool: size is 2.0; it must be a positive integer"),
    (lambda: MaxPool(2, -1), "MaxPool: stride is -1; it must be a positive integer"),
    (lambda: Conv(2, 3, stride=0), "Conv: stride is 0; it must be a positive integer"),
    (lambda: Conv(2, 3, "VALID", 1.5), "Conv: stride is 1.5; it must be a positive integer"),
    (lambda: LiftingConv(C4, 2, 3, stride=-2), "LiftingConv: stride is -2; it must be a positive integer"),
    (lambda: GroupConv(None, 2, 3), "GroupConv: the first argument is the group, such as cyclic(4), but it is None"),
    (lambda: AtomSum(()), "AtomSum needs at least one layer, such as Dense(10)"),
    (lambda: OrbitAverage([], C4), "OrbitAverage needs at least one layer"),
    (lambda: Canonicalize((), C4), "Canonicalize needs at least one layer"),
    (lambda: AtomSum(DENSE), "AtomSum takes a sequence of layers or an architecture, not Dense("),
    (lambda: OrbitAverage(C4, (DENSE,)), "OrbitAverage takes a sequence of layers or an architecture, not Group("),
    (lambda: AtomSum(Architecture((DENSE,), "mup")), "AtomSum takes layers alone; give the parametrization to the"),
    (lambda: LayerNorm("a"), "LayerNorm: epsilon is 'a'; it must be positive"),
    (lambda: Residual([]), "Residual needs at least one layer"),
    (
        lambda: Residual((DENSE, Relu)),
        "layer 1 is <class 'widesym.models.layers.activations.Relu'>; it must be a layer spec such as",
    ),
    (lambda: AtomSum((DENSE, "relu")), "layer 1 is 'relu'; it must be a layer spec such as Dense(10)"),
    (lambda: OrbitAverage((Flatten(),), 4), f"OrbitAverage: the group is 4; {NO_ACTION}"),
    (lambda: OrbitAverage((Flatten(),), C8), f"OrbitAverage: the group is {C8!r}; {NO_ACTION}"),
    (lambda: Canonicalize((Flatten(),), cyclic(3)), f"Canonicalize: the group is {cyclic(3)!r}; {NO_ACTION}"),
    (lambda: LayerNorm(0), "LayerNorm: epsilon is 0; it must be positive"),
    (lambda: LayerNorm(math.inf), "LayerNorm: epsilon is inf; it must be positive"),
    (lambda: LayerNorm(math.nan), "LayerNorm: epsilon is nan; it must be positive"),
]

MISFITS = [
    ((28, 28), [CONV], "layer 0: Conv acts on images, but gets 28 channels on 28 atoms; images of one channel are"),
    (VECTOR, [AvgPool(2)], "layer 0: AvgPool acts on images, but gets a vector of 3 channels"),
    (IMAGE, [CONV, MaxPool(6)], "layer 1: MaxPool: a window of 6×6 does not fit in 5×5 pixels"),
    (
        IMAGES,
        [AvgPool(2)],
        "layer 0: AvgPool acts on images, but gets 1 channels on 2 atoms × 5×5 pixels; put it inside AtomSum(…)",
    ),
    (IMAGES, [DENSE, LIFT], "layer 1: LiftingConv acts on images, but gets 2 channels on 2 atoms × 5×5 pixels; put it"),
    (
        IMAGE,
        [Conv(2, 3, "CIRCULAR", 2)],
        "layer 0: Conv: with CIRCULAR padding the stride must divide the grid, but 2 does not divide 5×5",
    ),
    (
        IMAGE,
        [LIFT, MaxPool(2)],
        "layer 1: MaxPool: windows of 2×2 with stride 2 and VALID padding do not lie symmetrically on 5 pixels, which "
        "C4 turns around; (pixels − size) must be a multiple of the stride, but 5 − 2 is not",
    ),
    (
        (4, 4, 1),
        [LiftingConv(C2, 2, 3, stride=2)],
        "layer 0: LiftingConv: windows of 3×3 with stride 2 and SAME padding do not lie symmetrically on 4 pixels, "
        "which C2 turns around; use an odd size with stride 1, a size as even or odd as the stride, or VALID padding",
    ),
    (IMAGE, [LIFT, GroupConv(D4, 2, 3)], "layer 1: GroupConv(D4, …) needs a signal on D4, but gets 2 channels on C4"),
    ((4, 5, 1), [LiftingConv(D4, 2, 3)], "layer 0: LiftingConv: D4 needs a square image, but gets 1 channels on 4×5"),
    (
        VECTOR,
        [AtomSum((DENSE,))],
        "layer 0: AtomSum adds up atoms, but gets a vector of 3 channels; its inputs are (A,",
    ),
    (
        IMAGE,
        [AtomSum((DENSE,))],
        "layer 0: AtomSum adds up atoms, but gets 1 channels on 5×5 pixels; its inputs are (A",
    ),
    (ATOMS, [AtomSum((DENSE,)), AtomSum((DENSE,))], "layer 1: AtomSum adds up atoms, but gets a vector of 2 channels"),
    (
        IMAGES,
        [AtomSum((CONV, Relu()))],
        "layer 0: AtomSum adds up vectors, but its body makes 2 channels on 5×5 pixels; add Flatten() or a global pool",
    ),
    (IMAGES, [AtomSum((Flatten(), CONV))], "layer 0: AtomSum: layer 1: Conv acts on images, but gets a vector of 25"),
    (VECTOR, [OrbitAverage((DENSE,), C4)], "layer 0: OrbitAverage acts on images, but gets a vector of 3 channels"),
    (IMAGES, [OrbitAverage((Flatten(),), C2)], "layer 0: OrbitAverage acts on images, but gets 1 channels on 2 atoms"),
    (IMAGE, [LIFT, OrbitAverage((Flatten(),), C4)], "layer 1: OrbitAverage acts on images, but gets 2 channels on C4"),
    (
        (4, 5, 1),
        [OrbitAverage((Flatten(),), C4)],
        "layer 0: OrbitAverage: C4 needs a square image, but gets 1 channels",
    ),
    (IMAGE, [OrbitAverage((LIFT,), C4)], "layer 0: OrbitAverage adds up vectors, but its body makes 2 channels on C4"),
    (IMAGE, [OrbitAverage((GroupPool(),), C4)], "layer 0: OrbitAverage: layer 0: GroupPool averages over a finite"),
    (IMAGE, [InvariantScalars()], "layer 0: InvariantScalars acts on sets of vectors, inputs (A, d), but gets 1 chan"),
    (VECTOR, [InvariantScalars()], "InvariantScalars acts on sets of vectors, inputs (A, d), but gets a vector of 3"),
    (IMAGES, [InvariantScalars()], "InvariantScalars acts on sets of vectors, inputs (A, d), but gets 1 channels on 2"),
    (
        (2, 3),
        [InvariantScalars(determinants=True)],
        "layer 0: InvariantScalars: determinants take 3 vectors in 3 dimensions, but there are 2",
    ),
    (VECTOR, [Canonicalize((DENSE,), C4)], "layer 0: Canonicalize acts on images, but gets a vector of 3 channels"),
    ((4, 5, 1), [Canonicalize((Flatten(),), D4)], "layer 0: Canonicalize: D4 needs a square image, but gets 1 channel"),
    (IMAGE, [Canonicalize((Flatten(), CONV), C4)], "layer 0: Canonicalize: layer 1: Conv acts on images, but gets a"),
    (
        IMAGE,
        [CONV, Residual((Conv(3, 3),))],
        "layer 1: Residual adds its input, 2 channels on 5×5 pixels, to what its body makes of it, 3 channels on 5×5 "
        "pixels; they must agree",
    ),
    (IMAGE, [CONV, Residual((Conv(2, 3, stride=2),))], "to what its body makes of it, 2 channels on 3×3 pixels; they"),
    (IMAGE, [CONV, Residual((Relu(), LIFT))], "to what its body makes of it, 2 channels on C4 × 5×5 pixels; they must"),
    (IMAGE, [CONV, Residual((Flatten(), CONV))], "layer 1: Residual: layer 1: Conv acts on images, but gets a vector"),
    (
        IMAGE,
        [Conv(1, 3), LayerNorm()],
        "layer 1: LayerNorm normalises over channels and needs at least two, but gets 1 channels on 5×5 pixels",
    ),
]

MAXIMUM = (
    "MaxPool has no closed-form kernel; train it as usual and estimate its kernel from samples, the mean over many"
)
NEVER = [
    ([CONV, MaxPool(2), Flatten()], f"layer 1: {MAXIMUM}"),
    ([CONV, Residual((MaxPool(1), CONV)), Flatten()], f"layer 1: Residual: layer 0: {MAXIMUM}"),
    ([AtomSum((CONV, MaxPool(2), Flatten()))], f"layer 0: AtomSum: layer 1: {MAXIMUM}"),
    ([AtomSum((CONV, MaxPool(2), Flatten()), shared=False)], f"layer 0: AtomSum: layer 1: {MAXIMUM}"),
    ([OrbitAverage((CONV, MaxPool(2), Flatten()), C4)], f"layer 0: OrbitAverage: layer 1: {MAXIMUM}"),
    ([Canonicalize((CONV, MaxPool(2)), C4), Flatten()], f"layer 0: Canonicalize: layer 1: {MAXIMUM}"),
    (
        [AtomSum((CONV, Residual((MaxPool(1), CONV)), Flatten()))],
        f"layer 0: AtomSum: layer 1: Residual: layer 0: {MAXIMUM}",
    ),
]

NOT_GAUSSIAN = "acts on values that are not Gaussian at infinite width; there is a closed form only if a layer with wei"
CORRELATED = "Residual has a closed form where its body ends in a layer with weights, or with averages after it: else"
AT_INPUT = "has a closed form on the network's input alone"
WITHOUT = [
    (IMAGE, [Residual((Conv(1, 3),)), Flatten()], "layer 0: Residual adds the input itself, whose channels stay few"),
    (IMAGE, [Flatten(), Residual((Dense(25),))], "layer 1: Residual adds the input itself, whose channels stay few at"),
    (IMAGE, [CONV, Residual((Relu(),)), Flatten()], f"layer 1: {CORRELATED}"),
    (IMAGE, [CONV, Residual((Identity(),)), Flatten()], f"layer 1: {CORRELATED}"),
    (IMAGE, [CONV, Residual((CONV, Relu())), Flatten()], f"layer 1: {CORRELATED}"),
    (IMAGE, [CONV, Residual((Residual((Relu(), CONV)),)), Flatten()], f"layer 1: {CORRELATED}"),
    (IMAGE, [CONV, Relu(), Residual((CONV,)), Relu(), Flatten()], f"layer 3: Relu {NOT_GAUSSIAN}"),
    (IMAGE, [CONV, Relu(), AvgPool(2), Relu(), Flatten()], f"layer 3: Relu {NOT_GAUSSIAN}"),
    (IMAGE, [LIFT, Relu(), GroupPool(), Relu(), DENSE], f"layer 3: Relu {NOT_GAUSSIAN}"),
    (IMAGE, [CONV, Relu(), LayerNorm(), Flatten()], f"layer 2: LayerNorm {NOT_GAUSSIAN}"),
    (VECTOR, [LayerNorm(), DENSE], f"layer 0: LayerNorm {NOT_GAUSSIAN}"),
    (ATOMS, [AtomSum((DENSE, Relu())), Relu(), DENSE], f"layer 1: Relu {NOT_GAUSSIAN}"),
    (ATOMS, [InvariantScalars(), Relu(), DENSE], f"layer 1: Relu {NOT_GAUSSIAN}"),
    (IMAGE, [Canonicalize((CONV, Relu()), C4), Relu(), Flatten()], f"layer 1: Relu {NOT_GAUSSIAN}"),
    (IMAGES, [AtomSum((CONV, Flatten())), Relu(), DENSE], "layer 1: Relu acts on flattened pixels, which differ in"),
    (
        IMAGE,
        [CONV, Flatten(), Residual((Dense(50),)), Relu()],
        "layer 3: Relu acts on flattened pixels, which differ in",
    ),
    (ATOMS, [DENSE, Flatten(), Relu(), Relu(), DENSE], f"layer 3: Relu {NOT_GAUSSIAN}"),
    (IMAGE, [CONV, OrbitAverage((Flatten(), DENSE), C4)], f"layer 1: OrbitAverage {AT_INPUT}"),
    (IMAGE, [CONV, Canonicalize((Flatten(),), C4)], f"layer 1: Canonicalize {AT_INPUT}"),
    (ATOMS, [DENSE, AtomSum((DENSE,))], f"layer 1: AtomSum {AT_INPUT}"),
    (ATOMS, [DENSE, InvariantScalars(), DENSE], f"layer 1: InvariantScalars {AT_INPUT}"),
    (IMAGE, [CONV, Residual((Canonicalize((CONV,), C4), CONV)), Flatten()], f"Canonicalize {AT_INPUT}"),
]
READOUT = "the logits are not Gaussian at infinite width: a nonlinearity stands after the last layer with weights"
NO_READOUT = [
    (IMAGE, [CONV, Relu(), Flatten()]),
    (IMAGE, [CONV, Flatten(), Relu()]),
    (IMAGE, [LIFT, Relu(), GroupPool()]),
    (VECTOR, [DENSE, Relu(), DENSE, LayerNorm()]),
    (VECTOR, [DENSE, LayerNorm(), Residual((DENSE,)), Relu()]),
    (ATOMS, [AtomSum((DENSE, Relu()))]),
    (ATOMS, [InvariantScalars()]),
]
# Both layers are named: the outer by its index, the inner by index and name.
INSIDE = [
    (IMAGE, [OrbitAverage((Flatten(), Relu(), DENSE), C4)], 0, f"layer 1: Relu {NOT_GAUSSIAN}"),
    (IMAGE, [Canonicalize((CONV, Relu(), Relu()), C4), Flatten()], 0, f"layer 2: Relu {NOT_GAUSSIAN}"),
    (ATOMS, [AtomSum((Relu(), DENSE))], 0, f"layer 0: Relu {NOT_GAUSSIAN}"),
    (IMAGE, [CONV, Residual((Relu(), Relu(), CONV)), Flatten()], 1, f"layer 1: Relu {NOT_GAUSSIAN}"),
]
WITH = [
    (IMAGE, [CONV, Residual((CONV, AvgPool(1))), Relu(), Flatten(), DENSE]),
    (IMAGE, [Identity(), OrbitAverage((Flatten(), DENSE, Relu(), DENSE), D4), Relu(), DENSE]),
    (ATOMS, [AtomSum((DENSE, LayerNorm())), Relu(), DENSE]),
    (IMAGE, [CONV, Flatten(), LayerNorm(), DENSE]),
]


def check(make, message, kind=ValueError):
    with pytest.raises(kind) as error:  # the text is compared, free of regular expressions
        make()
    assert message in str(error.value)
    assert isinstance(error.value, NoClosedFormError) == (kind is NoClosedFormError)
    return str(error.value)


@pytest.mark.parametrize(("make", "message"), BAD_SPECS, ids=[message for _, message in BAD_SPECS])
def test_bad_spec(make, message):
    check(make, message)


@pytest.mark.parametrize(("shape", "layers", "message"), MISFITS, ids=[message for *_, message in MISFITS])
def test_layers_that_do_not_fit(shape, layers, message):
    """The same from `signals`, `init` and `apply`, and from the kernel, if it is not a layer without one."""
    architecture, x = Architecture([*layers, Flatten()]), np.ones((1, *shape), np.float32)
    for call in (partial(architecture.signals, shape), partial(architecture.init, jax.random.key(0), shape)):
        assert check(call, message).startswith("layer ")
    check(lambda: architecture.apply({}, x), message)
    if not any(isinstance(layer, MaxPool) for layer in layers):
        check(lambda: analytic_kernel(architecture)(x), message)


def test_slots_that_have_no_weights():
    architecture = Architecture((AtomSum((DENSE,), shared=False),))
    params = architecture.init(jax.random.key(0), (3, 2))
    check(
        lambda: architecture.apply(params, np.ones((1, 4, 2))),
        "the parameters are not of this architecture and inputs of shape (4, 2)",
    )


@pytest.mark.parametrize(("layers", "message"), NEVER, ids=[message for _, message in NEVER])
def test_maxima_are_refused_at_once(layers, message):
    """Before any input is seen, wherever they stand; as finite networks they are sound."""
    check(lambda: analytic_kernel(Architecture(layers)), message, NoClosedFormError)
    Architecture(layers).signals((2, 4, 4, 1) if isinstance(layers[0], AtomSum) else (4, 4, 1))


@pytest.mark.parametrize(("shape", "layers", "message"), WITHOUT, ids=str)
def test_no_closed_form_where_it_stands(shape, layers, message):
    """From the kernel and from its diagonal; the finite network exists."""
    architecture, x = Architecture(layers), np.ones((1, *shape), np.float32)
    kernel = analytic_kernel(architecture)
    assert architecture.signals(shape)[-1].is_vector
    for call in (kernel, kernel.diagonal):
        assert check(lambda call=call: call(x), message, NoClosedFormError).startswith("layer ")


@pytest.mark.parametrize(("shape", "layers", "outer", "message"), INSIDE, ids=str)
def test_no_closed_form_inside_another_layer(shape, layers, outer, message):
    text = check(lambda: analytic_kernel(Architecture(layers))(np.ones((1, *shape))), message, NoClosedFormError)
    assert text.startswith(f"layer {outer}: ")


@pytest.mark.parametrize(("shape", "layers"), NO_READOUT, ids=str)
def test_logits_that_are_not_gaussian(shape, layers):
    check(lambda: analytic_kernel(Architecture(layers))(np.ones((1, *shape))), READOUT, NoClosedFormError)


@pytest.mark.parametrize(("shape", "layers"), WITH, ids=str)
def test_what_looks_alike_is_not_refused(shape, layers):
    assert np.all(np.isfinite(analytic_kernel(Architecture(layers)).diagonal(np.ones((1, *shape), np.float32)).ntk))
