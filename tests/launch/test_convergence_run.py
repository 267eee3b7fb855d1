"""Sampled kernels in a directory: killed, interrupted, found finished; and what is told of them."""

import io
import re
import signal

import jax
import numpy as np
import pytest
from rich.console import Console

from tests.support.faulty import raising
from widesym.analysis.empirical import empirical_kernel
from widesym.analysis.estimators.convergence import Moments
from widesym.analysis.gram.spec import described_inputs
from widesym.analysis.kernels import Kernel, analytic_kernel
from widesym.ensembles.randomness import own_key
from widesym.launch.errors import RunDirectoryError, SampleError
from widesym.launch.kernels import sampled as convergence_run
from widesym.launch.kernels.sampled import KernelSample, computed_kernels, sample_kernels
from widesym.launch.kernels.sampled_report import of_kernel
from widesym.launch.runs.interrupts import PreemptedError
from widesym.models import Architecture, Dense, Flatten, MaxPool, Relu
from widesym.models.description import describe

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
        what = {"architecture": describe(mlp(width)), "x": described_inputs(X)}
        key, kernels = own_key(0, what), []
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


def test_samples_are_independent_of_others_unless_randomness_is_shared():
    """Of other architectures and inputs; shared is the scheme of earlier versions."""
    wider, other = {4: mlp(8), 8: mlp(16)}, X + 1
    samples = [make_sample(**change) for change in ({}, {"architectures": wider}, {"x": other})]
    keys = [sample.key(width) for sample in samples for width in (4, 8)]
    different = {tuple(jax.random.key_data(key).tolist()) for key in keys}
    assert len(different) == 5  # width 8 is the same architecture as 4 in the other sample
    shared = make_sample(randomness="shared", architectures=wider)
    assert (shared.key(8) == jax.random.fold_in(jax.random.key(0), 8)).all()
    assert "randomness" not in shared.config


def test_a_members_kernel_does_not_depend_on_how_many_are_computed_a_call(monkeypatch):
    monkeypatch.setattr(convergence_run, "A_CALL", 1)
    kernels = np.concatenate(list(computed_kernels(make_sample(members=4), 8, start=0)))
    monkeypatch.setattr(convergence_run, "A_CALL", 3)
    np.testing.assert_allclose(np.concatenate(list(computed_kernels(make_sample(members=4), 8, 0))), kernels, rtol=1e-5)
    np.testing.assert_array_equal(
        np.concatenate(list(computed_kernels(make_sample(members=4), 8, 3))).shape, (1, 2, 3, 3)
    )


def test_members_come_in_their_order_whichever_device_is_first(monkeypatch):
    def backwards(function, items, devices):
        yield from [function(item, devices[0]) for item in items][::-1]

    expected = np.concatenate(list(computed_kernels(make_sample(), 4, 0)))
    monkeypatch.setattr(convergence_run, "on_devices", backwards)
    np.testing.assert_array_equal(np.concatenate(list(computed_kernels(make_sample(), 4, 0))), expected)


def test_no_device_is_far_ahead_of_another(monkeypatch):
    """However late a device is, others have results of no more calls than AHEAD for each device."""
    handed = []

    def noted(function, items, devices):
        handed.append((len(items), len(devices)))
        yield from (function(item, devices[0]) for item in reversed(items))

    expected = np.concatenate(list(computed_kernels(make_sample(), 4, 0)))
    monkeypatch.setattr(convergence_run, "on_devices", noted)
    monkeypatch.setattr(convergence_run, "AHEAD", 1)
    monkeypatch.setattr(convergence_run.jax, "local_devices", lambda: jax.devices()[:1] * 2)
    np.testing.assert_array_equal(np.concatenate(list(computed_kernels(make_sample(), 4, 0))), expected)
    assert handed == [(2, 2), (1, 2)]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(("stage", "call"), [("_write", 1), ("_write", 3), ("_write", 5), ("add_member", 12)])
def test_killed_then_finished(whole, tmp_path, monkeypatch, stage, call, before):
    with monkeypatch.context() as patch:
        patch.setattr(convergence_run, stage, raising(getattr(convergence_run, stage), Killed, call, before))
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
    monkeypatch.setattr(convergence_run, "computed_kernels", None)
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
        nngp, ntk = np.ones((2, len(members), 3, 3), np.float32)
        ntk[np.asarray(members) == 13, 0, 0] = np.inf
        return Kernel(nngp, ntk)

    monkeypatch.setattr(convergence_run, "kernels_of_members", overflowing)
    with pytest.raises(SampleError, match="width 4, member 13: kernels are not finite; in float32 they may overflow"):
        sample_kernels(make_sample(), tmp_path, CONSOLE)


def test_zero_entries_of_the_analytic_kernel_are_refused_before_sampling(tmp_path, monkeypatch):
    """Of linear networks the kernel of orthogonal inputs is zero."""
    monkeypatch.setattr(convergence_run, "computed_kernels", None)
    sample = make_sample(architectures={4: Architecture((Dense(1),))}, x=np.eye(3, 4))
    with pytest.raises(SampleError, match="6 entries of the analytic NNGP are zero, of inputs 0 and 1, 0 and 2, 1 and"):
        sample_kernels(sample, tmp_path, CONSOLE)


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "bar"])
def test_progress_is_shown(tmp_path, terminal):
    console = Console(record=True, width=200, force_terminal=terminal, file=io.StringIO())
    sample_kernels(make_sample(), tmp_path / "kernels", console)
    shown = console.export_text()
    assert "kernels, width 8" in shown
    assert f"{MEMBERS}/{MEMBERS} members" in shown
    assert re.search(r"\b[1-9][0-9.]*k? members/s", shown)


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
