"""What a finished comparison leaves behind: summary.json, a figure, a printed table."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from analysis.comparison import Comparison, summarise
from analysis.drawing import save_figure
from analysis.figures import Panels, comparison_figure
from analysis.predictions import ByNetwork
from ensembles.recorder import read_logits
from launch.run import Run
from launch.run_directory import write_json


def report(name: str, runs: Mapping[str, Run], predictions: ByNetwork, output: Path, console: Console) -> None:
    """Compare the finished runs in `output` with each other and with theory; write and print what comes of it."""
    run = next(iter(runs.values()))
    logits = {network: read_logits(output / network / "logits.zarr") for network in runs}
    comparisons = {
        data.name: Comparison(
            {network: logits[network][data.name] for network in runs},
            {network: predictions[network][data.name] for network in runs},
        )
        for data in run.evaluation_sets
    }
    times = run.recipe.training_time(run.record_steps)[0].tolist()
    summaries = {of: summarise(comparison) for of, comparison in comparisons.items()}
    summary = {
        "members": run.members,
        "steps": list(run.record_steps),
        "times": times,
        "learning_rate": run.recipe.learning_rate,
        "test": summaries["test"],
        "ood_sets": {of: numbers for of, numbers in summaries.items() if of != "test"},
    }
    write_json(output / "summary.json", summary)
    data = {data.name: data for data in (run.training_set, *run.evaluation_sets)}
    written = save_figure(comparison_figure(Panels(times, comparisons, data)), output / name)
    console.print(table(summaries, run))
    console.print(
        f"figure: {', '.join(map(str, written))}\nnumbers: {output / 'summary.json'}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def table(summaries: Mapping[str, Mapping[str, list]], run: Run) -> Table:
    """The numbers after the last step, a row per evaluation set."""
    columns = {
        "augmented vs group-CNN": "divergence_augmented",
        "noise floor": "noise_floor",
        "control vs group-CNN": "divergence_control",
        "theory": "predicted_divergence_control",
        "augmented vs theory": "relative_error_of_mean_vs_theory_augmented",
        "group-CNN vs theory": "relative_error_of_mean_vs_theory_gcnn",
    }
    title = (
        f"After {run.record_steps[-1]} steps, {run.members} members: distances of mean logits; the last two relative"
    )
    made = Table(title=title)
    made.add_column("set")
    for column in columns:
        made.add_column(column, justify="right")
    for name, numbers in summaries.items():
        made.add_row(name, *(f"{numbers[key][-1]:.3f}" for key in columns.values()))
    return made
