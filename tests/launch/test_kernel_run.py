"""Gram matrices in directories: killed at any point, met by another process, shared between several."""

import io
import json
import re
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

from tests.support.jax_processes import run_processes
from widesym.analysis.gram import Gram, compute, info, pending_tiles, read_gram
from widesym.analysis.gram.store import stored_tiling
from widesym.analysis.programs.devices import devices_sharing_memory
from widesym.launch.errors import RunDirectoryError
from widesym.launch.kernels import gram as kernel_run
from widesym.launch.kernels.gram import GramWarning, compute_gram, describe_info, quality_on_disk
from widesym.launch.runs.directory import claim
from widesym.launch.runs.interrupts import PreemptedError
from widesym.models import Architecture, Dense, Relu

ROOT = Path(__file__).parents[2]
CONSOLE = Console(quiet=True)
MLP = Architecture((Dense(8, w_std=1.4, b_std=0.3), Relu(), Dense(1, w_std=1.4, b_std=0.3)))
MEMORY = 10_000 * devices_sharing_memory()  # the same tiles, several, on any number of devices


def make_gram(seed=0, **options):
    return Gram(MLP, np.random.default_rng(seed).standard_normal((40, 3)).astype(np.float32), **options)


def assert_same(found, expected):
    """Bit for bit."""
    for one, other in zip(read_gram(found / "gram.zarr"), read_gram(expected / "gram.zarr"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Computed without interruption."""
    path = tmp_path_factory.mktemp("whole") / "gram"
    compute_gram(make_gram(), path, CONSOLE, MEMORY)
    assert len(stored_tiling(path / "gram.zarr")) > 5
    return path


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def test_a_finished_one_is_found_not_computed(whole, monkeypatch):
    monkeypatch.setattr(kernel_run, "compute_tiles", None)
    kernel = compute_gram(make_gram(), whole, CONSOLE, MEMORY)
    np.testing.assert_array_equal(kernel.ntk, read_gram(whole / "gram.zarr").ntk)
    assert json.loads((whole / "config.json").read_text())["config"] == make_gram().config
    for name in ("nngp", "ntk"):
        found, eigenvalues = quality_on_disk(whole)[name], np.linalg.eigvalsh(np.float64(getattr(kernel, name)))
        assert found["is_positive"]
        np.testing.assert_allclose([found["smallest"], found["largest"]], eigenvalues[[0, -1]], rtol=1e-9)


@pytest.mark.parametrize("stage", ["create_gram_store", "write_tile", "checksum", "write_json"])
def test_killed_at_any_stage(whole, tmp_path, monkeypatch, stage):
    """Before the store is there, before and within the writing of the third tile, and when all are."""
    module = {"write_tile": compute, "checksum": compute}.get(stage, kernel_run)
    function, calls = getattr(module, {"checksum": "write_tile"}.get(stage, stage)), []

    def killed(*arguments):
        calls.append(arguments)
        if len(calls) < (3 if module is compute else 1):
            return function(*arguments)
        if stage == "checksum":  # the arrays are there, but nothing vouches for them
            root, tile, nngp, _ = arguments
            root["nngp"][tile.rows, tile.columns] = 2 * nngp
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, function.__name__, killed)
        with pytest.raises(Killed):
            compute_gram(make_gram(), tmp_path / "gram", CONSOLE, MEMORY)
    told = []
    monkeypatch.setattr(kernel_run, "compute_tiles", lambda *of: told.append(len(of[2])) or compute.compute_tiles(*of))
    compute_gram(make_gram(), tmp_path / "gram", CONSOLE, MEMORY)
    tiles = len(stored_tiling(whole / "gram.zarr"))
    assert told == [{"create_gram_store": tiles, "write_json": 0}.get(stage, tiles - 2)]
    assert_same(tmp_path / "gram", whole)


@pytest.mark.parametrize(
    ("number", "stop"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, PreemptedError)], ids=["ctrl-c", "term"]
)
def test_a_signal_is_heeded_between_tiles(whole, tmp_path, monkeypatch, number, stop):
    written = compute.write_tile

    def signalled(root, tile, *values):
        written(root, tile, *values)
        if tile.place == (0, 1):
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(compute, "write_tile", signalled)
        with pytest.raises(stop):
            compute_gram(make_gram(), tmp_path / "gram", CONSOLE, MEMORY)
    tiles = len(stored_tiling(whole / "gram.zarr"))
    left = len(pending_tiles(tmp_path / "gram" / "gram.zarr", make_gram()))
    assert tiles - 2 - jax.local_device_count() <= left <= tiles - 2
    compute_gram(make_gram(), tmp_path / "gram", CONSOLE, MEMORY)
    assert_same(tmp_path / "gram", whole)


@pytest.mark.parametrize(
    ("other", "key"),
    [
        (Gram(MLP, np.ones((4, 3), np.float32)), r"x1\.fingerprint: .*\n.*x1\.shape\[0\]: 40 on disk, 4 asked for"),
        (make_gram(seed=1), r"x1\.fingerprint"),
        (make_gram(precision="float64"), r"precision: 'float32' on disk, 'float64' asked for"),
        (Gram(Architecture((Dense(8), Relu(), Dense(1))), make_gram().x1), r"architecture\.layers\[0\]\.b_std: 0\.3"),
    ],
    ids=["shape", "inputs", "precision", "architecture"],
)
def test_a_directory_of_another_spec_is_refused(whole, other, key):
    with pytest.raises(RunDirectoryError, match=f"(?s)something else:.*{key}"):
        compute_gram(other, whole, CONSOLE, MEMORY)


def test_a_directory_in_use_is_refused(tmp_path):
    with claim(tmp_path, make_gram().config), pytest.raises(RunDirectoryError, match="in use by another process"):
        compute_gram(make_gram(), tmp_path, CONSOLE, MEMORY)


def test_tiles_of_a_store_stay_what_they_are(whole, tmp_path, monkeypatch):
    """Others would round differently; where they take more than is allowed now, that is said."""
    with monkeypatch.context() as patch:
        patch.setattr(kernel_run, "compute_tiles", lambda *of: iter(()))
        with pytest.raises(RunDirectoryError, match="tiles are missing or damaged"):
            compute_gram(make_gram(), tmp_path / "gram", CONSOLE, MEMORY)
    with pytest.raises(RunDirectoryError, match=r"memory is 2 KiB, but the tiles that are there, .* take "):
        compute_gram(make_gram(), tmp_path / "gram", CONSOLE, 2048)
    compute_gram(make_gram(), tmp_path / "gram", CONSOLE, 100 * MEMORY)
    assert_same(tmp_path / "gram", whole)


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_run.shutil, "disk_usage", lambda path: Free())
    with pytest.raises(RunDirectoryError, match=r"may grow to 12\.5 KiB, but the disk has 1 KiB left"):
        compute_gram(make_gram(), tmp_path, CONSOLE, MEMORY)
    assert not (tmp_path / "gram.zarr").exists()


class Free:
    """A disk with a KiB."""

    free = 1024


def test_kernels_that_are_not_positive_are_warned_of(tmp_path, monkeypatch):
    values = compute.tile_values
    negative = lambda *of: tuple(-kernel for kernel in values(*of))  # noqa: E731
    monkeypatch.setattr(compute, "tile_values", negative)
    with pytest.warns(GramWarning) as warned:
        compute_gram(make_gram(), tmp_path, CONSOLE, MEMORY)
    assert [str(warning.message).split(":")[0] for warning in warned] == ["nngp of 40 inputs", "ntk of 40 inputs"]
    assert "no negative eigenvalues but for rounding" in str(warned[0].message)


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "bar"])
def test_progress_is_shown(tmp_path, terminal):
    console = Console(record=True, width=200, force_terminal=terminal, file=io.StringIO())
    compute_gram(make_gram(), tmp_path / "gram", console, MEMORY)
    shown = console.export_text()
    tiles = len(stored_tiling(tmp_path / "gram" / "gram.zarr"))
    assert f"{tiles}/{tiles} tiles" in shown
    assert re.search(r"\b[1-9][0-9.]*k? pairs/s", shown)
    assert "ntk: eigenvalues: λ_max = " in shown


def test_info_for_people():
    found = info(make_gram(), MEMORY)
    text = describe_info(found)
    sides = " × ".join(map(str, found.tiling.tile))
    assert text.startswith(f"40 × 40 pairs, {len(found.tiling)} tiles of {sides}, each in ")
    assert "KiB on disk; about " in text
    assert describe_info(found._replace(lags=64)).startswith("40 × 40 pairs, 64 lags each, ")


def at_work(path, devices=1, processes=1, stops=("never", "never")):
    """Exit codes and outputs of processes of their own."""
    script = Path(__file__).parents[1] / "support" / "gram_process.py"
    return run_processes(script, [(path, stop) for stop in stops[:processes]], devices)


@pytest.mark.slow
def test_killed_for_good_and_gone_on_with(tmp_path):
    """SIGKILL between the arrays of a tile, twice; then to the end: the numbers of a process that was left alone."""
    for stop in ("2", "1"):
        codes, outputs = at_work(tmp_path / "killed", stops=(stop,))
        assert codes == [-signal.SIGKILL], outputs
    codes, outputs = at_work(tmp_path / "killed")
    assert codes == [0], outputs
    assert "3 of " in outputs[0]  # tiles are there
    codes, outputs = at_work(tmp_path / "whole")
    assert codes == [0], outputs
    assert_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
def test_devices_and_processes_share_the_tiles(tmp_path):
    codes, outputs = at_work(tmp_path / "one")
    assert codes == [0], outputs
    codes, outputs = at_work(tmp_path / "devices", devices=3)
    assert codes == [0], outputs
    assert_same(tmp_path / "devices", tmp_path / "one")
    codes, outputs = at_work(tmp_path / "processes", devices=2, processes=2)
    assert codes == [0, 0], outputs
    assert_same(tmp_path / "processes", tmp_path / "one")
