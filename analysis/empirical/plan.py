"""Which algorithm computes an empirical NTK, in which tiles: counted on traced programs, before any is compiled."""

from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import jax
from jaxtyping import Array, Float, PyTree

from widesym.analysis.empirical.checks import Given, Network, applied
from widesym.analysis.empirical.factors import gradient_factors
from widesym.analysis.empirical.functions import jacobian_ntk, vector_product_ntk
from widesym.analysis.empirical.structured import Output, Values, layer_ntk
from widesym.analysis.programs.devices import devices_sharing_memory
from widesym.analysis.programs.flops import product_flops
from widesym.analysis.programs.memory import peak_bytes
from widesym.models.architecture import Architecture

Method = Literal["structured", "jacobian", "vector_products"]

COMPILED = 1.5  # a compiled program's memory over that of the traced one's values; 0.3 to 1.2 were seen
# Time that a counted operation takes, relative to the structured algorithm (benchmarks/README.md).
SLOWNESS: dict[Method, float] = {"structured": 1.0, "jacobian": 1.4, "vector_products": 1.4}


class NtkPlan(NamedTuple):
    """An algorithm, how many samples of each side make a tile, and what that takes."""

    method: Method
    tile: int
    bytes: float
    cost: float  # operations in all products of matrices, times the algorithm's slowness


@partial(jax.jit, static_argnums=(0, 1, 2))
def tile_ntk(
    network: Network,
    method: Method,
    output: Output,
    params: PyTree[Float[Array, "..."]],
    x1: Float[Array, "n1 *point channel"],
    x2: Float[Array, "n2 *point channel"] | None,
) -> Values:
    """One member's NTK between x1 and x2, or of x1 with itself."""
    with jax.default_matmul_precision("float32"):
        match method:
            case "structured":
                assert isinstance(network, Architecture)
                return structured_ntk(network, params, x1, x2, output)
            case "jacobian":
                return jacobian_ntk(applied(network), params, x1, x2, output)
            case "vector_products":
                return vector_product_ntk(applied(network), params, x1, x2, output)


def structured_ntk(
    architecture: Architecture,
    params: PyTree[Float[Array, "..."]],
    x1: Float[Array, "n1 *point channel"],
    x2: Float[Array, "n2 *point channel"] | None,
    output: Output,
) -> Values:
    """The sum over layers with weights (analysis/empirical/structured.py)."""
    first = gradient_factors(architecture, params, x1)
    second = first if x2 is None else gradient_factors(architecture, params, x2)
    return sum(layer_ntk(a, b, output) for a, b in zip(first, second, strict=True))  # pyright: ignore[reportReturnType]


def make_plan(given: Given, output: Output, method: Literal["auto", Method], memory: float) -> NtkPlan:
    """The cheapest algorithm, or the one asked for, in tiles that take `memory` bytes at most.

    Raises ValueError where there is no such algorithm for the network, and where one pair of samples takes more memory.
    """
    allowed: tuple[Method, ...] = ("jacobian", "vector_products")
    if isinstance(given.network, Architecture):
        allowed = ("structured", *allowed)
    if method not in ("auto", *allowed):
        raise ValueError(f"method is {method!r}, which takes an Architecture; functions allow {', '.join(allowed)}")
    leaves, tree = jax.tree.flatten(given.one)
    samples = tuple(None if x is None else jax.ShapeDtypeStruct(x.shape, x.dtype) for x in (given.x1, given.x2))
    tried = allowed if method == "auto" else (method,)
    share = memory / devices_sharing_memory()
    plans = {each: _plan(given.network, tree, tuple(leaves), samples, output, each, share) for each in tried}
    fitting = [plan for plan in plans.values() if plan.bytes <= share]
    if not fitting:
        needs = ", ".join(f"{name} {plan.bytes / 2**20:.3g} MiB" for name, plan in plans.items())
        others = ", ".join(each for each in allowed if each not in plans)
        raise ValueError(
            f"memory is {share / 2**20:.3g} MiB a device, but a single pair of samples takes more: {needs}; allow that"
            + (f", or try {others}" if others else "")
        )
    return min(fitting, key=lambda plan: plan.cost)


@lru_cache(maxsize=256)
def _plan(
    network: Network, tree: Any, leaves: tuple, samples: tuple, output: Output, method: Method, memory: float
) -> NtkPlan:
    """The largest tile that fits, or the smallest there is, and the cost of all."""
    x1, x2 = samples
    params, columns = jax.tree.unflatten(tree, leaves), x1 if x2 is None else x2
    longest = tile = max(x1.shape[0], columns.shape[0])
    while True:
        second = None if x2 is None and tile == longest else _first(tile, columns)
        program = tile_ntk.trace(network, method, output, params, _first(tile, x1), second).jaxpr
        needed = COMPILED * peak_bytes(program)
        if needed <= memory or tile == 1:
            break
        tile = -(-tile // 2)
    tiles = -(-x1.shape[0] // tile) * -(-columns.shape[0] // tile) / (1 if x2 is not None or second is None else 2)
    return NtkPlan(method, tile, needed, SLOWNESS[method] * tiles * product_flops(program))


def _first(number: int, samples: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((min(number, samples.shape[0]), *samples.shape[1:]), samples.dtype)
