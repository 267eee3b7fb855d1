"""Rows that a comparison gathers, and the tables that they become."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from widesym.analysis.comparison.columns import (
    CALIBRATION,
    DIVERGENCE,
    DIVERGENCE_BY_SIZE,
    ENSEMBLE_SCORES,
    EQUIVARIANCE,
    EQUIVARIANCE_BY_SIZE,
    MEAN_LOGITS,
    SCALE,
    THEORY,
    TRAINING,
)
from widesym.analysis.comparison.ensembles import Compared, Times
from widesym.analysis.comparison.pairing import Pair
from widesym.analysis.comparison.tables import Column, Row, table_of_rows

BIN_EDGES = np.linspace(-6, 6, 49)  # of z

Rows = dict[tuple, Row]


class Gathered(NamedTuple):
    """Rows so far, by table."""

    divergence: Rows
    divergence_by_size: Rows
    theory: Rows
    scale: Rows
    calibration: Rows
    mean_logits: Rows
    equivariance: Rows
    equivariance_by_size: Rows
    training: Rows
    scores: Rows


def tables_of(
    found: Gathered, ensembles: Sequence[Compared], times: Times, sizes: Sequence[int], pairs: Mapping[str, Pair]
) -> dict[str, xr.Dataset]:
    """Rows as labelled arrays; `ensembles` begin with the reference, which others are in `pairs` with."""
    ordered = [*ensembles[1:], ensembles[0]]  # so that figures with and without the reference colour runs alike
    names, others, reference = [each.name for each in ordered], [each.name for each in ensembles[1:]], ensembles[0]
    sets, turned = list(reference.sets), [each for each in ordered if each.orbits]
    on_orbits = [of_set for of_set in sets if turned and all(of_set in each.orbits for each in turned)]
    members = {each.name: each.members for each in ensembles}
    at = range(len(times))
    timed = {"time": list(times.times), "step": ("time", list(times.steps))}

    def of(rows: Rows, known: Mapping[str, Column], dimensions: Mapping[str, Sequence], **more: Any) -> xr.Dataset:
        coords: dict[str, Any] = {name: list(values) for name, values in dimensions.items() if name != "time"}
        coords |= {"members": ("run", [members[name] for name in dimensions["run"]])} if "run" in dimensions else {}
        coords |= timed if "time" in dimensions else {}
        made = table_of_rows(rows, dimensions, known, coords | more)
        if "end" in made.dims:
            made = made.assign_coords(end=["low", "high"])
        return made.assign_attrs(reference=reference.name, reference_members=reference.members)

    orbits: dict[str, Sequence] = {"run": [each.name for each in turned], "evaluation_set": on_orbits}
    elements = ("run", [max(where.elements for where in each.orbits.values()) for each in turned])
    every: dict[str, Sequence] = {"run": names, "evaluation_set": sets}
    pairing = {"pairing": ("run", [pairs[name].kind for name in others])}
    pairing |= {
        count: ("run", [getattr(pairs[name], count) for name in others])
        for count in ("pairs", "left_out", "reference_left_out")
    }
    theory = of(found.theory, THEORY, every | {"time": at})
    made = {
        "divergence": of(found.divergence, DIVERGENCE, {"run": others, "evaluation_set": sets, "time": at}, **pairing),
        "divergence_by_size": of(
            found.divergence_by_size,
            DIVERGENCE_BY_SIZE,
            {"run": others, "evaluation_set": sets, "time": at, "size": sizes},
            **pairing,
        ),
        "theory": theory.assign(of(found.scale, SCALE, every).data_vars),
        "calibration": of(
            found.calibration, CALIBRATION, every, low=("bin", BIN_EDGES[:-1]), high=("bin", BIN_EDGES[1:])
        ),
        "mean_logits": of(found.mean_logits, MEAN_LOGITS, {"run": names, "time": at}, **_samples(reference)),
        "equivariance": of(found.equivariance, EQUIVARIANCE, orbits | {"time": at}, elements=elements),
        "equivariance_by_size": of(
            found.equivariance_by_size,
            EQUIVARIANCE_BY_SIZE,
            orbits | {"size": sizes},
            elements=elements,
        ),
        "training": of(found.training, TRAINING, {"run": names, "time": at}).assign(
            of(found.scores, ENSEMBLE_SCORES, every | {"time": at})
        ),
    }
    if found.divergence_by_size and "predicted_divergence" in made["divergence"]:
        made["divergence_by_size"]["predicted_divergence"] = made["divergence"].predicted_divergence
    if "ensemble_rmse" in made["training"]:
        made["training"]["ensemble_rmse"].attrs["units"] = reference.unit
    return {name: each for name, each in made.items() if each.data_vars}


def _samples(ensemble: Compared) -> dict[str, Any]:
    """Which set each sample of `mean_logits` is of, and its number there."""
    sizes = {name: samples.stop - samples.start for name, samples in ensemble.sets.items()}
    return {
        "evaluation_set": ("sample", np.repeat(list(sizes), list(sizes.values()))),
        "image": ("sample", np.concatenate([np.arange(size) for size in sizes.values()])),
    }
