"""Sampled kernels in a directory - killed, interrupted, found finished - and the recipes that fit them."""

import io
import json
import re
import signal

import jax
import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from analysis.convergence import Moments
from analysis.empirical import empirical_kernel
from analysis.kernels import Kernel, analytic_kernel
from launch import convergence_run
from launch.convergence_report import of_kernel, report
from launch.convergence_run import KernelSample, SampleError, computed, sample_kernels
from launch.interrupts import PreemptedError
from launch.recipes import RECIPES, KernelConvergenceC4, KernelConvergenceSO3
from launch.run_directory import RunDirectoryError
from models import Architecture, Dense, Flatten, MaxPool, Relu

CONSOLE = Console(quiet=True)
X = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
MEMBERS = 25  # three calls of ten, the last one not full


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def mlp(width):
    return Architecture((Dense(width, w_std=2**0.5), Relu(), Dense(width, w_std=2**0.5), Relu(), Dense(1)))


def make_sample(**changes):
    return KernelSample(
        **({"architectures": {4: mlp(4), 8: mlp(8)}, "x": X, "members": MEMBERS, "draws": 20} | changes)
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Computed without interruption: the directory and what came of it."""
    directory = tmp_path_factory.mktemp("whole") / "kernels"
    return directory, *sample_kernels(make_sample(), directory, CONSOLE)


def assert_same(found, expected):
    """Bit for bit."""
    assert found.keys() == expected.keys()
    for width, moments in expected.items():
        for one, other in zip(found[width], moments, strict=True):
            np.testing.assert_array_equal(one, other)


def test_moments_are_of_the_networks_that_width_and_member_name(whole):
    _, exact, moments = whole
    for width, found in moments.items():
        key, kernels = jax.random.fold_in(jax.random.key(0), width), []
        for member in range(MEMBERS):
            params = mlp(width).init(jax.random.fold_in(key, member), X.shape[1:])
            kernels.append(np.float64(np.stack(empirical_kernel(mlp(width), params, X))))
        assert found.members == MEMBERS
        np.testing.assert_allclose(found.mean[0], np.mean(kernels, axis=0), rtol=1e-5)  # float32 kernels
        np.testing.assert_allclose(found.squares[0], MEMBERS * np.var(kernels, axis=0), rtol=1e-4)
    assert exact.ntk.dtype == np.float64
    for one, other in zip(exact, analytic_kernel(mlp(1))(X), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
    part, values = of_kernel("ntk", exact, moments)
    np.testing.assert_array_equal(values, exact.ntk)
    assert (np.diagonal(part[4].mean[0]) > np.diagonal(of_kernel("nngp", exact, moments)[0][4].mean[0])).all()


def test_a_members_kernel_does_not_depend_on_how_many_are_computed_a_call(monkeypatch):
    monkeypatch.setattr(convergence_run, "A_CALL", 1)
    kernels = np.concatenate(list(computed(make_sample(members=4), 8, start=0)))
    monkeypatch.setattr(convergence_run, "A_CALL", 3)
    np.testing.assert_allclose(np.concatenate(list(computed(make_sample(members=4), 8, 0))), kernels, rtol=1e-5)
    np.testing.assert_array_equal(np.concatenate(list(computed(make_sample(members=4), 8, 3))).shape, (1, 2, 3, 3))


def test_members_come_in_their_order_whichever_device_is_first(monkeypatch):
    def backwards(function, items, devices):
        yield from [function(item, devices[0]) for item in items][::-1]

    expected = np.concatenate(list(computed(make_sample(), 4, 0)))
    monkeypatch.setattr(convergence_run, "on_devices", backwards)
    np.testing.assert_array_equal(np.concatenate(list(computed(make_sample(), 4, 0))), expected)


def raising(function, call, before):
    """The function, but raising in its n-th call: before it does anything, or after it has done everything."""
    calls = 0

    def wrapped(*arguments):
        nonlocal calls
        calls += 1
        if before and calls == call:
            raise Killed
        result = function(*arguments)
        if calls == call:
            raise Killed
        return result

    return wrapped


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("stage", "call"), [("_write", 1), ("_write", 3), ("_write", 5), ("add_member", 12)])
def test_killed_then_finished(whole, tmp_path, monkeypatch, stage, call, before):
    with monkeypatch.context() as patch:
        patch.setattr(convergence_run, stage, raising(getattr(convergence_run, stage), call, before))
        with pytest.raises(Killed):
            sample_kernels(make_sample(), tmp_path, CONSOLE)
    assert_same(sample_kernels(make_sample(), tmp_path, CONSOLE)[1], whole[2])


@pytest.mark.parametrize(("number", "stop"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, PreemptedError)])
def test_a_signal_is_heeded_between_calls_and_nothing_is_lost(whole, tmp_path, monkeypatch, number, stop):
    added = convergence_run.add_member

    def signalled(moments, *rest):
        if moments.members == 12:
            signal.raise_signal(number)
        return added(moments, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(convergence_run, "add_member", signalled)
        with pytest.raises(stop):
            sample_kernels(make_sample(), tmp_path, CONSOLE)
    with np.load(tmp_path / "width-4.npz") as state:
        assert Moments(**state).members == 20  # those of the call in which the signal came
    assert_same(sample_kernels(make_sample(), tmp_path, CONSOLE)[1], whole[2])


def test_what_is_finished_is_not_computed_again(whole, monkeypatch):
    directory, exact, moments = whole
    monkeypatch.setattr(convergence_run, "computed", None)
    monkeypatch.setattr(convergence_run, "analytic_kernel", None)
    found = sample_kernels(make_sample(), directory, CONSOLE)
    assert_same(found[1], moments)
    np.testing.assert_array_equal(found[0].ntk, exact.ntk)
    with pytest.raises(RunDirectoryError, match="members: 25 on disk, 30 asked for"):
        sample_kernels(make_sample(members=30), directory, CONSOLE)


def test_damaged_files_are_named(tmp_path):
    sample_kernels(make_sample(), tmp_path, CONSOLE)
    path = tmp_path / "width-8.npz"
    for content in (b"", path.read_bytes()[:1000], b"no archive"):
        path.write_bytes(content)
        with pytest.raises(RunDirectoryError, match=r"width-8.npz is damaged .* remove it, and it is computed again"):
            sample_kernels(make_sample(), tmp_path, CONSOLE)
    path.unlink()
    assert sample_kernels(make_sample(), tmp_path, CONSOLE)[1][8].members == MEMBERS


def test_kernels_that_are_not_finite_are_refused_by_width_and_member(tmp_path, monkeypatch):
    def overflowing(architecture, key, members, x):
        kernels = np.ones((len(members), 2, 3, 3), np.float32)
        kernels[np.asarray(members) == 13, 1, 0, 0] = np.inf
        return kernels

    monkeypatch.setattr(convergence_run, "kernels_of_members", overflowing)
    with pytest.raises(SampleError, match="width 4, member 13: kernels are not finite; in float32 they may overflow"):
        sample_kernels(make_sample(), tmp_path, CONSOLE)


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "bar"])
def test_progress_is_shown(tmp_path, terminal):
    console = Console(record=True, width=200, force_terminal=terminal, file=io.StringIO())
    sample_kernels(make_sample(), tmp_path / "kernels", console)
    shown = console.export_text()
    assert "kernels, width 8" in shown
    assert f"{MEMBERS}/{MEMBERS} members" in shown
    assert re.search(r"\b[1-9][0-9.]* members/s", shown)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": 0}, "KernelSample: members is 0"),
        ({"architectures": {}}, "there are no architectures"),
        ({"architectures": {4: Architecture((Flatten(), Relu()))}}, "the network ends in Relu"),
        ({"architectures": {4: Architecture((MaxPool(2), Flatten(), Dense(1)))}}, "MaxPool"),
    ],
    ids=["members", "none", "head", "closed form"],
)
def test_samples_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_sample(**changes)


def test_unresolved_bias_is_said(whole, tmp_path):
    """25 members cannot resolve it; a bias put in by hand is."""
    _, exact, moments = whole
    console = Console(record=True, width=100, file=io.StringIO())
    report("small", exact, moments, tmp_path, console)
    assert "exponent of the bias not resolved above noise at two widths" in console.export_text()
    assert json.loads((tmp_path / "summary.json").read_text())["ntk"]["bias_fit"] is None
    shifted = {width: of._replace(mean=of.mean + 100 / width * np.stack(exact)) for width, of in moments.items()}
    report("small", exact, shifted, tmp_path, console)
    fit = json.loads((tmp_path / "summary.json").read_text())["ntk"]["bias_fit"]
    assert abs(fit["exponent"] + 1) < 0.05  # 25 and 12.5 times the kernel, known to 0.3
    assert fit["interval"][0] <= fit["exponent"] <= fit["interval"][1]
    assert f"NTK: exponent of the bias −{-fit['exponent']:.2f} [−{-fit['interval'][0]:.2f}, " in console.export_text()


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

    monkeypatch.setattr(convergence_run, "computed", None)
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
