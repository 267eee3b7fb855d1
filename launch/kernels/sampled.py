"""Kernels of many initialisations at several widths, in one directory: computed, gone on with, or found finished."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key
from rich.console import Console

from widesym.analysis.empirical import check_linear_head, kernels_of_members
from widesym.analysis.estimators.convergence import Moments, add_member, bootstrap_weights, no_moments
from widesym.analysis.gram.spec import described_inputs
from widesym.analysis.kernels import Kernel, analytic_kernel
from widesym.analysis.programs.devices import on_devices
from widesym.ensembles.data.archives import read_array
from widesym.ensembles.files import open_regular, write_whole
from widesym.ensembles.randomness import Randomness, check_randomness, own_key
from widesym.launch.console import print_plain
from widesym.launch.errors import SampleError
from widesym.launch.runs.begun import as_earlier
from widesym.launch.runs.directory import Contents, claim
from widesym.launch.runs.files import damage_named
from widesym.launch.runs.interrupts import raise_if_requested, stops_noted
from widesym.launch.runs.progress import member_progress
from widesym.models.architecture import Architecture
from widesym.models.checks import check_positive, check_seed
from widesym.models.description import describe, without_modules
from widesym.models.numerics import fixed_numerics, key_of_seed

WIDE = 640  # members of width w are computed 640/w a call, so that calls of wide networks are not too long
A_CALL = 10  # members, at most
AHEAD = 16  # calls a device, after which all wait for the slowest one

Kernels = Float[np.ndarray, "member kernel n n"]


@dataclass(frozen=True, eq=False)
class KernelSample:
    """Empirical kernels at initialisation between all of `x`, of `members` networks of each architecture, by width.

    The architectures differ in their width alone, so that they have one analytic kernel. With `randomness` "own" the
    networks are independent of those of other samples; with "shared" they follow from seed, width and member alone,
    as in earlier versions. Raises ValueError for networks without a linear head (`widesym.analysis.empirical`), without
    a closed form, or that `x` does not fit.
    """

    architectures: Mapping[int, Architecture]
    x: Float[np.ndarray, "n *point channel"]
    members: int = 100
    seed: int = 0
    draws: int = 400
    randomness: Randomness = "own"

    def __post_init__(self):
        check_randomness(self.randomness)
        for name in ("members", "draws"):
            check_positive("KernelSample", name, getattr(self, name))
        check_seed(self.seed, "KernelSample: seed")
        if not self.architectures:
            raise ValueError("KernelSample: there are no architectures; give one or more, by width")
        for architecture in self.architectures.values():
            check_linear_head(architecture)
            _ = architecture.signals(self.x.shape[1:])

    @property
    def config(self) -> dict[str, Any]:
        """All of it as JSON values; inputs by shape and fingerprint."""
        rest = {name: getattr(self, name) for name in ("members", "seed", "draws", "randomness")}
        return as_earlier({"architectures": describe(dict(self.architectures)), "x": described_inputs(self.x), **rest})

    def key(self, width: int) -> Key[Array, ""]:
        """What networks of this width draw from, each from its fold with the member's number."""
        if self.randomness == "shared":
            return jax.random.fold_in(key_of_seed(self.seed), width)
        architecture = without_modules(describe(self.architectures[width]))
        return own_key(self.seed, {"architecture": architecture, "x": described_inputs(self.x)})

    def a_call(self, width: int) -> int:
        """How many members are computed at once; no more than there are."""
        return max(1, min(A_CALL, WIDE // width, self.members))


def sample_kernels(sample: KernelSample, directory: Path, console: Console) -> tuple[Kernel, dict[int, Moments]]:
    """The analytic kernel in float64, and moments of the sampled ones by width, entries [kernel, n, n] as in `Kernel`.

    In `directory`, from where a killed or interrupted computation of them stopped, with the same numbers. All devices
    of this process compute; SIGINT and SIGTERM are heeded whenever one is done with some members. Raises SampleError
    where a network's kernels are not finite, or entries of the analytic one zero, to which nothing is relative; and
    RunDirectoryError where the directory holds another sample (naming the keys that differ), is in use, or has files
    that are damaged.
    """

    def say(message: str) -> None:
        print_plain(console, f"{directory.name}: {message}")

    with claim(directory, sample.config, Contents("kernels of another sample")):
        exact = _analytic(sample, directory)
        _check_entries(exact)
        found = {width: _sampled(sample, width, directory, console, say) for width in sorted(sample.architectures)}
    return exact, found


def _analytic(sample: KernelSample, directory: Path) -> Kernel:
    path = directory / "analytic.npz"
    if not path.exists():
        with fixed_numerics(x64=True):
            narrowest = sample.architectures[min(sample.architectures)]
            kernel = analytic_kernel(narrowest)(np.asarray(sample.x, np.float64))
            _write(path, {name: np.asarray(values) for name, values in kernel._asdict().items()})
    return Kernel(**_read(path, Kernel._fields))


def _check_entries(exact: Kernel) -> None:
    """Before hours of sampling, which they would leave without a result."""
    for name, values in exact._asdict().items():
        zeros = np.argwhere(np.asarray(values) == 0).tolist()
        if zeros:
            pairs = ", ".join(f"{a} and {b}" for a, b in zeros[:3]) + (", …" if len(zeros) > 3 else "")
            raise SampleError(
                f"{len(zeros)} entries of the analytic {name.upper()} are zero, of inputs {pairs}; nothing is relative "
                "to them: take other inputs"
            )


def _sampled(
    sample: KernelSample, width: int, directory: Path, console: Console, say: Callable[[str], None]
) -> Moments:
    path = directory / f"width-{width}.npz"
    moments = no_moments((2, len(sample.x), len(sample.x)), sample.draws)
    if path.exists():
        moments = Moments(**_read(path, Moments._fields))
        say(f"width {width}: {moments.members} of {sample.members} members found")
    if moments.members == sample.members:
        return moments
    with stops_noted(say) as request:
        start = moments.members
        with member_progress(console, f"{directory.name}, width {width}", sample.members, start) as report:
            report(start)
            for kernels in computed_kernels(sample, width, start):
                for kernel in kernels:
                    moments = _added(moments, kernel, sample, width)
                _write(path, moments._asdict())
                report(moments.members)
                if request.made:
                    break
        raise_if_requested(request.number)
    return moments


def computed_kernels(sample: KernelSample, width: int, start: int) -> Iterator[Kernels]:
    """Kernels of the members from `start` on, some at a time, in their order whichever device is the first."""
    size = sample.a_call(width)
    architecture = sample.architectures[width]

    def compute(first: int, device: Any) -> tuple[int, Kernels]:
        # Members beyond the last one fill the last call up, so that all compile once and round alike.
        members = np.arange(first, first + size)
        with jax.default_device(device), fixed_numerics():  # threads have JAX as the process has set it
            kernels = np.stack(kernels_of_members(architecture, sample.key(width), members, sample.x), axis=1)
        return first, kernels[: sample.members - first]

    devices, early = jax.local_devices(), dict[int, Kernels]()
    together = AHEAD * len(devices)  # so that no more results wait for those of a device that lags
    calls = range(start, sample.members, size)
    for begin in range(0, len(calls), together):
        for first, kernels in on_devices(compute, calls[begin : begin + together], devices):
            early[first] = kernels
            while start in early:
                yield early.pop(start)
                start += size


def _added(moments: Moments, kernel: Float[np.ndarray, "kernel n n"], sample: KernelSample, width: int) -> Moments:
    member = moments.members
    if not np.isfinite(kernel).all():
        raise SampleError(
            f"width {width}, member {member}: kernels are not finite; in {kernel.dtype} they may overflow: "
            "scale the inputs or weights down"
        )
    return add_member(moments, kernel, bootstrap_weights(sample.seed, width, member, sample.draws))


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    write_whole(path, lambda file: np.savez(file, **arrays))  # pyright: ignore[reportArgumentType]


def _read(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    with damage_named(path), open_regular(path) as stream, np.load(stream) as file:
        return {name: read_array(path, file, name) for name in names}
