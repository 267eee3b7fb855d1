"""What JAX is set to, by the environment or a program, is no part of a configuration: no number may depend on it.

Settings that say how JAX draws, rounds, promotes and looks for faults; all comparisons are of one program with itself,
and bit for bit.
"""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from tests.support.jax_settings import SETTINGS
from tests.support.networks import partly_slow
from widesym.analysis.empirical import empirical_kernel, empirical_ntk, sampled_kernel
from widesym.analysis.gram import Gram, Tiling, compute_tiles, create_gram_store, pending_tiles, read_gram
from widesym.analysis.kernels import analytic_kernel
from widesym.ensembles import (
    Adam,
    Cosine,
    FullOrbit,
    IndependentDraws,
    RandomElement,
    Strategy,
    Trainer,
    TrainingRecipe,
    train_ensemble,
)
from widesym.ensembles.checkpoints import saved_steps
from widesym.ensembles.data import Digits
from widesym.launch.config.snapshots import EmpiricalNtk, Parameters
from widesym.launch.kernels.sampled import KernelSample, sample_kernels
from widesym.launch.runs.interrupts import PreemptedError, StopRequest
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import (
    Architecture,
    AtomSum,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    GroupPool,
    LiftingConv,
    OrbitAverage,
    Relu,
    Tanh,
    cyclic,
)
from widesym.models.numerics import key_of_seed

ROOT, C4, QUIET = Path(__file__).parents[2], cyclic(4), Console(quiet=True)
CNN = Architecture((Conv(3, 3, b_std=0.1), Relu(), Flatten(), Dense(2)))
RECIPE = TrainingRecipe(0.01, Adam(), Cosine(9, 2), batches=IndependentDraws(3), augmentation=RandomElement(C4))
X, Y = (np.random.default_rng(0).normal(size=size).astype(np.float32) for size in ((6, 5, 5, 1), (6, 2)))
KERNELS = {
    "cnn": (CNN, X),
    "tanh": (Architecture((Flatten(), Dense(3, b_std=0.1), Tanh(), Dense(2))), X),
    "gcnn": (Architecture((LiftingConv(C4, 3, 3), Relu(), GroupPool(), Dense(2))), X),
    "orbit average": (Architecture((OrbitAverage((Conv(3, 3), Relu(), GlobalAvgPool(), Dense(2)), C4),)), X),
    "atoms": (Architecture((AtomSum((Dense(3), Relu(), Dense(2)), shared=False),)), X[..., 0]),
}


def of_settings(*names):
    """Tests under each of these settings, or of all."""
    chosen = [setting for setting in SETTINGS if setting[0] in names or not names]
    return pytest.mark.parametrize("setting", chosen, ids=[name for name, _ in chosen])


@contextlib.contextmanager
def under(setting):
    """JAX with this setting in all threads, as the environment or a program sets it."""
    name, value = f"jax_{setting[0]}", setting[1]
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        yield
    finally:
        jax.config.update(name, before)


def assert_same(found, expected):
    """Bit for bit, types included."""
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert np.asarray(one).dtype == np.asarray(other).dtype
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def trained():
    return train_ensemble(CNN, RECIPE, X, Y, X, 2, (0, 1, 5), 7)


@of_settings()
def test_trained_members_are_the_same(trained, setting):
    with under(setting):
        assert_same(train_ensemble(CNN, RECIPE, X, Y, X, 2, (0, 1, 5), 7), trained)


def test_numbers_of_64_bits_are_rounded_first(trained):
    with jax.enable_x64(True):
        wide = [jax.numpy.asarray(x, np.float64) for x in (X, Y, X)]
        assert wide[0].dtype == np.float64
        assert_same(train_ensemble(CNN, RECIPE, *wide, 2, (0, 1, 5), 7), trained)


def test_an_offset_of_all_seeds_is_none_of_ours(trained):
    with under(("random_seed_offset", 3)):
        assert not np.array_equal(jax.random.key_data(jax.random.key(7)), [0, 7])
        assert_same(train_ensemble(CNN, RECIPE, X, Y, X, 2, (0, 1, 5), 7), trained)


def test_products_are_asked_for_in_full():
    """Of the program, as processors may have but one precision for all that is asked."""
    trainer = Trainer(CNN, RECIPE, 2)
    state = trainer.init(X.shape[1:])
    with under(("default_matmul_precision", "bfloat16")):
        logits = jax.make_jaxpr(lambda state: trainer.logits(state, X))(state)
        step = jax.make_jaxpr(lambda state: trainer.advance(state, (X, Y), 0, 1))(state)
        asked = re.findall(r"dot_general\[.*?precision=(\S+)", f"{logits}{step}", re.DOTALL)
    assert len(asked) >= 4
    assert set(asked) == {"(Precision.HIGHEST,"}


def test_a_key_is_the_same_network_in_either_precision():
    narrow = CNN.init(key_of_seed(0), X.shape[1:])
    with jax.enable_x64(True):
        wide = CNN.init(key_of_seed(0), X.shape[1:])
    assert {leaf.dtype for leaf in jax.tree.leaves(wide)} == {np.dtype("float64")}
    assert_same(jax.tree.map(np.float32, wide), jax.tree.map(np.asarray, narrow))


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_the_key_of_a_seed_is_the_one_that_jax_has_by_default(seed):
    np.testing.assert_array_equal(jax.random.key_data(key_of_seed(seed)), jax.random.key_data(jax.random.key(seed)))
    with jax.default_prng_impl("rbg"):
        assert jax.random.key_impl(key_of_seed(seed)) == "threefry2x32"


