"""Runs recorded on other copies than full orbits: chosen elements of a group, and finite sets of rotations."""

import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from rich.console import Console

from widesym.analysis.comparison import compare
from widesym.ensembles import FullOrbit, Strategy, TrainingRecipe
from widesym.ensembles.augmentation import (
    Compose,
    DrawnRotations,
    FixedElements,
    FixedRotations,
    GivenRotations,
    Images,
    NoAugmentation,
    Points,
    RandomElement,
    RegularSolid,
    SphereSignals,
    Vectors,
)
from widesym.ensembles.data import Dataset, Digits
from widesym.ensembles.data.dataset import Quantity
from widesym.ensembles.recorder import read_logits, read_orbits
from widesym.launch.analyses.matching import compared, match
from widesym.launch.analyses.named_runs import runs_in
from widesym.launch.config.specs import built
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Dense, Flatten, Relu, cyclic, dihedral
from widesym.models.description import describe

C4 = cyclic(4)
TRAIN, TEST = Digits(train=8, test=5).load()
TURNS = GivenRotations(np.concatenate([np.eye(3)[None], DrawnRotations(2, 0).matrices]))
NETWORK = Architecture((Flatten(), Dense(8), Relu(), Dense(10)))
VECTOR_NETWORK = Architecture((Flatten(), Dense(8), Relu(), Dense(3)))
QUIET = Console(quiet=True)


def make_run(orbit, train=TRAIN, test=TEST, network=NETWORK):
    return Run(network, TrainingRecipe(0.1), 2, 0, (0, 2), train, (test,), orbit=orbit)


def cross_products(name, samples, seed):
    """Pairs u, v with u × v."""
    uv = np.random.default_rng(seed).standard_normal((samples, 2, 3)).astype(np.float32)
    return Dataset(name, uv, None, (), "test", np.cross(uv[:, 0], uv[:, 1]), tuple(map(Quantity, "xyz")))


ORBITS = {
    "full orbit": FullOrbit(C4),
    "eighth turns": FullOrbit(cyclic(8), space=Images("bicubic")),
    "some elements": FixedElements(dihedral(4), (0, 5, 2)),
    "itself": NoAugmentation(),
    "turns of the plane": FixedRotations(GivenRotations([np.eye(2), [[0.0, -1.0], [1.0, 0.0]]]), Images()),
}
VECTORS = {
    "solid": FixedRotations(RegularSolid("tetrahedron"), Points(), targets=Vectors()),
    "given": FixedRotations(TURNS, Points(), targets=Vectors()),
}


@pytest.mark.parametrize("orbit", [*ORBITS.values(), *VECTORS.values()], ids=[*ORBITS, *VECTORS])
def test_descriptions_are_read_back(orbit):
    assert built(yaml.safe_load(yaml.safe_dump(describe(orbit))), "orbit") == orbit
    assert built(json.loads(json.dumps(describe(orbit))), "orbit") == orbit


RECORDED = ("eighth turns", "some elements", "turns of the plane")


