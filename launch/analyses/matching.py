"""Run directories that are to be compared: at the training times and on the evaluation sets that all of them have."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from widesym.analysis.comparison import Compared, Times
from widesym.analysis.comparison.ensembles import twice
from widesym.analysis.dynamics import Prediction
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.orbit_statistics import orbit_sets
from widesym.analysis.estimators.orbits import target_matrices
from widesym.ensembles.data import Dataset
from widesym.ensembles.recorder import Sick
from widesym.ensembles.stores import METRICS, OF_VALUES
from widesym.launch.analyses.common_times import common_records
from widesym.launch.errors import ConfigError, MismatchError
from widesym.launch.runs.data import sets_of_runs
from widesym.launch.runs.logits import stored_logits
from widesym.launch.runs.stored import StoredRun
from widesym.models.width import narrowest_described


@dataclass(frozen=True, eq=False)
class Matched:
    """Runs by name, the reference among them, and what they have in common.

    `trained_on` is the first run's training set, which says what logits are of. `steps` are each run's own at the
    common `times`, whose steps are the first run's; `kept` the numbers of the members that count, and `left_out` says
    what only some runs have.
    """

    runs: Mapping[str, StoredRun]
    data: Mapping[str, Dataset]
    trained_on: Dataset
    times: Times
    steps: Mapping[str, tuple[int, ...]]
    kept: Mapping[str, np.ndarray]
    left_out: tuple[str, ...]

    def named(self, reference: str | None) -> str:
        """The run of that name, the first by default; raises MismatchError where there is none."""
        if reference is None:
            return next(iter(self.runs))
        if reference not in self.runs:
            raise MismatchError(f"there is no run named {reference!r}; there are {', '.join(self.runs)}")
        return reference


def match(runs: Mapping[str, StoredRun], sick: Sick) -> Matched:
    """What the runs have in common.

    Raises MismatchError, with the reason, where sets of one name hold other data or other classes, where there is no
    common set or no common time after 0, where runs have other numbers of logits, and where one holds a member more
    than once; SickMembersError as `read_logits`; DataError where a run keeps no data.
    """
    data, trained_on, left_out = _common_sets(runs)
    times, steps, missing = _common_times(runs)
    kept = {name: np.flatnonzero(run.members(sick)) for name, run in runs.items()}
    for name, run in runs.items():
        _check_numbers(name, np.asarray(run.record.numbers)[kept[name]])
    return Matched(runs, data, trained_on, times, steps, kept, (*left_out, *missing))


def _check_numbers(name: str, numbers: np.ndarray) -> None:
    found, counts = np.unique(numbers, return_counts=True)
    if (counts > 1).any():
        raise MismatchError(twice(name, found[counts > 1][0]))


def _common_sets(runs: Mapping[str, StoredRun]) -> tuple[dict[str, Dataset], Dataset, list[str]]:
    """Sets that all have, the first run's training set, and which sets only some have."""
    sets = sets_of_runs(runs)
    first, reference = next(iter(sets.items()))
    for name, of_run in sets.items():
        _check_same_outputs((first, runs[first], reference), (name, runs[name], of_run))
    for name, of_run in sets.items():
        for of_set, data in of_run.items():
            if of_set in reference:
                _check_same(of_set, (first, reference[of_set]), (name, data))
    common = {of_set: data for of_set, data in reference.items() if all(of_set in each for each in sets.values())}
    if not common:
        listed = "; ".join(f"{name}: {', '.join(of_run)}" for name, of_run in sets.items())
        raise MismatchError(f"the runs have no evaluation set in common ({listed})")
    only = {of_set: [name for name in sets if of_set in sets[name]] for each in sets.values() for of_set in each}
    left_out = [f"set {of_set}: only of {', '.join(names)}" for of_set, names in only.items() if of_set not in common]
    return common, next(iter(reference.values())), left_out


def _check_same_outputs(
    one: tuple[str, StoredRun, Mapping[str, Dataset]], other: tuple[str, StoredRun, Mapping[str, Dataset]]
) -> None:
    """What networks are trained to say is the training set's, the first of each run."""
    (a, run_a, sets_a), (b, run_b, sets_b) = one, other
    logits = [stored_logits(run.path).shape[-1] for run in (run_a, run_b)]
    if logits[0] != logits[1]:
        raise MismatchError(f"{b} has {logits[1]} logits, but {a} has {logits[0]}; they are not of the same things")
    first, second = (next(iter(sets.values())) for sets in (sets_a, sets_b))
    if first.quantities != second.quantities:
        raise MismatchError(
            f"{b} was trained on {_measured(second)}, but {a} on {_measured(first)}: logits are not of the same things"
        )
    if first.classes != second.classes:
        raise MismatchError(
            f"{b} was trained on other classes ({', '.join(second.classes)}) than {a} ({', '.join(first.classes)}): "
            "logits are not of the same things"
        )


