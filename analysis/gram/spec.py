"""What a Gram matrix is of: everything that its numbers depend on."""

import contextlib
import hashlib
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float

from widesym.analysis.kernels import AnalyticKernel, Kernel
from widesym.analysis.kernels.analytic import check_inputs
from widesym.models.architecture import Architecture
from widesym.models.description import describe
from widesym.models.numerics import fixed_numerics

Precision = Literal["float32", "float64"]
Inputs = Float[np.ndarray, "n *point channel"]


@dataclass(frozen=True, eq=False)
class Gram:
    """K and Θ of an architecture between x1 and x2, [n1, n2]; of x1 with itself, exactly symmetric, without x2.

    Raises NoClosedFormError where the architecture has no analytic kernel, and ValueError for inputs that do not fit
    it or each other, are empty or not finite, and for a precision that there is not.
    """

    architecture: Architecture
    x1: Inputs
    x2: Inputs | None = None
    precision: Precision = "float32"

    def __post_init__(self):
        if self.precision not in typing.get_args(Precision):
            allowed = ", ".join(typing.get_args(Precision))
            raise ValueError(f"precision is {self.precision!r}; it must be one of {allowed}")
        for name in ("x1", "x2"):
            given = getattr(self, name)
            if given is not None:
                with self.precise():
                    x = np.asarray(check_inputs(name, given)).astype(self.precision)
                x.flags.writeable = False
                object.__setattr__(self, name, x)
        with self.precise():  # the kernel's own checks, on shapes alone
            jax.eval_shape(self.kernel, *(jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype) for x in self.sides))

    @property
    def is_symmetric(self) -> bool:
        """Whether it is of one set of inputs with itself."""
        return self.x2 is None

    @property
    def sides(self) -> tuple[Inputs, Inputs]:
        """The inputs that rows and columns are of."""
        return self.x1, self.x1 if self.x2 is None else self.x2

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns, n1 and n2."""
        rows, columns = self.sides
        return len(rows), len(columns)

    @property
    def kernel(self) -> Callable[..., Kernel]:
        """The kernel whose values it holds, of any rows and columns."""
        return AnalyticKernel(self.architecture).unchecked

    @property
    def bytes(self) -> int:
        """Size of both kernels, all rows and columns."""
        return 2 * self.shape[0] * self.shape[1] * np.dtype(self.precision).itemsize

    @property
    def config(self) -> dict[str, Any]:
        """All of it as JSON values; inputs by shape and fingerprint."""
        return {
            "architecture": describe(self.architecture),
            "x1": described_inputs(self.x1),
            "x2": None if self.x2 is None else described_inputs(self.x2),
            "precision": self.precision,
        }

    @contextlib.contextmanager
    def precise(self) -> Iterator[None]:
        """Within, in this thread, JAX computes in this precision."""
        with fixed_numerics(self.precision == "float64"):
            yield


def described_inputs(x: Inputs) -> dict[str, Any]:
    """Shape and digest: two arrays with the same ones hold the same numbers."""
    return {
        "shape": list(x.shape),
        "fingerprint": hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest()[:16],
    }
