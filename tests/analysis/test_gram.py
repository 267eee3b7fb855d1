"""Gram matrices tile by tile: the kernel's own numbers, stored, checked, and planned for."""

import threading
from functools import cache

import numpy as np
import pytest
import xarray as xr
import zarr

from tests.support.networks import HIDDEN, LOGITS, NETWORKS
from widesym.analysis import analytic_kernel
from widesym.analysis.gram import (
    Gram,
    GramError,
    Tiling,
    choose_tiling,
    compute_tiles,
    create_gram_store,
    pending_tiles,
    read_gram,
)
from widesym.analysis.gram.store import stored_tiling
from widesym.analysis.kernels import Kernel
from widesym.analysis.programs.devices import on_devices
from widesym.models import Architecture, Dense, MaxPool, NoClosedFormError, Relu

MLP = Architecture((HIDDEN, Relu(), LOGITS))
# Float32 kernels from programs of other batch sizes: 1e-7 a term; Θ of an input with itself to √1e-7 (docs/kernels.md).
ROUNDING = {"rtol": 5e-4}


@cache
def data(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)


def fill(path, gram, tile):
    """Compute all of it in tiles of this shape."""
    create_gram_store(path, gram, Tiling(gram.shape, tile, gram.is_symmetric))
    return list(compute_tiles(gram, path, pending_tiles(path, gram)))


@pytest.mark.parametrize(
    ("gram", "tile", "tiles"),
    [
        (Gram(MLP, data(10)), (4, 4), 6),
        (Gram(MLP, data(10)), (10, 10), 1),
        (Gram(MLP, data(10), data(7, seed=1)), (4, 3), 9),
        (Gram(MLP, data(5), precision="float64"), (3, 3), 3),
    ],
    ids=["symmetric", "one tile", "rectangular", "float64"],
)
def test_tiles_hold_the_kernel(tmp_path, gram, tile, tiles):
    events = fill(tmp_path / "gram.zarr", gram, tile)
    assert [event.done for event in events] == list(range(tiles + 1))
    assert {event.total for event in events} == {tiles}
    found, expected = read_gram(tmp_path / "gram.zarr"), explicit_mlp(*gram.sides)
    # Float64 has √ε = 1.5e-8 where an input meets itself.
    rounding = {"rtol": 1e-7} if gram.precision == "float64" else ROUNDING
    for kernel, values in zip(found, expected, strict=True):
        assert kernel.dtype == gram.precision
        np.testing.assert_allclose(kernel, values, **rounding)
        if gram.is_symmetric:
            np.testing.assert_array_equal(kernel, kernel.T)


def explicit_mlp(x1, x2):
    """K and Θ of Dense, Relu, Dense by the formulas of theory.md §2, in float64 NumPy."""
    weight, bias = HIDDEN.w_std**2, HIDDEN.b_std**2

    def first(a, b):
        return weight * np.float64(a) @ np.float64(b).T / a.shape[1] + bias

    variances = [np.diag(first(x, x)) for x in (x1, x2)]
    scale = np.sqrt(np.outer(*variances))
    cosine = np.clip(first(x1, x2) / scale, -1, 1)
    angle = np.arccos(cosine)
    after = scale / (2 * np.pi) * (np.sqrt(1 - cosine**2) + (np.pi - angle) * cosine)
    nngp = weight * after + bias
    return nngp, nngp + weight * first(x1, x2) * (np.pi - angle) / (2 * np.pi)


def test_a_convolutional_network_by_tiles(tmp_path):
    shape, layers = NETWORKS["CNN, SAME, flattened"]
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    fill(tmp_path / "gram.zarr", Gram(Architecture(layers), x), (2, 2))
    expected = analytic_kernel(Architecture(layers))(x)
    np.testing.assert_allclose(np.stack(read_gram(tmp_path / "gram.zarr")), np.stack(expected), **ROUNDING)


class Crooked(Gram):
    """Of a kernel whose two orders differ, as rounding makes them: x + 2x'."""

    @property
    def kernel(self):
        return lambda rows, columns: Kernel(*2 * [rows[:, None, 0] + 2 * columns[:, 0]])


def test_of_two_orders_the_upper_one_is_taken(tmp_path):
    """Also within the tiles on the diagonal."""
    gram = Crooked(MLP, data(10))
    fill(tmp_path / "gram.zarr", gram, (4, 4))
    upper = np.triu(gram.x1[:, None, 0] + 2 * gram.x1[:, 0])
    for kernel in read_gram(tmp_path / "gram.zarr"):
        np.testing.assert_array_equal(kernel, upper + np.triu(upper, 1).T)


def test_xarray_reads_the_store(tmp_path):
    gram = Gram(MLP, data(10), data(7, seed=1))
    fill(tmp_path / "gram.zarr", gram, (4, 3))
    with xr.open_zarr(tmp_path / "gram.zarr", consolidated=False) as store:
        assert store["ntk"].dims == ("row", "column")
        np.testing.assert_array_equal(store["ntk"].values, read_gram(tmp_path / "gram.zarr").ntk)
        assert store.attrs["config"] == gram.config


