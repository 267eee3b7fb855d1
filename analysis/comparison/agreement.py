"""Whether means agree, and by how much: verdicts on the tables of a comparison, at the last time.

A difference is the root mean square over inputs of ‖m_A − m_B‖, what finitely many members add taken off, relative to
that of the reference's mean, or of the predicted one (theory.md §5). It is 0 where its 95 % interval holds 0, for all
that can be told: that says how little ensembles of these sizes can tell apart, and not that means agree.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import xarray as xr

from widesym.analysis.estimators.means import FEWEST

SAME = 0.01  # relative: predictions that differ by less are called the same; kernels in float32 leave some 1e-4

Verdict = Literal["differ", "not distinguishable", "the same", "not known"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)  # differences first


@dataclass(frozen=True)
class Agreement:
    """Of `what` ("augmented and gcnn") on an evaluation set: the verdict, and in words by how much.

    `difference`, and the ends `low` and `high` of its 95 % interval, are relative; None where there are none.
    """

    what: str
    evaluation_set: str
    verdict: Verdict
    detail: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None


def agreements(tables: Mapping[str, xr.Dataset]) -> list[Agreement]:
    """Of each run with the reference, of what theory predicts of both, and of each run with theory."""
    found: list[Agreement] = []
    if "divergence" in tables:
        found += _with_reference(tables)
        if "predicted_divergence" in tables["divergence"]:
            found += _in_theory(tables)
    if "theory" in tables:
        found += _with_theory(tables)
    return found


def as_sentences(found: list[Agreement]) -> list[str]:
    """A line for each pair that is compared, the sets by verdict."""
    lines: dict[str, dict[str, list[str]]] = {}
    for each in found:
        lines.setdefault(each.what, {}).setdefault(each.verdict, []).append(f"{each.evaluation_set} ({each.detail})")
    return [
        f"{what}: " + "; ".join(f"{verdict} on {', '.join(sets)}" for verdict, sets in by_verdict.items())
        for what, by_verdict in lines.items()
    ]


def _with_reference(tables: Mapping[str, xr.Dataset]) -> Iterator[Agreement]:
    table = tables["divergence"].isel(time=-1)
    reference = str(table.attrs["reference"])
    for run in table.run.values:
        for of_set in table.evaluation_set.values:
            row = table.sel(run=run, evaluation_set=of_set)
            size = _size(tables["mean_logits"], reference, of_set, "mean")
            yield _measured(
                f"{run} and {reference}", str(of_set), row, "squared_divergence", (size, f"{reference}'s mean logits")
            )


def _with_theory(tables: Mapping[str, xr.Dataset]) -> Iterator[Agreement]:
    table = tables["theory"].isel(time=-1)
    for run in table.run.values:
        for of_set in table.evaluation_set.values:
            row = table.sel(run=run, evaluation_set=of_set)
            size = _size(tables["mean_logits"], str(run), of_set, "theory_mean")
            if size is None and not np.isfinite(row["distance"]):
                continue  # a run without a prediction
            yield _measured(f"{run} and theory", str(of_set), row, "squared_bias", (size, "the predicted mean logits"))


def _in_theory(tables: Mapping[str, xr.Dataset]) -> Iterator[Agreement]:
    """Of infinitely wide and large ensembles, at the time at which they are furthest apart."""
    table, scales = tables["divergence"], tables["theory"]["scale"]
    reference = str(table.attrs["reference"])
    for run in table.run.values:
        for of_set in table.evaluation_set.values:
            gap = float(table["predicted_divergence"].sel(run=run, evaluation_set=of_set).max())
            scale = float(scales.sel(run=[run, reference], evaluation_set=of_set).max())
            if not np.isfinite([gap, scale]).all():
                continue
            what, relative = f"{run} and {reference} in theory", gap / scale if scale else 0.0
            if relative > SAME or (not scale and gap):
                detail = f"theory itself predicts means up to {_share(relative)} of their size apart"
                yield Agreement(what, str(of_set), "differ", detail, relative)
            else:
                detail = f"theory predicts one mean, to {_share(relative)} of its size"
                yield Agreement(what, str(of_set), "the same", detail, relative)


def _measured(what: str, of_set: str, row: xr.Dataset, square: str, scale: tuple[float | None, str]) -> Agreement:
    """By the unbiased square of a difference and its interval; in numbers where there is no size to relate it to."""
    ends = row[f"{square}_interval"].values if f"{square}_interval" in row else np.full(2, np.nan)
    if not np.isfinite(ends).all():
        return Agreement(what, of_set, "not known", f"there is no interval; it takes {FEWEST} members")
    size, of = scale
    difference, low, high = np.sqrt(np.maximum([float(row[square]), *ends], 0)) / (size or 1)
    numbers = tuple(map(float, (difference, low, high))) if size else (None, None, None)
    say = _share if size else "{:.3g}".format
    whose = f" of the size of {of}" if size else ", of logits whose mean is 0 for all that can be told"
    if ends[0] > 0:
        return Agreement(what, of_set, "differ", f"by {say(difference)} [{say(low)}, {say(high)}]{whose}", *numbers)
    if not np.any(ends) and not float(row[square]):
        return Agreement(what, of_set, "the same", "every member says exactly the same", *numbers)
    detail = f"at most {say(high)}{whose}" if high else "closer than members scatter"
    return Agreement(what, of_set, "not distinguishable", f"{detail}, by ensembles of this size", *numbers)


def _size(means: xr.Dataset, run: str, of_set: str, name: str) -> float | None:
    """√ of the mean over inputs of ‖mean logits‖² at the last time, less what members' scatter adds to it.

    None where that is no more than the scatter: nothing can be relative to it.
    """
    if name not in means:
        return None
    at = means.isel(time=-1, sample=means.evaluation_set.values == of_set).sel(run=run)
    square, noise = float((at[name] ** 2).sum("logit").mean()), 0.0
    if name == "mean" and "standard_error" in at:
        noise = float((at["standard_error"] ** 2).sum("logit").mean())
    return float(np.sqrt(square - noise)) if square > 2 * noise else None


def _share(value: float) -> str:
    return f"{100 * value:.3g} %"