@pytest.mark.parametrize("orbit", [ORBITS[name] for name in RECORDED], ids=RECORDED)
def test_images_are_recorded_on_all_copies(tmp_path, orbit):
    """The first are the logits of the set; copies that are the same at every run are given as plain sets here."""
    run_ensemble(make_run(orbit), tmp_path / "run", QUIET, Execution(Strategy(1)))
    found = read_orbits(tmp_path / "run" / "logits.zarr")["test"]
    assert found.shape == (2, 2, orbit.size, 5, 10)
    copies = np.asarray(orbit.copies(TEST.inputs))
    plain = make_run(
        None, test=replace(TEST, inputs=copies.reshape(-1, 8, 8, 1), labels=np.tile(TEST.labels, orbit.size))
    )
    run_ensemble(plain, tmp_path / "plain", QUIET, Execution(Strategy(1)))
    expected = read_logits(tmp_path / "plain" / "logits.zarr")["test"]
    # The same programs on the same inputs, but for a turn's float32 in another program.
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)
    first = read_logits(tmp_path / "run" / "logits.zarr")["test"]
    np.testing.assert_allclose(first, expected[:, :, :5], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("orbit", VECTORS.values(), ids=VECTORS)
def test_pairs_of_vectors_are_recorded_on_all_rotations(tmp_path, orbit):
    train, test = cross_products("train", 6, 0), cross_products("test", 4, 1)
    run = make_run(orbit, train, test, VECTOR_NETWORK)
    run_ensemble(run, tmp_path / "run", QUIET, Execution(Strategy(1)))
    found = read_orbits(tmp_path / "run" / "logits.zarr")["test"]
    assert found.shape == (2, 2, orbit.size, 4, 3)
    np.testing.assert_array_equal(found[:, :, 0], read_logits(tmp_path / "run" / "logits.zarr")["test"])
    assert np.abs(found - found[:, :, :1]).max() > 0.1
    assert built(json.loads((tmp_path / "run" / "config.json").read_text())["config"]["orbit"], "orbit") == orbit


@pytest.mark.parametrize(
    "orbit",
    [
        FixedElements(C4, (1, 0)),
        FixedRotations(GivenRotations([[[0.8, -0.6], [0.6, 0.8]]]), Images()),
        FixedRotations(GivenRotations([[[1.0, -1e-3], [1e-3, 1.0]]]), Images()),
    ],
    ids=["second element", "a turn", "a little turn"],
)  # fmt: skip
def test_orbits_that_begin_elsewhere_are_refused(tmp_path, orbit):
    with pytest.raises(ValueError, match=r"whose first copy of test differs from the inputs by up to .* put element 0"):
        run_ensemble(make_run(orbit), tmp_path / "run", QUIET, Execution(Strategy(1)))
    assert list(tmp_path.iterdir()) == []


def test_drawn_rotations_need_the_identity_in_front():
    """Signals on the sphere are analysed and synthesised on the way: the identity leaves rounding."""
    signals = np.random.default_rng(0).standard_normal((2, 8, 7, 1)).astype(np.float32)
    band_limited = np.asarray(FixedRotations(GivenRotations([np.eye(3)]), SphereSignals()).copies(signals)[0])
    train, test = (Dataset(name, band_limited, np.array([0, 1]), ("0", "1"), "test") for name in ("train", "test"))
    network = Architecture((Flatten(), Dense(2)))
    make_run(FixedRotations(TURNS, SphereSignals()), train, test, network).check()
    drawn = FixedRotations(DrawnRotations(2, 0), Points())
    with pytest.raises(ValueError, match="first copy of test differs"):
        make_run(drawn, cross_products("train", 6, 0), cross_products("test", 4, 1), VECTOR_NETWORK).check()


@pytest.mark.parametrize(
    "orbit", [RandomElement(C4), Compose((FullOrbit(C4),)), C4, FullOrbit], ids=["random", "composed", "group", "class"]
)
def test_what_makes_no_fixed_copies_is_refused(orbit):
    with pytest.raises(ValueError, match="it must be a policy that always makes the same copies, such as FullOrbit"):
        make_run(orbit)


def test_a_comparison_turns_targets_back(tmp_path):
    """The relative error of ‖f(gx) − ρ_g f(x)‖, of members' mean and of members, by the rotations themselves."""
    orbit = FixedRotations(RegularSolid("tetrahedron"), Points(3), targets=Vectors())
    run = make_run(orbit, cross_products("train", 8, 0), cross_products("test", 5, 1), VECTOR_NETWORK)
    run_ensemble(run, tmp_path / "run", QUIET, Execution(Strategy(1)))
    matched = match(runs_in([tmp_path / "run"]), "refuse")
    table = compare(compared(matched, {}), matched.times, "run")["equivariance"].sel(run="run", evaluation_set="test")
    logits = read_orbits(tmp_path / "run" / "logits.zarr")["test"][-1].astype(np.float64)  # [member, element, …]
    turned = np.einsum("gij,msj->mgsi", RegularSolid("tetrahedron").matrices, logits[:, 0])
    size = np.linalg.norm(logits[:, 0], axis=-1).mean(-1)
    errors = np.linalg.norm(logits - turned, axis=-1).mean((1, 2)) / size
    np.testing.assert_allclose(table.equivariance_error_members[-1], errors.mean(), rtol=1e-5)  # float32 logits
    gap = np.linalg.norm(logits.mean(0) - turned.mean(0), axis=-1).mean()
    found = gap / np.linalg.norm(logits[:, 0].mean(0), axis=-1).mean()
    np.testing.assert_allclose(table.equivariance_error_mean[-1], found, rtol=1e-5)
    unturned = np.linalg.norm(logits - logits[:, :1], axis=-1).mean((1, 2)) / size
    assert abs(unturned.mean() / errors.mean() - 1) > 0.01  # else turning would not show