def test_what_is_missing_or_damaged_is_computed_again(tmp_path):
    """And nothing else is."""
    path, gram = tmp_path / "gram.zarr", Gram(MLP, data(10))
    fill(path, gram, (4, 4))
    whole = read_gram(path)
    (path / "ntk" / "c" / "0" / "1").write_bytes(bytes(64))  # torn: the bytes of zeros
    (path / "checksum" / "c" / "2" / "2").unlink()
    (path / "nngp" / "c" / "1" / "2").write_bytes(b"")
    assert [tile.place for tile in pending_tiles(path, gram)] == [(0, 1), (1, 2), (2, 2)]
    with pytest.raises(ValueError, match="3 of 6 tiles are missing or damaged, the first at rows from 0 and columns"):
        read_gram(path)
    untouched = (path / "ntk" / "c" / "0" / "0").stat().st_mtime_ns
    assert len(list(compute_tiles(gram, path, pending_tiles(path, gram)))) == 1 + 3
    assert (path / "ntk" / "c" / "0" / "0").stat().st_mtime_ns == untouched
    for found, expected in zip(read_gram(path), whole, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("other", "keys"),
    [
        (Gram(Architecture((HIDDEN, Relu(), Dense(1))), data(10)), "architecture"),
        (Gram(MLP, data(10, seed=1)), "x1"),
        (Gram(MLP, data(10), data(10)), "x2"),
        (Gram(MLP, data(10), precision="float64"), "x1, precision"),
    ],
    ids=["architecture", "inputs", "other inputs", "precision"],
)
def test_a_store_of_another_spec_is_refused(tmp_path, other, keys):
    gram = Gram(MLP, data(10))
    create_gram_store(tmp_path / "gram.zarr", gram, Tiling(gram.shape, (4, 4), True))
    with pytest.raises(ValueError, match=f"holds another Gram matrix: its {keys} differ"):
        pending_tiles(tmp_path / "gram.zarr", other)


def test_a_store_that_cannot_be_read_is_named(tmp_path):
    path, gram = tmp_path / "gram.zarr", Gram(MLP, data(10))
    create_gram_store(path, gram, Tiling(gram.shape, (4, 4), True))
    (path / "ntk" / "zarr.json").write_text("{")
    with pytest.raises(ValueError, match=r"gram\.zarr, as a Gram matrix, cannot be read"):
        stored_tiling(path)


def test_numbers_that_are_not_finite_are_named(tmp_path):
    x = data(10).copy()
    x[6] = 1e30  # finite, but not its square in float32; the first tile has it with four others
    with pytest.raises(GramError, match=r"of 4 pairs are not finite, the first between inputs 0 and 6; in float32"):
        fill(tmp_path / "gram.zarr", Gram(MLP, x), (4, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gram(MLP, data(3), precision="bfloat16"), "precision is 'bfloat16'; it must be one of float32, float"),
        (lambda: Gram(MLP, data(3), np.ones((2, 4), "f")), "x1 holds inputs of shape"),
        (lambda: Gram(MLP, np.full((2, 3), np.nan)), "x1 has 6 values that are not finite"),
        (lambda: Gram(MLP, np.ones((0, 3))), "it must be"),
        (lambda: Tiling((5, 5), (6, 6), True), "tiles are of shape"),
        (lambda: Tiling((5, 5), (2, 3), True), "a symmetric matrix has square tiles"),
        (lambda: choose_tiling(Gram(MLP, data(3)), 64), "memory is 64 bytes, but a single pair of inputs takes"),
        *(
            (lambda m=m: choose_tiling(Gram(MLP, data(3)), m), f"memory is {m}; it must be")
            for m in (0, -1, np.nan, 1e9)
        ),
    ],
    ids=["precision", "shapes", "nan", "empty", "tile", "not square", "memory", *["no memory"] * 4],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_networks_without_closed_form_are_refused():
    with pytest.raises(NoClosedFormError):
        Gram(Architecture((*NETWORKS["CNN, SAME, flattened"][1][:1], MaxPool(2), Dense(1))), np.ones((2, 4, 4, 2)))


def test_devices_take_one_item_each_at_a_time():
    busy, most, used = set(), [], set()
    both = threading.Barrier(2, timeout=30)

    def work(item, device):
        assert device not in busy
        busy.add(device)
        if item < 2:
            both.wait()  # passes only if two items are under way at once
        most.append(len(busy))
        used.add(device)
        busy.remove(device)
        return item

    assert sorted(on_devices(work, range(9), ["a", "b"])) == list(range(9))
    assert used == {"a", "b"}
    assert max(most) <= 2
    with pytest.raises(ZeroDivisionError):
        list(on_devices(lambda item, device: 1 / item, [1, 0, 1], ["a", "b"]))


def test_chunks_are_tiles(tmp_path):
    """So no two processes write one file."""
    gram = Gram(MLP, data(10))
    create_gram_store(tmp_path / "gram.zarr", gram, Tiling(gram.shape, (4, 4), True))
    root = zarr.open_group(tmp_path / "gram.zarr", mode="r")
    assert root["ntk"].chunks == root["nngp"].chunks == (4, 4)
    assert root["checksum"].chunks == (1, 1)
    assert len(list(stored_tiling(tmp_path / "gram.zarr"))) == 6