def _check_same(of_set: str, one: tuple[str, Dataset], other: tuple[str, Dataset]) -> None:
    (a, first), (b, second) = one, other
    if first.classes != second.classes:
        raise MismatchError(
            f"set {of_set!r} has other classes in {b} ({', '.join(second.classes)}) than in {a} "
            f"({', '.join(first.classes)}): logits are not of the same things"
        )
    if first.fingerprint != second.fingerprint:
        raise MismatchError(
            f"set {of_set!r} holds other data in {b} ({_described(second)}) than in {a} ({_described(first)}); train "
            "both on the same data, or compare others"
        )


def _measured(data: Dataset) -> str:
    return ", ".join(f"{each.name} [{each.unit or 1}]" for each in data.quantities) or "labels"


def _described(data: Dataset) -> str:
    return f"{len(data)} samples, {data.fingerprint}; {data.provenance}"


def _common_times(runs: Mapping[str, StoredRun]) -> tuple[Times, dict[str, tuple[int, ...]], list[str]]:
    """Training times that all runs have recorded, each run's steps there, and which times only some have."""
    recorded = {name: _recorded(name, run) for name, run in runs.items()}
    (_, reference), *others = recorded.values()
    common = common_records(reference, [times for _, times in others])
    if not any(reference[first] > 0 for first, *_ in common):
        listed = "; ".join(f"{name}: {', '.join(f'{t:.4g}' for t in times)}" for name, (_, times) in recorded.items())
        raise MismatchError(
            f"the runs have no training time after 0 in common (training time = Σ learning rates; {listed})"
        )
    own = {
        name: tuple(int(steps[record[index]]) for record in common)
        for index, (name, (steps, _)) in enumerate(recorded.items())
    }
    missing = [
        f"{len(times) - len(common)} of {len(times)} recorded times of {name}, which not all have"
        for name, (_, times) in recorded.items()
        if len(times) > len(common)
    ]
    return Times(tuple(float(reference[first]) for first, *_ in common), next(iter(own.values()))), own, missing


def _recorded(name: str, run: StoredRun) -> tuple[np.ndarray, np.ndarray]:
    steps = run.recorded_steps
    times = run.times(steps)
    if times.ndim == 2:
        raise MismatchError(f"the members of {name} have learning rates of their own, and no common training time")
    return np.array(steps), times


def compared(matched: Matched, predictions: Mapping[str, Mapping[str, Prediction]]) -> list[Compared]:
    """The runs as what is compared, logits still on disk; `predictions` by run and set, of those that there are."""
    return [_compared(matched, name, predictions.get(name)) for name in matched.runs]


def _compared(matched: Matched, name: str, prediction: Mapping[str, Prediction] | None) -> Compared:
    run, kept = matched.runs[name], matched.kept[name]
    with run.store() as store:
        of_sample, element = store.evaluation_set.values, store.element.values
        starts = {of_set: int((of_sample == index).argmax()) for index, of_set in enumerate(store.evaluation_sets)}
        stored = store.step.values.tolist()
        at = [stored.index(step) for step in matched.steps[name]]
        measured = METRICS if matched.trained_on.has_classes else OF_VALUES  # earlier versions stored all, always
        training = {metric: store[metric].values[at][:, kept] for metric in measured}
    array = stored_logits(run.path)
    orbits = {}
    with contextlib.suppress(ConfigError):  # of an orbit of somebody's own, which findings say
        rho = run.orbit and target_matrices(run.orbit, array.shape[-1])
        orbits = orbit_sets(starts, of_sample, element, rho, matched.trained_on.has_classes)
    return Compared(
        name,
        EnsembleLogits(array, kept),
        tuple(at),
        {of_set: slice(starts[of_set], starts[of_set] + len(data)) for of_set, data in matched.data.items()},
        {of_set: orbits[of_set] for of_set in matched.data if of_set in orbits},
        {
            name: data.labels
            for name, data in matched.data.items()
            if data.labels is not None and data.is_labelled_as(matched.trained_on)
        },
        training,
        prediction,
        *series_of(run),
        values={
            name: data.values
            for name, data in matched.data.items()
            if data.values is not None and data.is_measured_as(matched.trained_on)
        },
        unit=matched.trained_on.unit or "1",
        shares=run.record.randomness_identity,
        member_numbers=np.asarray(run.record.numbers)[kept],
    )


def series_of(run: StoredRun) -> tuple[str, int]:
    """A digest of all that an ensemble is trained by but its width and initialisation, and its width."""
    narrow, width = narrowest_described(run.description("architecture"))
    data = run.record.data[run.record.training_set].fingerprint
    parts = json.dumps([[narrow, run.description("recipe")], data], sort_keys=True)
    return hashlib.sha256(parts.encode()).hexdigest()[:12], width
