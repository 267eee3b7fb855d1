"""Pickles of plain values and NumPy arrays, read without running anything that they name.

A pickle is a program, whose calls may be of any function. Here it is first read through, and refused if it has other
instructions than those that make containers, numbers, text and calls of what NumPy's arrays are made with. Then these
calls are noted down rather than made, and arrays are put together from their parts by `array_of`.
"""

import io
import math
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from widesym.ensembles.data.dataset import DataError
from widesym.ensembles.data.readers.files import explaining_read_errors, read_bytes

RECONSTRUCT, DTYPE, ARRAY = "_reconstruct", "dtype", "ndarray"
NAMES = {  # that a pickle may call or refer to: as NumPy 1 and 2 write them
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy", "dtype"): DTYPE,
    ("numpy", "ndarray"): ARRAY,
}
INSTRUCTIONS = frozenset(
    (
        *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
        *("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE"),
        *("SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES"),
        *("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GET", "BINGET", "LONG_BINGET"),
        *("GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD"),
    )
)
MOST_BYTES = 2**29  # CIFAR-100's training images take 155 MB
MOST_TUPLES = 1000  # arrays take a few each; deeply nested ones overflow the stack where Python hashes them
NUMBERS = re.compile(r"[uif][1248]")  # types of arrays
TO_CONVERT = (
    "if you trust it, convert it in Python: numpy.savez('FILE.npz', images=…, labels=…) with what pickle.load gives"
)


class Call:
    """A call that a pickle asks for, which is not made: of what, with what arguments, and the state to be set then."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] | None = None):
        self.name, self.arguments, self.state = name, arguments, None

    def __call__(self, *arguments: Any) -> "Call":
        if self.arguments is not None:
            raise pickle.UnpicklingError("it calls what is no function")
        return Call(self.name, arguments)

    def __setstate__(self, state: Any) -> None:
        if self.arguments is None:
            raise pickle.UnpicklingError("it changes a function")
        self.state = state


class Unpickler(pickle.Unpickler):
    """Notes calls down; refuses names other than `NAMES`."""

    def find_class(self, module: str, name: str) -> Call:
        """What stands for a function or a class, which is not even looked for."""
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return Call(NAMES[module, name])

    def persistent_load(self, pid: Any) -> Any:
        """Nothing is kept beside a pickle."""
        raise pickle.UnpicklingError("it refers to what is kept elsewhere")


def read_pickle(path: Path) -> Any:
    """The dictionaries, lists, numbers and text (Python 2's as bytes) in a pickle, with a `Call` for each array.

    Raises DataError for what is no pickle, is cut short, would call anything else than what makes arrays, or is larger
    than 512 MiB.
    """
    content = read_bytes(path, MOST_BYTES)
    purpose = "read as a pickle of arrays and plain values"
    with explaining_read_errors(path, purpose):
        try:
            check_instructions(content)
            return Unpickler(io.BytesIO(content), encoding="bytes").load()
        except pickle.UnpicklingError as error:
            raise DataError(f"{path} cannot be {purpose}: {error}, and is not run; {TO_CONVERT}") from None


def check_instructions(content: bytes) -> None:
    """Raise UnpicklingError for instructions other than `INSTRUCTIONS`, and such as would take more memory than the
    pickle's own size accounts for; ValueError for what is none.
    """
    tuples = 0
    for number, (instruction, argument, _) in enumerate(pickletools.genops(content)):
        if instruction.name not in INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it has the instruction {instruction.name}")
        if instruction.name.endswith("PUT") and not 0 <= int(str(argument)) <= number + 1:  # a place in a table
            raise pickle.UnpicklingError(f"it numbers its instruction {number} {argument}")
        tuples += instruction.name.startswith("TUPLE")
        if tuples > MOST_TUPLES:
            raise pickle.UnpicklingError(f"it has more than {MOST_TUPLES} tuples")


def array_of(where: str, value: Any) -> Shaped[np.ndarray, "..."]:
    """The array that a call would have made, or that of a list of numbers; raises DataError for anything else."""
    if isinstance(value, list) and all(type(each) is int for each in value):
        with explaining_read_errors(where, "read as numbers"):
            return np.array(value, np.int64)
    with explaining_read_errors(where, "read as an array"):
        if not isinstance(value, Call) or value.name != RECONSTRUCT or value.state is None:
            raise DataError(f"{where} is {type(value).__name__}; it must be an array of numbers")
        _version, shape, dtype, fortran, content = value.state
        numbers = dtype_of(where, dtype)
        sizes_fit = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
        if not sizes_fit or not isinstance(content, bytes) or len(content) != math.prod(shape) * numbers.itemsize:
            raise DataError(f"{where}: array of {numbers} and of shape {shape!r}, whose content is not of that size")
        return np.frombuffer(content, numbers).reshape(shape, order="F" if fortran else "C")


def dtype_of(where: str, value: Any) -> np.dtype:
    """The type of numbers that a call would have made; raises DataError for one that is not of numbers."""
    if isinstance(value, Call) and value.name == DTYPE and value.arguments and value.state:
        code, order = (
            each.decode() if isinstance(each, bytes) else each for each in (value.arguments[0], value.state[1])
        )
        if isinstance(code, str) and NUMBERS.fullmatch(code) and order in ("<", ">", "|"):
            return np.dtype(order + code)
    raise DataError(f"{where}: array of other things than numbers")
