"""The directory of an analysis, written: tables as netCDF and CSV, figures, what is said of the runs; each file whole.

config.json  runs.json  health.json  agreement.json  data/  tables/NAME.nc, NAME.csv
figures/NAME.png, NAME.pdf, captions.json
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from widesym.analysis.figures.drawing import save_figure
from widesym.ensembles.data import Dataset
from widesym.ensembles.data.stored import save_dataset
from widesym.ensembles.files import write_whole
from widesym.launch.analyses.directory import read_captions
from widesym.launch.console import of_spreadsheet
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.files import write_json, write_text

ROWS_OF_CSV = 50_000  # larger tables are netCDF alone
INPUTS_KEPT = 200  # of each set, to be drawn


def write_tables(directory: Path, tables: Mapping[str, xr.Dataset]) -> list[Path]:
    """Write each as netCDF and, if it is not too large, as CSV; those of an earlier analysis that are not made go."""
    folder, written = directory / "tables", []
    folder.mkdir(exist_ok=True)
    for left in folder.glob("*.nc"):
        if left.stem not in tables:
            left.with_suffix(".csv").unlink(missing_ok=True)
            left.unlink()
    for name, table in tables.items():
        path = folder / f"{name}.nc"
        write_whole(path, lambda file, table=table: file.write(bytes(table.to_netcdf(engine="scipy"))))
        written.append(path)
        if np.prod(list(table.sizes.values()), dtype=float) <= ROWS_OF_CSV:
            write_text(path.with_suffix(".csv"), frame_of(table).map(of_spreadsheet).to_csv(index=False))
            written.append(path.with_suffix(".csv"))
        else:
            path.with_suffix(".csv").unlink(missing_ok=True)
    return written


def frame_of(table: xr.Dataset) -> pd.DataFrame:
    """Rows of a table; the ends of intervals in columns of their own, NAME_low and NAME_high."""
    flat = table.drop_vars("end", errors="ignore")
    for name, values in table.data_vars.items():
        if "end" in values.dims:
            flat = flat.drop_vars([name])
            for end in ("low", "high"):
                flat[f"{name}_{end}"] = values.sel(end=end, drop=True)
    values, dimensions = [str(name) for name in flat.data_vars], [str(name) for name in flat.sizes]
    others = sorted(str(name) for name in flat.coords if name not in dimensions)
    frame = flat.to_dataframe().reset_index()
    found = ~np.isnan(frame[values].to_numpy(float)).all(axis=1)
    return pd.DataFrame(frame.loc[found, [*dimensions, *others, *values]])


def write_inputs(directory: Path, sets: Mapping[str, Dataset]) -> None:
    """Keep the first inputs of each set, for pictures."""
    folder = directory / "data"
    folder.mkdir(exist_ok=True)
    for index, data in enumerate(sets.values()):
        write_whole(folder / f"{index}.npz", partial(save_dataset, data=first_of(data, INPUTS_KEPT)))


def first_of(data: Dataset, count: int) -> Dataset:
    """The first samples of a set."""
    parts = {name: None if (array := getattr(data, name)) is None else array[:count] for name in ("labels", "values")}
    return replace(data, inputs=data.inputs[:count], **parts)


def write_figures(directory: Path, figures: Mapping[str, tuple[Figure, str]]) -> list[Path]:
    """Write figures, by name with their captions; those of an earlier analysis that are not made go."""
    folder, written = directory / "figures", []
    folder.mkdir(exist_ok=True)
    for left in set(_captioned(directory)) - set(figures):
        for suffix in (".png", ".pdf"):
            (folder / f"{left}{suffix}").unlink(missing_ok=True)
    for name, (figure, _) in figures.items():
        written += save_figure(figure, folder / name)
    write_json(folder / "captions.json", {name: caption for name, (_, caption) in figures.items()})
    return written


def _captioned(directory: Path) -> dict[str, str]:
    """Figures that an earlier analysis wrote; none where its captions are damaged, as they are written anew."""
    try:
        return read_captions(directory)
    except RunDirectoryError:
        return {}


def check_ours(directory: Path) -> None:
    """Raise RunDirectoryError for a directory that holds files and no analysis: they might be overwritten."""
    if not directory.is_dir() or (directory / "config.json").exists():
        return
    found = sorted(path.name for path in directory.iterdir() if path.name not in (".lock", "config.json.new"))
    if found == ["theory"] and all(path.name.startswith("kernel-") for path in (directory / "theory").iterdir()):
        return  # what an analysis has left that failed
    if found:
        raise RunDirectoryError(
            f"{directory} is no analysis and holds other files ({', '.join(found[:5])}{', …' if found[5:] else ''}); "
            "name a new or empty directory with --output"
        )
