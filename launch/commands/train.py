"""`widesym train`: the ensemble that a file describes, or that of a run directory once more."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import tyro
from rich.console import Console

from widesym.ensembles.strategy import Strategy
from widesym.launch.config.checks import check_output
from widesym.launch.config.options import FileOptions, option
from widesym.launch.config.own import Imports, Modules, modules_named
from widesym.launch.config.snapshots import Snapshots
from widesym.launch.config.specs import made
from widesym.launch.config.yaml import dumped
from widesym.launch.console import print_plain
from widesym.launch.errors import ConfigError, RunDirectoryError
from widesym.launch.runs.begun import TOLD, is_of_earlier, unstated
from widesym.launch.runs.data import stored_sets
from widesym.launch.runs.directory import check_config
from widesym.launch.runs.interrupts import sigterm_raises
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.record import spec_of
from widesym.launch.runs.run import Run
from widesym.launch.runs.stored import StoredRun
from widesym.launch.training.based import read_based
from widesym.launch.training.config import TrainConfig, TrainOptions, described, with_changes
from widesym.launch.training.cost import TrainingCost, batch_shapes, training_cost
from widesym.launch.training.duration import predicted_time
from widesym.launch.training.execution import run_ensemble
from widesym.launch.training.options import ExecutionOptions
from widesym.launch.training.strategy import stored_strategy

OUTPUT = "(default: runs/ and the name of the file, or of the run directory that it is in)"
OF_A_RUN = "config.json"  # the name of files that describe run directories
CHANGED_AGAIN = ("members", "seed")  # what may be changed of these


class TrainingPlan(NamedTuple):
    """What is to be trained, what it was made of, and how it was carried out before."""

    run: Run
    resolved: dict[str, Any]
    strategy: Strategy | None = None


@dataclass(frozen=True)
class TrainCommand:
    """Train the ensemble that a file describes. What is finished is not trained again, and what was interrupted goes
    on from its last checkpoint.
    """

    config: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CONFIG")]
    """YAML file (docs/training.md), or config.json of a run directory, to train its ensemble once more on its data."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIRECTORY", help_behavior_hint=OUTPUT)] = None
    """The run directory."""
    overrides: Annotated[FileOptions, tyro.conf.arg(name="", constructor=TrainOptions)] = field(
        default_factory=TrainOptions
    )
    dry_run: bool = False
    """Only check, and say what would be trained and what it takes; nothing is written."""
    distributed: bool = False
    """This is one process of several, on this machine or others, that train the ensemble together: on TPU pods, and
    under SLURM and Open MPI, they find each other (docs/cluster.md)."""

    execution: tyro.conf.OmitArgPrefixes[ExecutionOptions] = field(default_factory=ExecutionOptions)
    imports: Imports = ()
    """A module with classes of your own that config.json names; those that a YAML file names need none of this
    (docs/training.md). It is run. May be given several times."""

    def __post_init__(self):
        if self.output is not None:
            check_output(self.output)

    def run(self, console: Console) -> None:
        """Train, or tell; raises ConfigError and RunDirectoryError for what cannot be trained."""
        if self.distributed:
            _join_processes()
        with sigterm_raises():  # again: where processes join, JAX takes the signal to itself
            self._run(console)

    def _run(self, console: Console) -> None:
        changes = self.overrides.changes()
        try:
            output = self.output or Path("runs") / name_of(self.config)
            plan = (
                plan_of_run(self.config, changes, self.imports)
                if self.config.name == OF_A_RUN
                else plan_of_file(self.config, changes, output)
            )
            plan.run.check()
            _ = batch_shapes(plan.run)
            check_output(output)
        except (RunDirectoryError, ConfigError):
            raise
        except ValueError as error:  # of specs and data that do not fit each other
            raise ConfigError(f"{self.config}: {error}") from error
        if plan.run.randomness == "shared" and is_of_earlier(output):
            print_plain(console, f"{'# ' * self.dry_run}{output.name}: {TOLD}")
        if self.dry_run:
            check_config(output, plan.run.config)
            print_plain(console, plan_as_yaml(plan, training_cost(plan.run, self.execution.checkpoints_kept), output))
            print_plain(console, f"# {time_text(plan.run)}")
        else:
            run_ensemble(plan.run, output, console, replace(self.execution.of_runs, strategy=plan.strategy))


