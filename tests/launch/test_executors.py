"""An executor of one's own: its options, what it is handed, and the jobs that it has taken."""

import io
from dataclasses import dataclass
from typing import ClassVar

import pytest
import tyro
from rich.console import Console

from tests.support.sweeps import plan_of, sweep_file
from widesym.launch.commands.status import StatusCommand
from widesym.launch.commands.sweep import SweepCommand
from widesym.launch.lazily import Lazily
from widesym.launch.sweep.executors import QUEUES
from widesym.launch.sweep.executors.base import Assignment, Executor
from widesym.launch.sweep.executors.options import KINDS, described, executor_options


@dataclass(frozen=True)
class Elsewhere(Executor):
    """Hands jobs to whoever, who does nothing."""

    queue: str = "long"
    """Where they wait."""

    what: ClassVar = "by somebody else"
    prefix: ClassVar = "elsewhere"
    handed: ClassVar[list] = []

    def carry_out(self, assignment: Assignment) -> int:
        self.handed.append((self.queue, assignment.states, list(assignment.plan.jobs)))
        return 7


def handed_on(directory):
    """The jobs that it has taken."""
    return {job for _, _, jobs in Elsewhere.handed for job in jobs}


WITH_ELSEWHERE = {**KINDS, "elsewhere": Elsewhere}
AllExecutors = executor_options(WITH_ELSEWHERE)


def test_its_options_are_those_of_the_command():
    options = tyro.cli(AllExecutors, args=["--elsewhere.queue", "short", "--workers", "2", "--slurm.nodes", "3"])
    assert options.of("elsewhere") == Elsewhere("short")
    assert (options.of("pool").workers, options.of("slurm").options.nodes) == (2, 3)
    assert options.of("in-process").takes_devices
    assert described(WITH_ELSEWHERE).startswith("One job after the other in this process; worker processes on this")
    assert described(WITH_ELSEWHERE).endswith("goes on by itself (docs/cluster.md); or by somebody else.")


def test_it_is_handed_the_plan_and_says_what_it_has_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(Elsewhere, "handed", [])
    monkeypatch.setattr("widesym.launch.commands.sweep.keep_off_devices", lambda: None)  # JAX runs here already
    monkeypatch.setitem(QUEUES, "elsewhere", Lazily(__name__, "handed_on"))
    file, output = sweep_file(tmp_path, product={"seed": [0, 1]}), tmp_path / "out"
    executors, console = AllExecutors(elsewhere=Elsewhere("short")), Console(file=io.StringIO(), width=160)
    with pytest.raises(SystemExit) as ended:
        SweepCommand(file, output, executor="elsewhere", executors=executors).run(console)
    assert ended.value.code == 7
    assert Elsewhere.handed == [("short", ("waiting", "stale"), list(plan_of(output)["jobs"]))]
    StatusCommand(output).run(console)
    assert "2 runs: 2 queued" in console.file.getvalue()
