"""Which architectures have an analytic kernel; the others are refused, by name, before anything is computed."""

from collections.abc import Sequence
from typing import NamedTuple

from widesym.analysis.kernels.order import late_order
from widesym.models.architecture import Architecture
from widesym.models.groups import Group
from widesym.models.layer import Affine, Layer, NoClosedFormError, Nonlinearity, Reduction
from widesym.models.layers.group_flatten import GroupFlatten
from widesym.models.layers.invariants import Canonicalize, InputMap
from widesym.models.layers.normalization import LayerNorm
from widesym.models.layers.parts import PartSum
from widesym.models.layers.pooling import Flatten
from widesym.models.layers.residual import Identity, Residual
from widesym.models.network import signals_through
from widesym.models.signal import Signal


class Law(NamedTuple):
    """What is known of a signal at infinite width."""

    wide: bool = False  # weights stand before it: its channels are infinitely many
    gaussian: bool = False  # its channels are centred Gaussians
    normalised: bool = False  # by a LayerNorm, since the last weights: true of infinitely many channels alone
    flat: bool = False  # channels stand for the pixels of a flattened grid, and differ in variance


def check_parametrization(architecture: Architecture) -> None:
    """Raise NoClosedFormError where training at infinite width does not follow a kernel."""
    reasons = {
        "standard": "at a fixed learning rate its NTK grows with the width",
        "mup": "features move at infinite width, so training follows no fixed kernel",
    }
    if architecture.parametrization != "ntk":
        raise NoClosedFormError(
            f"{architecture.parametrization!r} parametrization has no infinite-width NTK: "
            f"{reasons[architecture.parametrization]}; use parametrization='ntk', the same function class"
        )


def check_kinds(layers: Sequence[Layer]) -> None:
    """Raise NoClosedFormError for the first layer that never has a closed form, naming it."""
    for index, layer in enumerate(layers):
        if not layer.has_closed_form:
            raise NoClosedFormError(
                f"layer {index}: {type(layer).__name__} has no closed-form kernel; train it as usual and estimate its "
                "kernel from samples, the mean over many initialisations of the empirical kernel"
            )
        if not isinstance(layer, Affine | Reduction | Nonlinearity | Residual | InputMap | PartSum):
            raise NoClosedFormError(
                f"layer {index}: {type(layer).__name__} says that it has a closed form, but not of which kind; make it "
                "a Nonlinearity (with its dual), a Reduction (linear, without weights) or an Affine layer"
            )
        if isinstance(layer, Nonlinearity):
            try:
                layer.check_dual()
            except NoClosedFormError as error:
                raise NoClosedFormError(f"layer {index}: {error}") from None
        try:
            check_kinds(getattr(layer, "body", ()))
        except NoClosedFormError as error:
            raise NoClosedFormError(f"layer {index}: {type(layer).__name__}: {error}") from None


def check_readout(law: Law) -> None:
    """Raise NoClosedFormError where the logits themselves are not Gaussian: their kernels predict nothing."""
    if not law.gaussian or law.normalised:
        raise NoClosedFormError(
            "the logits are not Gaussian at infinite width: a nonlinearity stands after the last layer with weights, "
            "or there is none; end in a layer with weights, such as Dense, with nothing but averages after it"
        )


def check_layers(layers: Sequence[Layer], signal: Signal, law: Law = Law(), at_input: bool = True) -> Law:  # noqa: B008
    """Raise NoClosedFormError for the first layer without a closed form where it stands, naming it."""
    order = late_order(layers)
    layers = [layers[index] for index in order]
    signals = signals_through(layers, signal)
    for index, layer, before in zip(order, layers, signals, strict=False):
        try:
            law = _after(layer, before, law, at_input)
        except NoClosedFormError as error:
            raise NoClosedFormError(f"layer {index}: {error}") from None
        at_input = at_input and isinstance(layer, Identity)
    return law


def _after(layer: Layer, signal: Signal, law: Law, at_input: bool) -> Law:
    match layer:
        case Affine():
            return Law(wide=True, gaussian=True)
        case Nonlinearity():
            _check_nonlinearity(layer, law)
            return law._replace(gaussian=isinstance(layer, LayerNorm), normalised=isinstance(layer, LayerNorm))
        case Residual():
            return _after_residual(layer, signal, law)
        case InputMap() | PartSum():
            if not at_input:
                raise NoClosedFormError(f"{type(layer).__name__} has a closed form on the network's input alone")
            if isinstance(layer, PartSum):
                return _inside(layer, layer.body, layer.part(signal))
            return _inside(layer, layer.body, signal) if isinstance(layer, Canonicalize) else law
        case Flatten() | GroupFlatten():
            return law._replace(flat=law.flat or not _is_homogeneous(signal))
        case Reduction() if layer.output(signal).channels != signal.channels:
            raise NoClosedFormError(f"{type(layer).__name__} mixes channels, which no kernel knows apart")
    return law


def _is_homogeneous(signal: Signal) -> bool:
    """Whether all points have the same variance: a group's elements, but for filters that are sampled anew for each."""
    between_pixels = isinstance(signal.group, Group) and not signal.group.is_exact
    return signal.grid is None and signal.atoms is None and not between_pixels


def _inside(layer: Layer, body: Sequence[Layer], signal: Signal, law: Law = Law(), at_input: bool = True) -> Law:  # noqa: B008
    try:
        return check_layers(body, signal, law, at_input)
    except NoClosedFormError as error:
        raise NoClosedFormError(f"{type(layer).__name__}: {error}") from None


def _check_nonlinearity(layer: Nonlinearity, law: Law) -> None:
    name = type(layer).__name__
    if not law.gaussian:
        raise NoClosedFormError(
            f"{name} acts on values that are not Gaussian at infinite width; "
            "there is a closed form only if a layer with weights stands before it, after any other nonlinearity"
        )
    if law.flat and not isinstance(layer, LayerNorm):  # over all pixels, the variance that it divides by is their mean
        raise NoClosedFormError(
            f"{name} acts on flattened pixels, which differ in variance; "
            "put a layer with weights between, or Flatten right before or after it"
        )


def _after_residual(layer: Residual, signal: Signal, law: Law) -> Law:
    if not law.wide:
        raise NoClosedFormError(
            "Residual adds the input itself, whose channels stay few at infinite width; "
            "put a layer with weights before it"
        )
    body = _inside(layer, layer.body, signal, law, at_input=False)
    if not body.gaussian or not any(isinstance(inner, Affine) for inner in layer.body):
        raise NoClosedFormError(
            "Residual has a closed form where its body ends in a layer with weights, or with averages after it: "
            "else what it adds is correlated with its input"
        )
    gaussian, normalised = law.gaussian and body.gaussian, law.normalised or body.normalised
    return Law(True, gaussian, normalised, law.flat or body.flat)
