"""Files and stores that ask for more than there is: refused with exit code 2, by the name of what is too much."""

import json
import os

import numpy as np
import pytest
import yaml
import zarr

from tests.support.small_configs import SMALL, created
from widesym.ensembles.files import read_whole
from widesym.ensembles.recorder import Layout, create_store
from widesym.ensembles.stores import open_group, open_labelled
from widesym.launch import cli
from widesym.launch.config.yaml import parsed
from widesym.launch.errors import RunDirectoryError
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.folder import StoredPlan
from widesym.launch.sweep.recorded import Recorded

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60))
HUGE = "1" + 400 * "0"


def ising(**changes):
    return {"data": {"type": "IsingEnergies", "size": 8, "train": 4, "test": 4, **changes}}


@pytest.fixture
def refusal(tmp_path, widesym):
    """What `widesym train` says of the small file with other values; nothing must be written."""

    def said(changes=None, text=None):
        content = yaml.safe_load(SMALL) | (changes or {})
        code, _, error = widesym(text or yaml.safe_dump(content), "run.yaml")
        assert code == 2
        assert created(tmp_path) == set()
        return error

    return said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": 10**9}, "members is 1000000000; an ensemble has 1000000 at most"),
        ({"orbit": {"type": "FullOrbit", "group": "C1000000"}}, "orbit, group: a group of 1000000 rotations; 1024 are"),
        ({"orbit": {"type": "FullOrbit", "group": "C" + 5000 * "9"}}, "groups are C1, C2, … and D1"),
        (ising(size=10**6), "data: IsingEnergies: samples 4, rows 1000000, columns 1000000 are an array of more than"),
        (ising(size=10**12), "data: IsingEnergies: size is 1000000000000; it must be at most 2147483647"),
        (ising(size=8.5), "data: IsingEnergies: size is 8.5; it must be a positive integer"),
        (ising(updates=10**12), "data: IsingEnergies: updates is 1000000000000; it must be at most 100000"),
        ({"data": {"type": "Toy", "train": 10**9}}, "data: Toy: samples 1000000000, coordinates 1 are an array of"),
        ({"data": {"type": "CrossProduct", "train": 10**9, "test": 1}}, "data: CrossProduct: samples 1000000000, co"),
        ({"data": {"type": "Qm9", "train": 10, "bandlimit": 10**6}}, "data: Qm9: samples 10, atoms 29, rows 2000000"),
        ({"ood_samples": 10**7}, "ood_samples is 10000000; it must be a whole number from 1 to 1000000"),
        (
            {"architecture": {"type": "Architecture", "layers": [{"type": "Dense", "features": 10**12}]}},
            "layers[0]: Dense: features is 1000000000000; it must be at most",
        ),
        (
            {"architecture": {"type": "Architecture", "layers": [{"type": "Conv", "features": 1, "size": 10**12}]}},
            "layers[0]: Conv: size is 1000000000000; it must be at most",
        ),
        ({"record_steps": None, "steps": None}, "give either steps, with records, or record_steps"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_numbers_that_are_too_large_are_named(refusal, changes, message):
    assert message in refusal({"train": None, "test": None} | changes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMALL + BOMB, "there are more than 1,000,000 values here, aliases written out"),
        (SMALL.replace("data: digits", f"data: {{type: {HUGE}}}"), "is too large; whole numbers go to 2^63 - 1"),
        (SMALL.replace("1e-1", HUGE), "line 10, column 25"),
        (SMALL.replace("1e-1", "1e400"), "'1e400' is too large; whole numbers go to 2^63 - 1, others to 1.8e308"),
        (SMALL.replace("seed: 1", "seed: !!timestamp x"), "'x' is a date, of which no field is"),
        (SMALL.replace("steps: 4", "steps: !!int ''"), "'' is tagged tag:yaml.org,2002:int, and is none"),
        (SMALL.replace("steps: 4", "steps: !!int 4.5"), "'4.5' is tagged tag:yaml.org,2002:int, and is none"),
        (SMALL.replace("steps: 4", "steps: !!int {a: 1}"), "what is tagged tag:yaml.org,2002:int is no word"),
        (SMALL.replace("steps: 4", "steps: !!bool maybe"), "'maybe' is tagged tag:yaml.org,2002:bool, and is none"),
        (SMALL.replace("steps: 4", "steps: !!set {4}"), "could not determine a constructor for the tag"),
        (SMALL.replace("data: digits", "data: !!binary ZGlnaXRz"), "could not determine a constructor for the tag"),
    ],
    ids=range(11),
)
def test_text_that_overflows_or_is_not_what_it_is_tagged_is_named(refusal, text, message):
    assert message in refusal(text=text)


