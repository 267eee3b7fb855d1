"""The training set of a run, loaded again and held against the digest that the run directory has of it."""

from dataclasses import fields, is_dataclass, replace

from ensembles.data import DataError, Dataset
from launch.config import source_of
from launch.stored_members import StoredRun


def training_set(run: StoredRun, source: str, seed: int = 0) -> Dataset:
    """The training set of a run from the source of this name (`find_source`).

    The source is asked for as many training and test samples as were recorded, drawn by `seed`, and for what it has if
    nobody asks. Raises DataError where neither is what the run was trained on.
    """
    name, recorded = run.trained_on
    test = run.config["data"].get("test", {}).get("samples")
    made = source_of(source)
    asked = {"train": recorded["samples"], "test": test, "seed": seed}
    sources, found = [made], []
    if is_dataclass(made):
        given = {field.name: asked[field.name] for field in fields(made) if asked.get(field.name) is not None}
        sources.insert(0, replace(made, **given))
    for each in sources:
        data = each.load().train
        if data.fingerprint == recorded["fingerprint"]:
            return data
        found.append(f"{data.fingerprint} ({len(data)} samples)")
    raise DataError(
        f"the training set of {source!r}, seed {seed}, has digest {', or '.join(found)}, but the run was trained on "
        f"{name!r} with digest {recorded['fingerprint']} ({recorded['samples']} samples; {recorded['provenance']}); "
        "name its source with --data and its seed with --data-seed, or call launch.ntk_run.ntk_of_run with the data"
    )