def _join_processes() -> None:
    try:
        jax.distributed.initialize()
    except ValueError as error:
        raise ConfigError(
            f"--distributed finds no others ({error}); start one on each host of a TPU pod, by srun, or by mpirun"
        ) from None


def name_of(config: Path) -> str:
    """What a run is called by default."""
    return config.absolute().parent.name if config.name == OF_A_RUN else config.stem


def plan_of_file(path: Path, changes: Mapping[str, Any], output: Path) -> TrainingPlan:
    """What a file describes, with other values at these dotted paths (`with_changes`), to be trained in `output`."""
    content = read_based(path)
    try:
        content = with_changes(content, changes)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    config = made(TrainConfig, content, str(path), modules=modules_named(content))
    config = replace(config, randomness=config.randomness or unstated(output))
    try:
        sets = config.sets()
        config = config.fitted(sets[0])
        return TrainingPlan(config.run(sets), described(config))
    except ValueError as error:  # of data that are not there, or not enough
        raise ConfigError(f"{path}: {error}") from error


def plan_of_run(path: Path, changes: Mapping[str, Any], modules: Modules = ()) -> TrainingPlan:
    """What a run directory holds, `members` and `seed` changed if given; with the strategy that it was trained by, if
    that is for such a device, so that the numbers are the same bit for bit. Raises ConfigError for other changes, and
    for classes that are neither this package's nor of `modules`.
    """
    refused = [option(name) for name in changes if name not in CHANGED_AGAIN]
    if refused:
        raise ConfigError(
            f"{', '.join(refused)} cannot be given with {path}, whose run is trained once more as it was; only "
            f"{' and '.join(map(option, CHANGED_AGAIN))} can. Give a YAML file instead"
        )
    stored = StoredRun(path.parent, modules)
    record = stored.record
    if record.record_steps is None or record.snapshots is None:
        raise RunDirectoryError(f"{path} lacks record_steps or snapshots; take it from a copy of the run")
    train, *evaluation = stored_sets(stored).values()
    snapshots: tuple[Snapshots, ...] = spec_of(record, "snapshots", path.parent, modules)
    run = Run(
        architecture=stored.architecture,
        recipe=stored.recipe,
        members=changes.get("members", record.members),
        seed=changes.get("seed", record.seed),
        record_steps=record.record_steps,
        training_set=train,
        evaluation_sets=tuple(evaluation),
        orbit=stored.orbit,
        snapshots=snapshots,
        member_numbers=record.member_numbers,
        randomness=record.randomness,
    )
    strategy = None if "members" in changes else stored_strategy(RunPaths(path.parent).strategy)
    return TrainingPlan(run, run.config, strategy)


def plan_as_yaml(plan: TrainingPlan, cost: TrainingCost, output: Path) -> str:
    """The plan, as the YAML of a configuration file, and its cost, as comments."""
    run, steps = plan.run, plan.run.record_steps[-1]
    resolved = dumped(plan.resolved)
    lines = (
        f"trains in {output}: {run.members:,} members of {cost.parameters:,} parameters",
        f"{steps:,} steps on {cost.samples:,} samples each, augmentation included; {len(run.record_steps)} records",
        f"{cost.flops:.3g} floating-point operations in products of matrices, {cost.flops_a_step:.3g} a member and "
        "step (forward and backward; records left out)",
        f"about {cost.space}",
        f"{run.members * steps:,} member-steps",
    )
    return resolved + "\n".join(f"# {line}" for line in lines)


def time_text(run: Run) -> str:
    """How long it will take, or why that cannot be said."""
    try:
        return str(predicted_time(run))
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        return f"how long it takes was not found out: {next(iter(str(error).splitlines()), type(error).__name__)}"