def test_tags_that_say_what_is_written_change_nothing():
    assert parsed("[!!int 4, !!float 4, !!float 0.5, !!bool true, !!null '', !!str 4]") == [
        4,
        4.0,
        0.5,
        True,
        None,
        "4",
    ]
    assert type(parsed("!!float 4")) is float
    assert parsed(f"[{2**63 - 1}, -1.7e308, .inf]") == [2**63 - 1, -1.7e308, np.inf]


def test_aliases_are_counted_wherever_they_stand():
    """A thousand values by a thousand aliases are a million and some; by nine hundred they are less."""
    for aliases, fits in ((900, True), (1000, False)):
        text = f"a: &a [{'x, ' * 999}x]\nb: [{', '.join(['*a'] * aliases)}]"
        if fits:
            assert len(parsed(text)["b"]) == aliases
        else:
            with pytest.raises(ValueError, match="more than 1,000,000 values"):
                parsed(text)


def test_only_files_are_read_and_no_more_of_them_than_is_said(tmp_path, command):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", "pipe"):
        code, _, error = command("train", path)
        assert code == 2
        assert f"{path} cannot be read: it is no regular file" in error
    (tmp_path / "file").write_bytes(bytes(100))
    assert read_whole(tmp_path / "file", 100) == bytes(100)
    with pytest.raises(OSError, match="it has more than 99 bytes"):
        read_whole(tmp_path / "file", 99)
    with pytest.raises(IsADirectoryError):
        read_whole(tmp_path)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError("Unable to allocate 7 TiB"), "there is not enough memory for what is asked (Unable to allocate 7"),
        (MemoryError(), "there is not enough memory for what is asked (nothing more is known)"),
        (OverflowError("int too large to convert to float"), "a number is too large (int too large to convert to fl"),
    ],
    ids=["memory", "memory alone", "overflow"],
)
def test_what_nobody_has_foreseen_is_told(monkeypatch, command, error, message):
    def fail():
        raise error

    monkeypatch.setattr(cli, "find_command", lambda _: fail)
    code, _, told = command("models")
    assert code == 2
    assert message in told


def test_a_store_whose_axes_are_longer_than_any_is_not_read(tmp_path):
    """A thousand million times of which none is written would be read as as many fill values."""
    (tmp_path / "logits.zarr").parent.mkdir(exist_ok=True)
    path = tmp_path / "logits.zarr"
    create_store(path, Layout((0, 1), np.zeros((1, 2)), 2, {"train": 3}, 1))
    assert Recorded.of(tmp_path).steps == []
    for file in (path / "zarr.json", path / "recorded" / "zarr.json"):
        content = json.loads(file.read_text())
        of_array = content.get("consolidated_metadata", {}).get("metadata", {}).get("recorded", content)
        of_array["shape"] = [10**9]
        file.write_text(json.dumps(content))
    with pytest.raises(RunDirectoryError, match=r"recorded has the length 1000000000 along time; 1000000 is the most"):
        Recorded.of(tmp_path)
    with pytest.raises(ValueError, match="recorded has the length 1000000000 along time"):
        open_labelled(path)


def test_stores_of_zarrs_second_version_are_not_opened(tmp_path):
    """Whose filters may be pickles."""
    group = zarr.open_group(tmp_path / "old.zarr", mode="w", zarr_format=2)
    group.create_array("logits", data=np.ones(3))
    for opened in (open_group, open_labelled):
        with pytest.raises((FileNotFoundError, ValueError)):
            opened(tmp_path / "old.zarr")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"runs": {"a": 5}}, "runs are not changes by field"), ({"jobs": {"b": [{}]}}, "jobs are not lists of names")],
    ids=["runs", "jobs"],
)
def test_plans_that_are_none_are_named(tmp_path, change, message):
    plan = {"runs": {"a": {"seed": 1}}, "jobs": {"b": ["a"]}, "unstated": "own"}
    directory, file = SweepDirectory(tmp_path), tmp_path / "plans" / "p.json"
    directory.write("plans", "p", plan)
    assert directory.read_plans() == [StoredPlan(**plan)]
    directory.write("plans", "p", plan | change)
    with pytest.raises(RunDirectoryError, match=rf"{file} is damaged \(TypeError: {message}"):
        directory.read_plans()
