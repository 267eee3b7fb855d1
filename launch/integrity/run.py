"""A run directory as a whole: what is damaged, what to do about it, and from which step the run goes on."""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Shaped

from widesym.ensembles import Strategy, Trainer
from widesym.ensembles.checkpoints import Checkpoints, MisfitError, saved_steps
from widesym.ensembles.checks import listed
from widesym.ensembles.files import first_line
from widesym.launch.config.own import Modules
from widesym.launch.errors import ConfigError, RunDirectoryError
from widesym.launch.integrity.files import COPY, Check, check_data_digests, check_finished, check_left, check_metrics
from widesym.launch.integrity.old_gradients import wrong_gradient
from widesym.launch.integrity.store import Contents, examine_store
from widesym.launch.runs.directory import Holder, holder, read_description
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.record import RunRecord, read_record, spec_of


class Examination(NamedTuple):
    """A run directory, how far the run has come and what comes next, and what was found."""

    path: Path
    state: str
    checks: list[Check]

    @property
    def damaged(self) -> bool:
        """Whether something is wrong that the run does not put right by itself."""
        return any(check.status == "problem" for check in self.checks)


class SoundSteps(NamedTuple):
    """Steps of sound checkpoints, and whether the run is finished."""

    steps: Sequence[int]
    finished: bool

    @property
    def reached(self) -> float:
        """The step after which the run, started again, writes everything anew; -1 if it begins at the beginning."""
        return math.inf if self.finished else max(self.steps, default=-1)


def examine(path: Path, modules: Modules = ()) -> Examination:
    """Look at everything in a run directory, with classes of these modules; reads only, and holds no lock that would
    keep the run from starting.

    While a process writes it, no more is looked at than its configuration. Memory: one checkpoint, one chunk.
    """
    before = holder(path)
    if not RunPaths(path).config.exists():
        check = Check("config.json", "problem", "is missing: nothing else says what was trained here", COPY)
        return Examination(path, "not known", [check])
    try:
        record, description = read_record(path), read_description(path)
    except RunDirectoryError as error:
        return Examination(path, "not known", [Check("config.json", "problem", str(error), COPY)])
    if before:
        return _held(path, before)
    found = _examined(path, record, description, modules)
    return _held(path, after) if (after := holder(path)) else found


def _held(path: Path, by: Holder) -> Examination:
    """What there is to say of a run that is under way."""
    state = f"being written by {by}"
    return Examination(path, state, [Check(".lock", "ok", "its files change; look again when it has ended")])


def _examined(path: Path, record: RunRecord, description: Mapping[str, Any], modules: Modules) -> Examination:
    trainer, expected, of_config = _ensemble(path, record, modules)
    shape, of_data = check_data_digests(path, record)
    there = RunPaths(path).store.exists()
    steps, of_checkpoints = _checkpoints(path, trainer, shape)
    progress = SoundSteps(steps if there else [], RunPaths(path).finished.exists())
    contents = examine_store(RunPaths(path).store, record.members, expected) if there else Contents([], [], [])
    of_store = list(_of_store(path, contents, progress, record) if there else _without_store(path, progress))
    if contents.steps:
        of_store.append(check_metrics(path, contents.steps, progress.reached))
    known = {check.file for check in (*of_data, *of_store) if check.status == "problem"}
    checks = [Check(".lock", "ok", "nobody writes here"), of_config, *of_data, *of_store]
    checks += [*of_checkpoints, *check_finished(path, known), *check_left(path)]
    if trainer and (wrong := wrong_gradient(description, trainer.architecture, shape)):
        again = f"train it again: widesym train {path / 'config.json'} --output ANOTHER"
        checks.append(Check("logits.zarr", "warning", wrong, again))
    return Examination(path, _state(record, contents, progress, of_store, description.get("command")), checks)


def _state(record: RunRecord, contents: Contents, progress: SoundSteps, of_store: Sequence[Check], command: Any) -> str:
    size = f"{record.members} members, {len(contents.steps)} times recorded"
    if progress.finished:
        return f"finished: {size}"
    if any(check.status == "problem" for check in of_store):
        return f"not finished: {size}; it cannot go on before its records are put right"
    last = (record.record_steps or contents.steps or (0,))[-1]
    by = f" ({shlex.join(map(str, command))})" if isinstance(command, list) else ""
    how = f"goes on at step {progress.reached}" if progress.steps else "begins at step 0"
    return f"not finished: {size}; started again{by} it {how} of {last}"


