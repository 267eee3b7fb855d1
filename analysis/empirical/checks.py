"""What an empirical kernel is asked of: a network, one member's parameters or an ensemble's, and inputs; checked."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from widesym.analysis.empirical.factors import Params
from widesym.analysis.empirical.functions import Apply
from widesym.ensembles.checks import listed
from widesym.models.architecture import Architecture

Network = Architecture | Apply
Inputs = Float[Array, "n *point channel"]


class Given(NamedTuple):
    """Everything in one precision; `members` is None where the parameters have no member axis."""

    network: Network
    params: Params
    members: int | None
    x1: Inputs
    x2: Inputs | None

    @property
    def one(self) -> Params:
        """The shapes of one member's parameters."""
        skip = 0 if self.members is None else 1
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[skip:], leaf.dtype), self.params)

    @property
    def logits(self) -> int:
        """How many the network has."""
        return jax.eval_shape(applied(self.network), self.one, self.x1[:1]).shape[1]

    def params_of(self, member: int) -> Params:
        """The parameters of the member of this number, without a member axis."""
        return self.params if self.members is None else jax.tree.map(lambda leaf: leaf[member], self.params)


def checked_arguments(network: Network, params: Params, x1: Inputs, x2: Inputs | None) -> Given:
    """Raise ValueError for parameters or inputs that do not fit the network or each other, or are not finite."""
    if not isinstance(network, Architecture) and not callable(network):
        raise ValueError(f"network is {network!r}; it must be an Architecture, or a function of parameters and inputs")
    if type(network).__hash__ is None:
        raise ValueError(f"network is of {type(network).__name__}, which has no hash; wrap it into a function")
    params, dtype = _in_one_precision(params)
    x1 = jnp.asarray(x1, dtype)
    _check_inputs("x1", x1)
    if x2 is not None:
        x2 = jnp.asarray(x2, dtype)
        _check_inputs("x2", x2)
        if x1.shape[1:] != x2.shape[1:]:
            raise ValueError(f"x1 has inputs of shape {x1.shape[1:]}, x2 of shape {x2.shape[1:]}; they must agree")
    members = count_members(network, params, x1)
    if members == 0:
        raise ValueError("the parameters are of no member at all; an ensemble has one or more")
    check_finite_members(params, members)
    return Given(network, params, members, x1, x2)


def _in_one_precision(params: Params) -> tuple[Params, Any]:
    """The parameters as arrays of their widest type."""
    leaves = [np.asarray(leaf) if np.isscalar(leaf) else leaf for leaf in jax.tree.leaves(params)]
    if not leaves:
        raise ValueError("there are no parameters, and so no kernel")
    for leaf in leaves:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            raise ValueError(f"the parameters have an array of {leaf.dtype}; all must be floating-point numbers")
    dtype = np.result_type(*(leaf.dtype for leaf in leaves))
    if dtype == np.float64 and not jax.config.read("jax_enable_x64"):
        raise ValueError("the parameters are float64, with which JAX computes under jax.enable_x64(True) alone")
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), params), dtype


def applied(network: Network) -> Apply:
    """The network as a function of parameters and inputs."""
    return network.apply if isinstance(network, Architecture) else network


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise ValueError for what is not among the allowed."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")


def count_members(network: Network, params: Params, x: Inputs) -> int | None:
    """How many members' parameters are stacked along the leaves' first axis, or None for those of one member alone.

    A function that makes logits of the parameters as they are is taken to have one member's. Raises ValueError where
    they are neither, naming the first array that does not fit.
    """
    one = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
    if isinstance(network, Architecture):
        return _members_of_architecture(network, params, x.shape[1:])
    error = _error(network, params, one)
    if error is None:
        return None
    sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(params)}
    first = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), params)
    if len(sizes) == 1 and sizes != {()} and _error(network, first, one) is None:
        return int(next(iter(sizes))[0])
    raise ValueError(f"the network cannot be applied to these parameters and inputs of shape {x.shape[1:]}: {error}")


def _members_of_architecture(architecture: Architecture, params: Params, input_shape: tuple[int, ...]) -> int | None:
    needed = jax.eval_shape(lambda: architecture.init(jax.random.key(0), input_shape))
    shapes, found = _shapes(needed), _shapes(params)
    if shapes.keys() != found.keys():
        odd = sorted(shapes.keys() ^ found.keys())
        what = "missing" if odd[0] in shapes else "not among its own"
        raise ValueError(f"the parameters are not of this architecture: {odd[0]} is {what}")
    if shapes == found:
        return None
    alone = all(shape == shapes[name] or shape[1:] != shapes[name] for name, shape in found.items())
    for name, shape in found.items():
        if shape[1:] != shapes[name] and (shape != shapes[name] or not alone):
            stacked = ", ".join(map(str, ("members", *shapes[name])))
            raise ValueError(
                f"the parameters do not fit the architecture and inputs of shape {input_shape}: {name} has shape "
                f"{shape}, and {shapes[name]} is needed, or of an ensemble ({stacked})"
            )
    members = {shape[0] for shape in found.values()}
    if len(members) > 1:
        each = ", ".join(f"{name} of {shape[0]}" for name, shape in found.items())
        raise ValueError(f"the parameters are of different numbers of members: {each}; stack the same ones everywhere")
    return members.pop()


def _shapes(params: Params) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree.leaves_with_path(params)
    return {jax.tree_util.keystr(path, simple=True, separator="."): tuple(leaf.shape) for path, leaf in leaves}


def _error(apply: Apply, params: Params, x: Any) -> str | None:
    """Why the function does not make logits of one sample, if it does not."""
    try:
        made = jax.eval_shape(apply, params, x)
    except Exception as error:  # whatever somebody's network raises
        return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"
    shape = getattr(made, "shape", None)
    fits = shape is not None and len(shape) == 2 and shape[0] == 1
    return None if fits else f"of one sample it makes {made}, not [sample, logit]"


def check_finite_members(params: Params, members: int | None) -> None:
    """Raise ValueError where parameters are not finite, naming the members."""
    finite: Bool[np.ndarray, " member"] = np.ones(members or 1, bool)
    for leaf in jax.tree.leaves(params):
        finite &= np.asarray(jnp.isfinite(leaf).reshape(members or 1, -1).all(1))
    if finite.all():
        return
    if members is None:
        raise ValueError("the parameters are not finite, and such a network has no kernel")
    sick = np.flatnonzero(~finite)
    raise ValueError(f"{len(sick)} of {members} members' parameters are not finite ({listed(sick)}); leave these out")


def _check_inputs(name: str, x: Inputs) -> None:
    if x.ndim < 2 or not len(x):
        raise ValueError(f"{name} has shape {x.shape}; it must be a batch of one or more inputs, [n, …, channel]")
    if not bool(jnp.isfinite(x).all()):
        raise ValueError(f"{name} has values that are not finite")
