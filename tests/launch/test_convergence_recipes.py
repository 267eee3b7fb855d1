"""The recipes of kernel convergence, at their smallest, end to end in this process; and what their options are."""

import json

import matplotlib.image
import numpy as np
import pytest

from widesym.analysis.kernels import Kernel
from widesym.launch.kernels import sampled as convergence_run
from widesym.launch.recipes import RECIPES
from widesym.launch.recipes.kernel_convergence import KernelConvergenceC4, KernelConvergenceSO3
from widesym.models import Relu

TINY = ("--members", "12", "--widths", "2", "4", "--inputs", "2")


@pytest.mark.parametrize("name", ["kernel-convergence-c4", "kernel-convergence-so3"])
def test_recipes_end_to_end(command, tmp_path, monkeypatch, name):
    code, printed, error = command("reproduce", name, *TINY, "--output", "out")
    assert code == 0, error
    assert "NTK: mean over 12 initialisations" in printed
    assert "expected −1; of the spread" in printed
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["members"], summary["widths"]) == (12, [2, 4])
    for kernel in Kernel._fields:
        numbers = summary[kernel]
        assert np.isfinite([numbers[key] for key in ("error", "noise_floor", "bias_squared", "spread")]).all()
        low, high = np.transpose(numbers["error_interval"])
        assert (low <= numbers["error"]).all()
        assert (high >= numbers["error"]).all()
    assert matplotlib.image.imread(tmp_path / "out" / f"{name}.png").std() > 0.05
    assert (tmp_path / "out" / f"{name}.pdf").read_bytes().startswith(b"%PDF")

    monkeypatch.setattr(convergence_run, "computed_kernels", None)
    code, again, _ = command("reproduce", name, *TINY, "--output", "out")
    assert code == 0
    assert "12 of 12 members found" in again
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == summary
    code, _, error = command("reproduce", name, *TINY, "--seed", "1", "--output", "out")
    assert code == 2
    assert "seed: 0 on disk, 1 asked for" in error


def test_networks_are_the_papers():
    c4, so3 = KernelConvergenceC4(), KernelConvergenceSO3()
    assert c4.x.shape == (4, 16, 16, 1)
    assert so3.x.shape == (4, 12, 11, 1)
    kinds = [type(layer).__name__ for layer in c4.network(8).layers if not isinstance(layer, Relu)]
    assert kinds == ["LiftingConv", *["GroupConv"] * 4, "GroupPool", "Dense"]
    kinds = [type(layer).__name__ for layer in so3.network(8).layers if not isinstance(layer, Relu)]
    assert kinds == ["SphereLifting", "SO3Conv", "SO3Pool", "Dense"]
    for recipe in (c4, so3):
        assert {layer.features for layer in recipe.network(8).layers if hasattr(layer, "features")} == {8, 1}


def test_paper_is_the_published_size():
    for recipe in (KernelConvergenceC4, KernelConvergenceSO3):
        paper = recipe(paper=True)
        assert (paper.members, paper.widths) == (1000, (4, 8, 16, 32, 64, 128, 256))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--members", "9"), "--members is 9; it must be between 10 and 1000000"),
        (("--inputs", "0"), "--inputs is 0; it must be between 1 and 32"),
        (("--seed", "-1"), "--seed is -1; it must be between 0 and"),
        (("--widths", "8"), "--widths are (8,); exponents need two or more, each named once"),
        (("--widths", "8", "8"), "--widths are (8, 8); exponents need two or more"),
        (("--widths", "0", "8"), "--widths are (0, 8); each must be between 1 and 4096"),
        (("--paper", "--members", "50"), "--paper says what --members and --widths are"),
        (("--output", "file"), "--output is file, but"),
    ],
    ids=lambda value: "".join(value) if isinstance(value, tuple) else "",
)
def test_options_that_cannot_be_are_refused(command, tmp_path, options, message):
    (tmp_path / "file").write_text("")
    code, _, error = command("reproduce", "kernel-convergence-c4", *options)
    assert code == 2
    assert message in error


def test_recipes_are_known_by_name(command):
    assert {"kernel-convergence-c4", "kernel-convergence-so3"} <= RECIPES.keys()
    code, printed, _ = command()
    assert code == 0
    assert "kernel-convergence-c4, kernel-convergence-so3" in printed


def test_samples_of_earlier_versions_are_gone_on_with(command, tmp_path, monkeypatch):
    """Their networks follow from seed, width and member; what is new elsewhere is another sample."""
    summaries = []
    for output in ("earlier", "new"):
        with monkeypatch.context() as patch:
            if output == "earlier":
                patch.setattr("widesym.launch.runs.begun.DEFAULT", "shared")
            assert command("reproduce", "kernel-convergence-so3", *TINY, "--output", output)[0] == 0
        summaries.append(json.loads((tmp_path / output / "summary.json").read_text()))
    assert summaries[0]["ntk"]["error"] != summaries[1]["ntk"]["error"]
    file = tmp_path / "earlier" / "kernels" / "config.json"
    content = json.loads(file.read_text())
    assert "randomness" not in content["config"]
    file.write_text(json.dumps(content | {"schema": 2}))
    (tmp_path / "earlier" / "kernels" / "width-4.npz").unlink()
    code, printed, _ = command("reproduce", "kernel-convergence-so3", *TINY, "--output", "earlier")
    assert code == 0
    assert "kernels: begun by an earlier version" in printed
    assert json.loads((tmp_path / "earlier" / "summary.json").read_text()) == summaries[0]
