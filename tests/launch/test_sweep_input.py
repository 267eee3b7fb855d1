"""What `widesym sweep` says of files that are not right: exit code 2, the place and what to do, and nothing written."""

import contextlib
import copy
import io
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.support.sweeps import SMALL, sweep_file
from widesym.launch import cli
from widesym.launch.commands.sweep import SweepCommand
from widesym.launch.sweep.changes import describe_changes
from widesym.launch.sweep.config import points_of, read_sweep
from widesym.launch.sweep.jobs import kind

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("dry", [False, True], ids=["to run", "dry"])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base": "none.yaml"}, "none.yaml cannot be read: No such file"),
        ({"base": 3}, "small.yaml: base is 3; it must be the fields of a run, or the path of a file"),
        ({"products": {}}, "small.yaml, field 'products' is unknown; did you mean product?"),
        ({"product": {"seed": 1}}, "small.yaml: product: seed is 1; it must be a list of values"),
        ({"product": {"seed": []}}, "small.yaml: product: seed is []; it must be a list of values, one at least"),
        ({"product": [1]}, "small.yaml: product is [1]; it must be fields with a list of values each"),
        ({"zip": {"seed": [1, 2], "members": [1]}}, "zip has lists of different lengths (seed has 2, members has 1)"),
        ({"points": {"seed": 1}}, "small.yaml: points is {'seed': 1}; it must be a list of changes"),
        ({"product": {"seed": [1]}, "points": [{"seed": 2}]}, "seed is changed in several of product, zip and points"),
        ({"members_a_job": 0}, "small.yaml: members_a_job is 0; it must be a whole number, at least 1"),
        ({"strategy": 3}, "small.yaml: strategy is 3; it must be the fields of a Strategy"),
        ({"strategy": {"members_at_once": 0}}, "small.yaml, strategy: members_at_once is 0"),
        ({"product": {"seed": [0, -1]}}, "small.yaml, run 2 (seed=-1): seed is -1; it must be a whole number from 0"),
        ({"product": {"seeds": [1]}}, "small.yaml, run 1 (seeds=1), field 'seeds' is unknown; did you mean seed"),
        ({"product": {"recipe.rate": [1]}}, "run 1 (rate=1), recipe, field 'rate' is unknown"),
        ({"product": {"members.of": [1]}}, "run 1 (of=1): members.of cannot be set"),
        ({"product": {"recipe.learning_rate": [[1, 2]]}}, "learning_rate has 2 values for 3 members"),
        ({"product": {"data": ["digit"]}}, "run 1 (data=digit): data: there is no data set named 'digit'"),
        ({"product": {"ood": [["blur", "blur"]]}}, "data sets are named train, test, blur, blur"),
        ({"product": {"seed": [*range(400)], "members": [*range(1, 400)]}}, "make more than 100,000 runs; split"),
    ],
)
def test_what_is_not_right(tmp_path, command, fields, message, dry):
    code, _, said = command("sweep", str(sweep_file(tmp_path, **fields)), *(["--dry-run"] if dry else []))
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_a_directory_that_cannot_be_written_to(tmp_path, command):
    """Also as root, for whom a file in its place stands here."""
    (tmp_path / "taken").write_text("")
    code, _, said = command("sweep", str(sweep_file(tmp_path)), "--output", str(tmp_path / "taken" / "out"))
    assert code == 2
    assert "is not a directory that can be written to" in said