def _ensemble(
    path: Path, record: RunRecord, modules: Modules
) -> tuple[Trainer | None, dict[str, Shaped[np.ndarray, "..."]], Check]:
    """The ensemble and the coordinates that its store should have, where these can be built, and how config.json is."""
    try:
        architecture, recipe = (spec_of(record, name, path, modules) for name in ("architecture", "recipe"))
        trainer = record.trainer(architecture, recipe, Strategy(1))
        expected = record.coordinates(recipe, spec_of(record, "orbit", path, modules))
    except (ConfigError, ValueError, TypeError, AttributeError, KeyError) as error:
        remedy = f"all is well if it names classes of your own, whose checkpoints are not checked; else {COPY}"
        return None, {}, Check("config.json", "warning", f"what was trained cannot be built again: {error}", remedy)
    return trainer, expected, Check("config.json", "ok", "can be read, and architecture and recipe can be built")


def _of_store(path: Path, contents: Contents, progress: SoundSteps, record: RunRecord) -> Iterator[Check]:
    """What is damaged in the store, and whether the run, going on, would write it anew."""
    where = f"goes on from step {progress.reached}" if progress.steps else "begins at step 0"
    anew = f"start the run again: it {where} and writes this anew"
    for damage in contents.damages:
        file = f"logits.zarr/{damage.file}"
        if damage.step is not None and damage.step > progress.reached:
            yield Check(file, "warning", damage.detail, anew)
        else:
            yield Check(file, "problem", damage.detail, _remedy(path, damage.step, progress))
    if any(damage.step is None for damage in contents.damages):
        return  # what is recorded is not known
    absent = [step for step in record.record_steps or () if step <= progress.reached]
    if absent := [step for step in absent if step not in contents.steps]:
        detail = f"says that nothing is recorded at {_steps(absent)}, though the run has gone beyond"
        yield Check("logits.zarr/recorded", "problem", detail, _remedy(path, absent[0], progress))
    if contents.sick:
        detail = f"{listed(contents.sick)} were not healthy at some time"
        yield Check("logits.zarr", "warning", detail, "read it with sick='exclude' or 'include'")
    if not contents.damages and not absent:
        yield Check("logits.zarr", "ok", f"every chunk of {_steps(contents.steps)} can be read")


def _without_store(path: Path, progress: SoundSteps) -> Iterator[Check]:
    if progress.finished:
        yield Check("logits.zarr", "problem", "is missing", _remedy(path, None, progress))
    else:
        yield Check("logits.zarr", "warning", "is not there (yet)", "start the run again: it begins at step 0")


def _remedy(path: Path, step: int | None, progress: SoundSteps) -> str:
    """How to get back what is damaged at a step, or throughout: from the checkpoint before, if there is one."""
    before = max((saved for saved in progress.steps if step is not None and saved < step), default=None)
    removed = [RunPaths(path).finished] if progress.finished else []
    if before is None:
        removed.append(RunPaths(path).store)
    else:
        removed += [RunPaths(path).checkpoints / str(saved) for saved in progress.steps if saved > before]
    after = "begins at step 0" if before is None else f"goes on from step {before} and writes this anew"
    return f"{COPY}; or remove {', '.join(map(str, removed))} and start the run again: it {after}"


def _steps(steps: Sequence[int]) -> str:
    return f"step{'s' if len(steps) > 1 else ''} {', '.join(map(str, steps))}"


def _checkpoints(path: Path, trainer: Trainer | None, shape: tuple[int, ...] | None) -> tuple[list[int], list[Check]]:
    """Steps of checkpoints that can be gone on from, as far as is known, and how each is."""
    directory, checks, sound = RunPaths(path).checkpoints, [], []
    for step in saved_steps(directory):
        label = f"checkpoints/{step}"
        if trainer is None or shape is None:
            sound.append(step)
            detail = "not checked, which takes the ensemble and its data"
            checks.append(Check(label, "warning", detail, "see to config.json and data first"))
        elif error := _error(Checkpoints(directory, trainer), step, shape):
            checks.append(_of_checkpoint(directory / str(step), label, error))
        else:
            sound.append(step)
            checks.append(Check(label, "ok", "can be read, and its sums are right"))
    return sound, checks


def _of_checkpoint(path: Path, label: str, error: Exception) -> Check:
    """Of one that cannot be restored: it is damaged, or whole and of no use here."""
    if isinstance(error, MisfitError):
        return Check(
            label, "problem", str(error), "keep it for those whom it is of use to; the message says what to do"
        )
    return Check(
        label, "problem", f"cannot be read ({first_line(error)})", f"remove {path}; the run goes on from the one before"
    )


def _error(checkpoints: Checkpoints, step: int, shape: tuple[int, ...]) -> Exception | None:
    """Why a checkpoint cannot be restored; None if it can."""
    try:
        checkpoints.restore(step, shape)
    except Exception as error:
        return error
    return None
