"""What an analysis found, on the console: the numbers at the last time, and what they say."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

from widesym.analysis.comparison.agreement import agreements, as_sentences
from widesym.launch.console import literal, print_plain, table_of


def print_results(tables: Mapping[str, xr.Dataset], console: Console) -> None:
    """Print the numbers at the last time, and what they say."""
    console.print(results_table(tables))
    for line in as_sentences(agreements(tables)):
        print_plain(console, line)


def results_table(tables: Mapping[str, xr.Dataset]) -> Table:
    """The numbers at the last time, a row for each run and evaluation set."""
    last = {name: tables[name].isel(time=-1) for name in ("divergence", "theory") if name in tables}
    time = float(tables["mean_logits"]["time"][-1])
    columns = {
        ("divergence", "divergence"): "D",
        ("divergence", "noise_floor"): "noise\nfloor",
        ("divergence", "predicted_divergence"): "D at\ninfinity",
        ("theory", "distance"): "to\ntheory",
        ("theory", "expected_distance"): "by\nscatter",
        ("theory", "rms_z"): "rms z",
    }
    shown = {key: label for key, label in columns.items() if key[0] in last and key[1] in last[key[0]]}
    texts = ("run", "set", "paired") if "divergence" in tables else ("run", "set")
    made = table_of(
        *texts,
        *shown.values(),
        numbers=shown.values(),
        title=f"At t = {time:.4g}: distances of mean logits",
        caption="D: to the reference's mean; at infinity: of infinitely wide and large ensembles; by scatter: what the "
        "members' scatter makes of the distance to theory; paired: members that share their randomness are compared by "
        "their differences",
    )
    made.padding = 0  # else nine columns leave no room for names
    means = tables["mean_logits"]
    for run in means.run.values:
        for of_set in dict.fromkeys(means.evaluation_set.values):
            cells = [_cell(last[table], run, of_set, name) for table, name in shown]
            if set(cells) != {"-"}:  # as of the reference without theory
                pairing = [_pairing(tables["divergence"], run)] if "divergence" in tables else []
                made.add_row(literal(str(run)), literal(str(of_set)), *pairing, *cells)
    return made


def _pairing(divergence: xr.Dataset, run: str) -> str:
    if run not in divergence.run.values:
        return "-"
    return "yes" if divergence.pairing.sel(run=run).item() == "paired" else "no"


def _cell(table: xr.Dataset, run: str, of_set: str, name: str) -> str:
    if run not in table.run.values:
        return "-"
    value = float(table[name].sel(run=run, evaluation_set=of_set))
    return f"{value:.3g}" if np.isfinite(value) else "-"
