"""From our architectures to neural-tangents' layers: the same network, its parameters and its kernel."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from types import ModuleType
from typing import Any

from widesym.analysis.kernels.closed_form import Law, check_kinds, check_layers, check_parametrization
from widesym.analysis.kernels.order import flattening_late
from widesym.analysis.tangents.covariances import full_covariance_layer, uncorrelated_sum
from widesym.analysis.tangents.finite import NetworkPart, check_unmasked, finite_functions, signal_on
from widesym.analysis.tangents.patch import import_neural_tangents
from widesym.models.architecture import Architecture
from widesym.models.layer import Layer, NoClosedFormError, Nonlinearity
from widesym.models.layers.activations import Abs, Erf, Gelu, LeakyRelu, Relu, Sin
from widesym.models.layers.conv import Conv
from widesym.models.layers.dense import Dense
from widesym.models.layers.group_conv import GroupConv, LiftingConv
from widesym.models.layers.group_flatten import GroupFlatten
from widesym.models.layers.invariants import InputMap
from widesym.models.layers.normalization import LayerNorm
from widesym.models.layers.parts import PartSum
from widesym.models.layers.pooling import AvgPool, Flatten, GlobalAvgPool, GroupPool
from widesym.models.layers.residual import Identity, Residual
from widesym.models.network import checked_layers
from widesym.models.signal import Domain
from widesym.models.spherical.conv import SO3Conv, SO3Pool, SphereLifting
from widesym.models.spherical.so3 import SO3

# Layers that neural-tangents has, too.
OURS = {Dense, Conv, AvgPool, GlobalAvgPool, GroupPool, Flatten, Identity, LayerNorm, Residual}
OURS |= {Relu, Abs, Erf, Gelu, LeakyRelu, Sin}

Triple = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]


def to_stax(network: Architecture | Layer | Iterable[Layer], *, group: Domain | None = None) -> Triple:
    """(init_fn, apply_fn, kernel_fn) of an architecture, or of layers of one, as neural-tangents defines them.

    They go into `stax.serial`, `nt.batch`, `nt.predict`, … like any others (docs/neural-tangents.md). Parameters are
    those of `Architecture.init` and `Architecture.apply`. Activations are [sample, group, row, column, channel], absent
    axes left out, and covariances have the group as one more spatial axis. Layers that come after a lifting are told
    so by `group`, the `Group` or `SO3` on which their input lives.

    `kernel_fn` raises NoClosedFormError or NotImplementedError, naming the layer, where neural-tangents cannot have the
    kernel; `init_fn` and `apply_fn` work nonetheless. Raises ValueError for what is no network, and ImportError where
    neural-tangents is missing (`import_neural_tangents`).
    """
    stax = import_neural_tangents().stax
    part = network if isinstance(network, Architecture) else _part(network, group)
    if isinstance(network, Architecture) and group is not None:
        raise ValueError("an architecture's input lives on no group; to_stax takes layers alone after a lifting")
    return *finite_functions(part), _kernel_function(stax, part, group)


def _part(layers: Layer | Iterable[Layer], group: Domain | None) -> NetworkPart:
    layers = checked_layers("to_stax", (layers,) if isinstance(layers, Layer) else layers)
    for index, (layer, before) in enumerate(zip(layers, groups_before(layers, group), strict=True)):
        if isinstance(layer, GroupConv | GroupFlatten | GroupPool | SO3Conv | SO3Pool) and before is None:
            raise ValueError(
                f"layer {index}: {type(layer).__name__} acts on a group; name the one that its input lives on, "
                "to_stax(layers, group=…), or put a lifting before it"
            )
    return NetworkPart(layers, group)


def _kernel_function(stax: ModuleType, network: Architecture | NetworkPart, group: Domain | None) -> Callable[..., Any]:
    try:
        if isinstance(network, Architecture):
            check_parametrization(network)
        check_kinds(network.layers)
        _check_takes_covariances(network.layers)
    except (NoClosedFormError, NotImplementedError) as error:
        kind, message = type(error), f"{error} (init_fn and apply_fn work: sample with nt.monte_carlo_kernel_fn)"

        def refuse(*_: Any, **__: Any) -> Any:
            raise kind(message)

        return refuse
    layers = flattening_late(network.layers)
    return stax.serial(_checks(stax, network.layers, group), *_stax_layers(stax, layers, group))[2]


def _check_takes_covariances(layers: Sequence[Layer]) -> None:
    for index, layer in enumerate(layers):
        if isinstance(layer, InputMap | PartSum):
            raise NotImplementedError(
                f"layer {index}: {type(layer).__name__} takes its input apart, but neural-tangents' kernels go from "
                "covariances to covariances; use analytic_kernel(architecture)"
            )
        try:
            _check_takes_covariances(getattr(layer, "body", ()))
        except NotImplementedError as error:
            raise NotImplementedError(f"layer {index}: {type(layer).__name__}: {error}") from None


def groups_before(layers: Sequence[Layer], group: Domain | None) -> Iterator[Domain | None]:
    """The group on which the signal before each layer lives, or lived before a pool; `group` is the first layer's."""
    for layer in layers:
        yield group
        match layer:
            case LiftingConv():
                group = layer.group
            case SphereLifting() | SO3Conv():
                group = SO3(layer.bandlimit_out, layer.oversampling)


