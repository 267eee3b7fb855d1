"""Empirical kernels of finite networks, of one member or of all members of an ensemble, in tiles that fit in memory."""

import itertools
import typing
from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widesym.analysis.empirical.checks import Given, Inputs, Network, Params, applied, check_choice, checked_arguments
from widesym.analysis.empirical.plan import Method, NtkPlan, make_plan, tile_ntk
from widesym.analysis.empirical.structured import Output
from widesym.analysis.gram import GramProgress
from widesym.analysis.programs.devices import on_devices
from widesym.models.numerics import fixed_numerics

DEFAULT_MEMORY = 4 * 2**30

Tile: TypeAlias = tuple[slice, slice | None]  # of x1 with itself where there is no second


def empirical_ntk(
    network: Network,
    params: Params,
    x1: Inputs,
    x2: Inputs | None = None,
    *,
    output: Output = "trace",
    method: Literal["auto", Method] = "auto",
    memory: float = DEFAULT_MEMORY,
    report: Callable[[GramProgress], None] = lambda _: None,
) -> Float[Array, "..."]:
    """Θ_kl(x, x') = Σ_θ ∂f_k(x) ∂f_l(x') between x1 and x2, or of x1 with itself (theory.md §2; arXiv:2206.08720).

    `network` is an architecture, or any function of parameters and inputs that makes logits [sample, logit]; `params`
    are one member's, or an ensemble's with a member axis in front of every array, which the result then has, too (a
    function that takes them as they are is understood to have one member's). The `output` is all of Θ_kl,
    [n1, n2, k, l] ("full"), its diagonal k = l, [n1, n2, k], or the *mean* of that over logits, [n1, n2] ("trace"),
    whose mean over initialisations has the analytic kernel as its limit.

    All methods give the same numbers: "structured" multiplies forward and backward signals layer by layer, and never
    holds a Jacobian (architectures alone); "jacobian" contracts gradients; "vector_products" pushes gradients forward.
    "auto" takes the one with the least work that fits in `memory` bytes, which devices that share it divide among
    themselves. `report` hears of every tile.

    Raises ValueError for parameters that do not fit the network, or are not finite (naming the members), for inputs
    that are not finite, and where memory does not allow a single pair.
    """
    check_choice("output", output, typing.get_args(Output))
    check_choice("method", method, ("auto", *typing.get_args(Method)))
    given = checked_arguments(network, params, x1, x2)
    plan = make_plan(given, output, method, memory)
    found = _computed(given, output, plan, report)
    _check_finite(found, "gradients")
    return jnp.asarray(found if given.members is not None else found[0])


def empirical_nngp(
    network: Network, params: Params, x1: Inputs, x2: Inputs | None = None, *, output: Output = "trace"
) -> Float[Array, "..."]:
    """f_k(x) f_l(x') of one member or of each, in the shapes of `empirical_ntk`: its mean over initialisations is K.

    Each is one draw and scatters as K itself at any width; `empirical_kernel` has the mean over the last layer's
    weights, which scatters less. Raises ValueError as `empirical_ntk`.
    """
    check_choice("output", output, typing.get_args(Output))
    _, params, members, x1, x2 = checked_arguments(network, params, x1, x2)
    function = applied(network)

    @jax.jit
    def logits(x: Inputs) -> Float[Array, "*member n k"]:
        with jax.default_matmul_precision("float32"):
            return function(params, x) if members is None else jax.lax.map(lambda params: function(params, x), params)

    products = {"trace": "...nk,...mk->...nm", "diagonal": "...nk,...mk->...nmk", "full": "...nk,...ml->...nmkl"}
    first = logits(x1)
    found = jnp.einsum(products[output], first, first if x2 is None else logits(x2), precision="highest")
    _check_finite(found, "logits")
    return found / first.shape[-1] if output == "trace" else found


def _check_finite(kernel: Float[Array, "..."] | Float[np.ndarray, "..."], what: str) -> None:
    """Raise ValueError where a number is not."""
    if not np.isfinite(kernel).all():
        raise ValueError(f"the kernel is not finite, as {what} overflow; take smaller inputs, or float64")


def _computed(
    given: Given, output: Output, plan: NtkPlan, report: Callable[[GramProgress], None]
) -> Float[np.ndarray, "member n1 n2 ..."]:
    """All members' tiles, one at a time on each device."""
    x1, x2 = given.x1, given.x1 if given.x2 is None else given.x2

    def compute(item: tuple[int, Tile], device: Any) -> tuple[int, Tile, np.ndarray]:
        member, (rows, columns) = item
        with (
            jax.default_device(device),
            fixed_numerics(x1.dtype == np.float64),
        ):  # threads have what the process has set
            second = None if columns is None else x2[columns]
            own = given.params_of(member)
            return *item, np.asarray(tile_ntk(given.network, plan.method, output, own, x1[rows], second))

    logits = [given.logits] * {"trace": 0, "diagonal": 1, "full": 2}[output]
    found = np.empty((given.members or 1, len(x1), len(x2), *logits), x1.dtype)
    items = list(itertools.product(range(given.members or 1), _tiles(given, plan.tile)))
    report(GramProgress(0, len(items), plan.tile**2))
    for done, (member, (rows, columns), values) in enumerate(on_devices(compute, items, jax.local_devices()), 1):
        found[member, rows, rows if columns is None else columns] = values
        if given.x2 is None and columns is not None:
            found[member, columns, rows] = np.einsum("nmkl->mnlk" if output == "full" else "nm...->mn...", values)
        report(GramProgress(done, len(items), plan.tile**2))
    return found


def _tiles(given: Given, size: int) -> Iterator[Tile]:
    """All, or of x1 with itself those on and above the diagonal."""
    rows = range(0, len(given.x1), size)
    columns = rows if given.x2 is None else range(0, len(given.x2), size)
    for row, column in itertools.product(rows, columns):
        if given.x2 is None and row >= column:
            if row == column:
                yield slice(row, row + size), None
            continue
        yield slice(row, row + size), slice(column, column + size)