@pytest.mark.parametrize("workers", ["0", "1000"])
def test_a_pool_that_cannot_be_is_refused_before_anything_is_written(tmp_path, command, workers):
    code, _, said = command("sweep", str(sweep_file(tmp_path)), "--executor", "pool", "--workers", workers)
    assert code == 2
    assert f"--workers is {workers}; there are" in said
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_slurm_that_is_not_there_is_told_before_anything_is_written(tmp_path, command, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, said = command("sweep", str(sweep_file(tmp_path)), "--executor", "slurm")
    assert code == 2
    assert "sbatch, srun, squeue not found: submit from a machine of a SLURM cluster, or run locally" in said
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_options_change_the_base_and_the_sweep(tmp_path):
    file = sweep_file(tmp_path, product={"seed": [0, 1]})
    sweep = read_sweep(file, {"members_a_job": 7}, {"recipe.learning_rate": 0.5, "record_steps": [0, 2]})
    assert sweep.members_a_job == 7
    for seed, point in enumerate(points_of(sweep, "file")):
        assert point.config.seed == seed
        assert point.config.recipe.learning_rate == 0.5
        assert point.config.record_steps == (0, 2)


def test_products_zips_and_points_are_combined(tmp_path):
    """In the order of the file, the last ones first to change."""
    file = sweep_file(
        tmp_path,
        product={"seed": [0, 1], "width": [2, 4]},
        zip={"train": [10, 11], "test": [5, 6]},
        points=[{"members": 1}, {"members": 2, "recipe.augmentation": {"type": "NoAugmentation"}}],
    )
    found = [describe_changes(point.changes) for point in points_of(read_sweep(file, {}, {}), "file")]
    expected = [
        f"seed={seed}, width={width}, train={10 + of}, test={5 + of}, members={members}{policy}"
        for seed in (0, 1)
        for width in (2, 4)
        for of in (0, 1)
        for members, policy in ((1, ""), (2, ", augmentation=NoAugmentation()"))
    ]
    assert found == expected


def test_the_base_may_be_a_file_beside_it(tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(SMALL["base"]))
    file = sweep_file(tmp_path, base="base.yaml")
    (point,) = points_of(read_sweep(file, {}, {}), "file")
    assert point.config.members == 3


def test_a_dry_run_says_what_is_to_be_done(tmp_path):
    """Two jobs of 6 members, 2 runs each; FLOPs by hand."""
    console = Console(file=io.StringIO(), width=200)
    file = sweep_file(tmp_path, product={"recipe.learning_rate": [0.1, 0.2], "seed": [0, 1]})
    SweepCommand(file, tmp_path / "out", dry_run=True).run(console)
    said = console.file.getvalue()
    assert "4 runs in" in said
    assert "to do: 2 jobs of 1 kinds, 12 members" in said
    # Dense 64→4 and 4→10 on 48 samples: forward, and both gradients but for that of the inputs.
    flops = 12 * 6 * 2 * 48 * (2 * 64 * 4 + 3 * 4 * 10)
    assert f"{flops:.3g} floating-point operations" in said
    assert "on this machine alone, from trials of 1 of 1 kinds" in said
    assert not (tmp_path / "out").exists()


def test_the_example_is_what_it_says():
    file = ROOT / "examples" / "configs" / "digits-sweep.yaml"
    points = points_of(read_sweep(file, {}, {}), "file")
    assert len(points) == 24
    assert len({kind(point.config) for point in points}) == 6


def test_the_documented_file_is_one(tmp_path):
    text = (ROOT / "docs" / "sweeps.md").read_text()
    (tmp_path / "sweep.yaml").write_text(re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    points = points_of(read_sweep(tmp_path / "sweep.yaml", {}, {}), "file")
    assert len(points) == 36
    assert {point.config.members for point in points} == {16, 1000}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**7) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
WHOLE = {**SMALL, "product": {"seed": [0, 1]}, "zip": {"train": [10, 11], "test": [5, 6]}, "points": [{"members": 1}],
         "members_a_job": 2}  # fmt: skip
FIELDS = [*WHOLE, *(f"base.{name}" for name in SMALL["base"])]


class Planned(Exception):  # noqa: N818
    """The file was right."""


def refuse(*arguments):
    raise Planned


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.sampled_from(FIELDS), JUNK)
def test_fuzzed_files(tmp_path_factory, field, junk):
    """Whatever stands in a field: planned, or refused with exit code 2 and the field's name; nothing is created."""
    folder = tmp_path_factory.mktemp("fuzz")
    content = copy.deepcopy(WHOLE)
    whole, name = (content["base"], field.partition(".")[2]) if "." in field else (content, field)
    whole[name] = junk
    file, said = folder / "fuzzed.yaml", io.StringIO()
    file.write_text(yaml.safe_dump(content))
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        patch.setattr("widesym.launch.commands.sweep.prepare", refuse)
        patch.setattr(cli, "configure_jax", lambda: None)
        with pytest.raises((SystemExit, Planned)) as ended:
            cli.main(["sweep", str(file), "--output", str(folder / "out")])
    if ended.type is SystemExit:
        assert ended.value.code == 2
        mappings = [each for each in (junk if isinstance(junk, list) else [junk]) if isinstance(each, dict)]
        inner = [repr(key)[1:-1] for each in mappings for key in each]  # what is wrong in these
        assert any(each in said.getvalue() for each in (name.split("_")[0], *inner))
        assert "Traceback" not in said.getvalue()
    assert [path.name for path in folder.iterdir()] == ["fuzzed.yaml"]