def _stax_layers(stax: ModuleType, layers: Sequence[Layer], group: Domain | None) -> list[Triple]:
    groups = groups_before(layers, group)
    return [_stax_layer(stax, layer, before) for layer, before in zip(layers, groups, strict=True)]


def _stax_layer(stax: ModuleType, layer: Layer, group: Domain | None) -> Any:
    """neural-tangents' own layer where it has one, for exactly ours: what derives from these may act otherwise."""
    if type(layer) not in OURS:
        own = isinstance(layer, Nonlinearity)
        return _by_dual(stax, layer) if own else full_covariance_layer(stax, layer, group)
    match layer:
        case Dense():
            return stax.Dense(layer.features, W_std=layer.w_std, b_std=layer.b_std or None)
        case Conv():
            window = {"filter_shape": (layer.size,) * 2, "strides": (layer.stride,) * 2, "padding": layer.padding}
            return stax.Conv(layer.features, **window, W_std=layer.w_std, b_std=layer.b_std or None)
        case AvgPool():
            along_group = (1,) if group else ()
            size, stride = (layer.window.size,) * 2, (layer.window.stride,) * 2
            return stax.AvgPool((*along_group, *size), strides=(*along_group, *stride), padding="VALID")
        case GlobalAvgPool() if group is None:
            return stax.GlobalAvgPool()
        case GroupPool():
            return stax.GlobalAvgPool()  # over all axes, the group's among them
        case Flatten():
            return stax.Flatten()
        case Identity():
            return stax.Identity()
        case LayerNorm():
            return stax.LayerNorm(eps=layer.epsilon)
        case Residual():
            body = stax.serial(*_stax_layers(stax, layer.body, group))
            return stax.serial(stax.FanOut(2), stax.parallel(stax.Identity(), body), uncorrelated_sum(stax))
        case Relu() | Abs() | Erf() | Gelu():
            return getattr(stax, type(layer).__name__)()
        case LeakyRelu():
            return stax.LeakyRelu(layer.slope)
        case Sin():
            return stax.Sin(b=layer.frequency)
    return full_covariance_layer(stax, layer, group)  # GlobalAvgPool on a group


def _by_dual(stax: ModuleType, layer: Nonlinearity) -> Any:
    """Users' own nonlinearities, and those whose duals we integrate: Gauss-Hermite's rule there is less accurate."""

    def value(nngp: Any, variance1: Any, variance2: Any) -> Any:
        return layer.dual(nngp, variance1, variance2)[0]

    def slope(nngp: Any, variance1: Any, variance2: Any) -> Any:
        return layer.dual(nngp, variance1, variance2)[1]

    value.__name__ = type(layer).__name__  # neural-tangents shows it in its errors
    return stax.Elementwise(None, value, slope)  # finite networks are `finite_functions`


def _checks(stax: ModuleType, layers: tuple[Layer, ...], group: Domain | None) -> Triple:
    """A layer that refuses what has no closed form where it stands, by our rules: neural-tangents' let more through."""

    def kernel_fn(kernel: Any, **_: Any) -> Any:
        check_unmasked(kernel.mask1, kernel.mask2)
        shape, other = kernel.shape1[1:], kernel.shape2[1:]
        if shape != other:
            raise ValueError(f"x1 holds inputs of shape {shape}, x2 of shape {other}; they must agree")
        # Θ of the input is a plain zero. Where K alone is asked for, nothing tells the input from what follows weights.
        weights_before = kernel.ntk is None or kernel.ntk.ndim > 0
        law = Law(wide=weights_before or kernel.is_gaussian, gaussian=kernel.is_gaussian)
        check_layers(layers, signal_on(group, shape), law)
        return kernel

    def bridged() -> Triple:
        return *stax.Identity()[:2], kernel_fn

    return stax.layer(bridged)()
