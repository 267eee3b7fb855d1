"""Jobs carried out by a pool of worker processes on this machine, one a device."""

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

from widesym.ensembles.files import open_without_link, read_whole
from widesym.launch.errors import ConfigError
from widesym.launch.sweep.executors.base import Assignment, End, Ended, Executor
from widesym.launch.sweep.launcher import carry_out

LOG = "log.txt"

IN_USE = 3  # exit code of a worker whose job another process is at


@dataclass(frozen=True)
class WorkerPool(Executor):
    """Worker processes on this machine, each on a device of its own, which write into logs."""

    workers: int | None = None
    """Worker processes of the pool; by default one for each GPU, or for each core."""

    what: ClassVar = "worker processes on this machine, one a device"

    def check_machine(self) -> None:
        """Raise ConfigError for more workers than devices."""
        try:
            _ = local_devices(self.workers)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def carry_out(self, assignment: Assignment) -> int:
        """All jobs, each by a process of its own."""
        path, arguments = assignment.directory.path, assignment.arguments
        pool = Pool(
            local_devices(self.workers),
            lambda job: work_command(path, job, arguments),
            lambda job: path / "logs" / job / LOG,
        )
        return carry_out(assignment, pool.carry_out, assignment.console)


class Device(NamedTuple):
    """What one worker computes on: processor cores, and variables of its environment."""

    cores: frozenset[int]
    environment: Mapping[str, str]


@dataclass
class Pool:
    """Worker processes, each on a device of its own, one job each; `command` starts one for a job."""

    devices: Sequence[Device]
    command: Callable[[str], Sequence[str]]
    logs: Callable[[str], Path]
    working: set[subprocess.Popen] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)

    def carry_out(self, jobs: Sequence[str], ended: Ended) -> None:
        """All jobs, as many at once as there are devices. Interrupted, workers are told to stop, and save what they
        have.
        """
        free: queue.SimpleQueue[Device] = queue.SimpleQueue()
        for device in self.devices:
            free.put(device)
        with ThreadPoolExecutor(len(self.devices)) as threads, self._stopped():
            futures = {threads.submit(self._one, name, free): name for name in jobs}
            for future in as_completed(futures):
                if (end := future.result()) is not None:
                    ended(futures[future], end)

    def _one(self, name: str, free: queue.SimpleQueue[Device]) -> End | None:
        """Carry out a job on a device that is free; how it ended, or None if it was not begun."""
        if self.stopping.is_set():
            return None
        device, log = free.get(), self.logs(name)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, device.cores)  # of this thread, from which the process has it
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open_without_link(log, "ab") as file:
                process = subprocess.Popen(
                    self.command(name),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **device.environment},
                    start_new_session=True,  # Ctrl-C is for the pool, which tells its workers
                )
                self.working.add(process)
                if self.stopping.is_set():  # between the question above and now
                    process.terminate()
                code = process.wait()
        finally:
            free.put(device)
        self.working.discard(process)
        return End() if code == 0 else End(of_code(code, log), code == IN_USE)

    @contextlib.contextmanager
    def _stopped(self) -> Iterator[None]:
        """Whatever ends the pool early, its workers stop, and it waits for them."""
        try:
            yield
        except BaseException:
            self.stopping.set()
            for process in list(self.working):
                process.terminate()
            raise


def of_code(code: int, log: Path) -> str:
    """How a process ended, and where it says why."""
    if code < 0:
        return f"killed by signal {-code}; its log is {log}"
    return f"{last_line(log)} (exit code {code}); its log is {log}"


def last_line(log: Path) -> str:
    """What a process said last."""
    with contextlib.suppress(OSError):
        lines = read_whole(log).decode(errors="replace").strip().splitlines()
        if lines:
            return lines[-1].strip()
    return "nothing was said"


def local_devices(workers: int | None) -> list[Device]:
    """A device for each worker: GPUs one each, or else the processor's cores in equal shares.

    Without a number there are as many workers as GPUs, or as cores. Raises ValueError for more workers than devices.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    gpus = visible_gpus()
    most = len(gpus) or len(cores)
    workers = most if workers is None else workers
    if not 1 <= workers <= most:
        raise ValueError(
            f"--workers is {workers}; there are {len(gpus)} GPUs and {len(cores)} cores: 1 to {most}, please"
        )
    shares = [frozenset(cores[worker::workers]) or frozenset(cores) for worker in range(workers)]
    return [
        Device(share, {"CUDA_VISIBLE_DEVICES": gpus[worker]} if gpus else {}) for worker, share in enumerate(shares)
    ]


def visible_gpus() -> list[str]:
    """The GPUs that processes started here would see, as CUDA_VISIBLE_DEVICES names them."""
    if os.environ.get("JAX_PLATFORMS", "") == "cpu":
        return []
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        return [name for name in os.environ["CUDA_VISIBLE_DEVICES"].split(",") if name.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]  # and their MIG devices below
    return [str(number) for number, _ in enumerate(lines)] if listed.returncode == 0 else []


def work_command(directory: Path, job: str, options: Sequence[str]) -> list[str]:
    """The command line of a process that trains one job of the sweep, with these options."""
    return [sys.executable, "-m", "widesym.launch", "work", str(directory), job, *options]
