"""The group-CNN that is to be held against a network trained on the orbits of its data."""

from collections.abc import Sequence

from widesym.models.architecture import Architecture
from widesym.models.groups import Group
from widesym.models.layer import Layer, Nonlinearity
from widesym.models.layers.conv import Conv
from widesym.models.layers.dense import Dense
from widesym.models.layers.group_conv import GroupConv, LiftingConv
from widesym.models.layers.group_flatten import GroupFlatten
from widesym.models.layers.parts import OrbitAverage, check_acting
from widesym.models.layers.pooling import AvgPool, Flatten, GlobalAvgPool, GroupPool, MaxPool
from widesym.models.layers.residual import Identity, Residual

KNOWN = Conv | Dense | Nonlinearity | AvgPool | MaxPool | Flatten | GlobalAvgPool | Identity | Residual
POINTWISE = Dense | Nonlinearity | Identity


def group_counterpart(architecture: Architecture, group: Group) -> Architecture:
    """The network with the group average of the given one's kernels, 1/|R| Σ_q K(f, ρ_q f') (arXiv:2406.06504, thm. 5).

    Trained on plain data at infinite width, it has the mean of the given network trained on their full orbits, at all
    times and on all inputs. The first Conv is lifted, the others act on the group, with their own size, padding, stride
    and scales; Flatten becomes GroupFlatten; and GroupPool averages over the group, after the last nonlinearity and
    once the grid is left: what follows is linear. A network without convolutions is averaged over the orbit of its
    input (`OrbitAverage`), as one with global filters would be (theorem 7).

    Features stay as they are; `widesym.models.width.at_width` changes them. Raises ValueError where there is no
    counterpart, and for filters that the group moves.
    """
    check_acting("group_counterpart", group)
    layers, parametrization = architecture.layers, architecture.parametrization
    if parametrization != "ntk":
        raise ValueError(
            f"group_counterpart: the parametrization is {parametrization!r}, in which learning rates depend on the "
            "fan-in, which grows with the group; use 'ntk'"
        )
    _check_known(layers)
    if not _has(layers, Conv):
        return Architecture((OrbitAverage(layers, group),))
    first = _first_convolution(layers)
    left = next((at for at, layer in enumerate(layers, 1) if isinstance(layer, Flatten | GlobalAvgPool)), None)
    if left is None:
        raise ValueError(
            "group_counterpart: the network never leaves the grid; end it with Flatten() or GlobalAvgPool()"
        )
    bent = max((at for at, layer in enumerate(layers, 1) if _has((layer,), Nonlinearity | MaxPool)), default=0)
    pooled = max(left, bent)
    on_group = [_lifted(layers[first], group, LiftingConv)]
    on_group += [_on_group(layer, group, at <= left) for at, layer in enumerate(layers[first + 1 :], first + 2)]
    head, tail = on_group[: pooled - first], on_group[pooled - first :]
    if isinstance(head[-1], GlobalAvgPool):  # GroupPool averages over pixels, too
        head.pop()
    return Architecture((*layers[:first], *head, GroupPool(), *tail))


def _check_known(layers: Sequence[Layer]) -> None:
    """Raise ValueError for the first layer that has no counterpart on a group."""
    for index, layer in enumerate(layers):
        name = type(layer).__name__
        if not isinstance(layer, KNOWN):
            raise ValueError(
                f"group_counterpart: layer {index}, {name}, has no counterpart on a group; there are those of plain "
                "networks on images: convolutions, pools, Flatten, Dense, pointwise functions and residuals of these"
            )
        if isinstance(layer, Residual):
            _check_known(layer.body)


def _first_convolution(layers: Sequence[Layer]) -> int:
    """Its index; raises ValueError where what stands before it could not act on images as on the group."""
    for index, layer in enumerate(layers):
        if isinstance(layer, Conv):
            return index
        if not isinstance(layer, POINTWISE):
            raise ValueError(
                f"group_counterpart: layer {index}, {type(layer).__name__}, stands before the first convolution, where "
                "nothing is lifted to the group yet; let a Conv come first"
            )
    raise AssertionError("there is a convolution")


def _on_group(layer: Layer, group: Group, on_grid: bool) -> Layer:
    """The layer after the lifting; `on_grid`: whether it still reads pixels, which a second Flatten does not."""
    match layer:
        case Conv():
            return _lifted(layer, group, GroupConv)
        case Flatten():
            return GroupFlatten() if on_grid else Identity()
        case Residual():
            return Residual([_on_group(inner, group, on_grid) for inner in layer.body])
    return layer


def _lifted(conv: Layer, group: Group, kind: type[LiftingConv] | type[GroupConv]) -> LiftingConv | GroupConv:
    assert isinstance(conv, Conv)
    stds = {"w_std": conv.w_std, "b_std": conv.b_std}
    return kind(group, conv.features, conv.size, conv.padding, conv.stride, **stds)


def _has(layers: Sequence[Layer], kind: type | object) -> bool:
    """Whether one of the layers, or of those inside them, is of a kind."""
    return any(isinstance(layer, kind) or _has(getattr(layer, "body", ()), kind) for layer in layers)  # pyright: ignore
