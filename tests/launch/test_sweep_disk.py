"""What a sweep takes on disk: one copy of the data, few files, and as much as was announced."""

import io
import os
import re
import shutil

import pytest
from rich.console import Console
from test_sweep import swept

from tests.support.sweeps import runs_by_changes, sweep_file
from widesym.ensembles.files import share
from widesym.launch.commands.sweep import SweepCommand
from widesym.launch.integrity.run import examine
from widesym.launch.runs.data import stored_sets
from widesym.launch.runs.stored import StoredRun

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def test_runs_share_one_copy_of_their_data_and_are_whole_without_it(tmp_path):
    """Trained by themselves or put together; of other data there is another copy."""
    points = [{"seed": 0}, {"seed": 1}, {"seed": 1, "recipe.learning_rate": 0.2}, {"seed": 0, "train": 13}]
    swept(sweep_file(tmp_path, points=points), tmp_path / "out")
    runs = sorted(runs_by_changes(tmp_path / "out").values())
    files = [file for run in runs for file in (run / "data").iterdir()]
    common = {file.stat().st_ino for file in (tmp_path / "out" / "data").iterdir()}
    assert {file.stat().st_ino for file in files} == common
    assert (len(files), len(common)) == (
        4 * 3,
        3 + 2,
    )  # of 13 training samples the test set is another, letters are not
    shutil.rmtree(tmp_path / "out" / "data")
    for run in runs:
        away = shutil.copytree(run, tmp_path / "away" / run.name)
        assert list(stored_sets(StoredRun(away))) == ["train", "test", "letters"]
        assert not examine(away).damaged


def test_a_damaged_copy_is_not_spread(tmp_path):
    whole, common, linked = tmp_path / "whole", tmp_path / "common", tmp_path / "linked"
    for path in (whole, linked):
        path.write_bytes(b"data")
    share(linked, common)
    assert common.samefile(linked)
    common.write_bytes(b"dat4")  # both, which are one
    share(whole, common)
    assert whole.read_bytes() == common.read_bytes() == b"data"
    assert whole.samefile(common)
    share(whole, common)  # nothing is left to do
    assert sorted(path.name for path in tmp_path.iterdir()) == ["common", "linked", "whole"]


def test_without_hard_links_runs_keep_copies(tmp_path, monkeypatch):
    original = os.link  # zarr takes it, too

    def refused(source, to):
        if source.suffix == ".npz":
            raise OSError(1, "Operation not permitted")
        original(source, to)

    monkeypatch.setattr("widesym.ensembles.files.os.link", refused)
    swept(sweep_file(tmp_path, product={"seed": [0, 1]}), tmp_path / "out")
    for run in runs_by_changes(tmp_path / "out").values():
        assert [file.stat().st_nlink for file in (run / "data").iterdir()] == [1, 1, 1]
        assert not examine(run).damaged


def taken(path):
    """Files, and the bytes of their blocks and those of folders, a file that has several names once."""
    sizes, files, folders = {}, 0, 0
    for place, _, names in os.walk(path):
        folders += 1
        for name in names:
            found = os.stat(os.path.join(place, name))
            sizes[found.st_ino] = -(-found.st_size // 4096) * 4096
            files += 1
    return files, sum(sizes.values()) + 4096 * folders


@pytest.mark.parametrize(
    ("product", "base"),
    [
        ({"seed": list(range(6))}, None),
        ({"recipe.learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}, None),
        ({"recipe.learning_rate": [0.1, 0.2, 0.3]}, {"architecture": "mlp", "train": 256, "test": 512, "members": 24}),
    ],
    ids=["by themselves", "folded", "large stores"],
)
def test_what_is_announced_is_what_is_made(tmp_path, product, base):
    """Within 20 %: logits may shrink a little, and orbax's files may be others."""
    file = sweep_file(tmp_path, base=base and base | {"snapshots": []}, product=product)
    console = Console(file=io.StringIO(), width=200)
    SweepCommand(file, tmp_path / "out", dry_run=True).run(console)
    assert not (tmp_path / "out").exists()
    found = re.search(
        r"about ([0-9,]+) files and ([0-9.e+]+) (\w+) on disk \(.* may shrink\), data once", console.file.getvalue()
    )
    swept(file, tmp_path / "out")
    files, size = taken(tmp_path / "out")
    assert int(found[1].replace(",", "")) == pytest.approx(files, rel=0.2)
    assert float(found[2]) * UNITS[found[3]] == pytest.approx(size, rel=0.2)