@of_settings("enable_x64", "threefry_partitionable", "default_matmul_precision", "debug_nans")
@pytest.mark.parametrize("name", partly_slow(KERNELS, "tanh", "orbit average", "gcnn"))
def test_kernels_are_the_same(name, setting):
    """Of infinitely wide networks, of members, and of networks as they are drawn."""
    architecture, x = KERNELS[name]

    params = architecture.init(key_of_seed(1), x.shape[1:])

    def all_of_them():
        drawn = sampled_kernel(architecture, key_of_seed(1), x, 2)
        return (
            analytic_kernel(architecture)(x),
            drawn,
            empirical_kernel(architecture, params, x),
            empirical_ntk(architecture, params, x),
        )

    expected = all_of_them()
    with under(setting):
        assert_same(all_of_them(), expected)


def small_run():
    """With everything that is computed beside the logits."""
    train, test = Digits(train=8, test=4).load()
    architecture = Architecture((Flatten(), Dense(4), Relu(), Dense(10)))
    return Run(architecture, replace(RECIPE, augmentation=RandomElement(C4)), 3, 5, (0, 2, 6), train, (test,),
               FullOrbit(C4), (Parameters(), EmpiricalNtk(2)))  # fmt: skip


def stored(path):
    with xr.open_zarr(path / "logits.zarr") as store:
        return {name: array.values for name, array in store.variables.items()}


def stopped(run, path):
    """After its first steps, as a cluster stops it."""
    request = StopRequest()
    request.number = signal.SIGTERM
    with pytest.raises(PreemptedError):
        run_ensemble(run, path, QUIET, Execution(Strategy(1), request=request))
    assert saved_steps(path / "checkpoints") == [0]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    run_ensemble(small_run(), path, QUIET, Execution(Strategy(1)))
    return stored(path)


@of_settings()
def test_a_run_goes_on_with_the_same_numbers(uninterrupted, tmp_path, setting):
    """Logits, metrics, snapshots and coordinates; NaN where there are no metrics yet."""
    stopped(small_run(), tmp_path / "run")
    console = Console(file=io.StringIO(), width=200)
    with under(setting):
        run_ensemble(small_run(), tmp_path / "run", console, Execution(Strategy(1)))
    assert "resuming at step 0 of 6" in console.file.getvalue()
    assert "set aside" not in console.file.getvalue()
    found = stored(tmp_path / "run")
    assert found.keys() == uninterrupted.keys()
    for name, values in uninterrupted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    for name in ("loss", "accuracy", "gradient_norm"):
        assert np.isnan(found[name][0]).all()
        assert np.isfinite(found[name][1:]).all()


@of_settings("enable_x64", "default_matmul_precision", "debug_nans")
def test_a_gram_matrix_goes_on_with_the_same_numbers(tmp_path, setting):
    gram = Gram(CNN, X)
    tiling = Tiling(gram.shape, (2, 2), gram.is_symmetric)
    for name in ("whole", "half"):
        create_gram_store(tmp_path / name, gram, tiling)
        tiles = pending_tiles(tmp_path / name, gram)
        assert len(tiles) > 2
        for _ in compute_tiles(gram, tmp_path / name, tiles[: None if name == "whole" else 1]):
            pass
    with under(setting):
        for _ in compute_tiles(gram, tmp_path / "half", pending_tiles(tmp_path / "half", gram)):
            pass
        found = read_gram(tmp_path / "half")
    assert_same(found, read_gram(tmp_path / "whole"))


@of_settings("enable_x64", "default_prng_impl", "threefry_partitionable")
def test_sampled_kernels_are_the_same(tmp_path, setting):
    sample = KernelSample({2: CNN}, X[:2], members=3, seed=1, draws=20)
    expected = sample_kernels(sample, tmp_path / "one", QUIET)
    with under(setting):
        assert_same(sample_kernels(sample, tmp_path / "other", QUIET), expected)


CONFIG = """
architecture: {type: Architecture, layers: [{type: Flatten}, {type: Dense, features: 4}, {type: Relu},
                                            {type: Dense, features: 10}]}
data: digits
train: 12
test: 6
recipe: {learning_rate: 0.1, batches: {type: IndependentDraws, size: 4}}
members: 2
record_steps: [0, 3, 6]
"""
ENVIRONMENT = {
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_RANDOM_SEED_OFFSET": "3",
    "JAX_DEBUG_NANS": "1",
}


def test_the_command_goes_on_with_the_same_numbers_in_any_environment(tmp_path):
    """From the checkpoint before the last, as after a kill."""
    (tmp_path / "run.yaml").write_text(CONFIG)
    usual = {**os.environ, "PYTHONPATH": str(ROOT), "WIDESYM_CACHE": str(tmp_path / "cache")}

    def train(environment):
        command = [sys.executable, "-m", "widesym.launch", "train", "run.yaml"]
        done = subprocess.run(command, cwd=tmp_path, env=usual | environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    train({})
    run, expected = tmp_path / "runs" / "run", stored(tmp_path / "runs" / "run")
    (run / "finished.json").unlink()
    shutil.rmtree(run / "checkpoints" / "6")
    assert "resuming at step 3 of 6" in train(ENVIRONMENT)
    for name, values in stored(run).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
