"""How much work a traced program is, before it is compiled."""

import math
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr

from widesym.analysis.programs.memory import inner_programs


def product_flops(program: ClosedJaxpr) -> float:
    """Floating-point operations of all products of matrices and convolutions, loops counted as often as they run.

    Where that is not known (`while`), they are counted once. All else is left out: it is cheap beside, or slow for
    other reasons than arithmetic.
    """
    return _flops(program.jaxpr)


def _flops(jaxpr: Jaxpr) -> float:
    return sum(_of_equation(eqn) for eqn in jaxpr.eqns)


def _of_equation(eqn: Any) -> float:
    match eqn.primitive.name:
        case "dot_general":
            (contracted, _), _ = eqn.params["dimension_numbers"]
            first = eqn.invars[0].aval.shape
            return 2.0 * math.prod(eqn.outvars[0].aval.shape) * math.prod(first[axis] for axis in contracted)
        case "conv_general_dilated":
            kernel, numbers = eqn.invars[1].aval.shape, eqn.params["dimension_numbers"]
            return 2.0 * math.prod(eqn.outvars[0].aval.shape) * math.prod(kernel) / kernel[numbers.rhs_spec[0]]
        case "cond":
            return max(map(_flops, inner_programs(eqn)))
        case name:
            return (eqn.params["length"] if name == "scan" else 1) * sum(map(_flops, inner_programs(eqn)))
