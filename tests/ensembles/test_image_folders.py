"""Class folders of PNG, JPEG and TIFF files, written with Pillow; their averages against NumPy's means over blocks."""

import shutil
import struct

import numpy as np
import pytest
from PIL import Image

from tests.support.stored_pictures import standardised
from widesym.ensembles.data import DataError
from widesym.ensembles.data.readers import image_folders
from widesym.ensembles.data.readers.image_folders import ImageFolders, read_image

SIDE, SIZE = 12, 4
COUNTS = {"ADI": 3, "STR": 5, "TUM": 4}
SUFFIXES = (".png", ".tif", ".PNG", ".tiff")  # those without loss


def colours(seed, side=SIDE):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def save(array, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folders(tmp_path):
    """Three classes; beside them, what is no picture."""
    for label, (name, count) in enumerate(COUNTS.items()):
        for index in range(count):
            save(colours(10 * label + index), tmp_path / "set" / name / f"{index:03}{SUFFIXES[index % 4]}")
        (tmp_path / "set" / name / "Thumbs.db").touch()
    (tmp_path / "set" / "README.txt").touch()
    (tmp_path / "set" / ".hidden").mkdir()
    return tmp_path / "set"


def block_means(pixels, size):
    side = len(pixels) // size
    return pixels.reshape(size, side, size, side, 3).astype(float).mean((1, 3))


def test_each_picture_is_averaged_labelled_by_its_folder_and_in_one_part_only(folders):
    splits = ImageFolders(folders, SIZE, test=3, seed=1).load()
    pixels = np.stack([colours(10 * label + i) for label, count in enumerate(COUNTS.values()) for i in range(count)])
    means = np.stack([np.rint(block_means(picture, SIZE)) for picture in pixels])
    labels = np.repeat([0, 1, 2], list(COUNTS.values()))
    order = np.random.default_rng(1).permutation(12)
    for part, chosen in zip(splits, (order[3:], order[:3]), strict=True):
        assert part.classes == tuple(COUNTS)
        assert part.provenance == f"{folders} (image folders, averaged to 4×4 pixels)"
        np.testing.assert_array_equal(part.labels, labels[chosen])
        # Values of order one rounded to float32; no mean of 9 bytes ends in ½, so all are rounded alike before.
        expected = standardised(means[chosen], means[order[3:]])
        np.testing.assert_allclose(part.inputs, expected, rtol=3e-7, atol=1e-7)
    assert (splits.train.name, splits.test.name, splits.train.inputs.dtype) == ("train", "test", np.float32)


def test_tissue_is_averaged_from_224_to_32_pixels(tmp_path):
    pixels = colours(0, 224)
    save(pixels, tmp_path / "tile.tif")
    found = read_image(tmp_path / "tile.tif", 32, 224)
    assert (found.shape, found.dtype) == ((32, 32, 3), np.uint8)
    np.testing.assert_array_equal(found, np.rint(block_means(pixels, 32)))  # no mean of 49 bytes ends in ½


def test_sizes_that_do_not_divide_are_averaged_by_area(tmp_path):
    pixels = colours(1, 10)
    save(pixels, tmp_path / "tile.png")
    # Every pixel in 2×2 parts, of which a 4×4 picture takes 5×5 each: no mean of 25 bytes ends in ½.
    expected = block_means(pixels.repeat(2, 0).repeat(2, 1), 4)
    np.testing.assert_array_equal(read_image(tmp_path / "tile.png", 4, 10), np.rint(expected))


def test_whatever_stores_colours_in_bytes_is_read_as_colours(tmp_path):
    pixels = colours(2)
    grey = pixels[..., 0]
    opaque = np.concatenate([pixels, np.full((SIDE, SIDE, 1), 255, np.uint8)], -1)
    palette = Image.fromarray(pixels).quantize(8)
    save(grey, tmp_path / "grey.png")
    save(opaque, tmp_path / "opaque.png")
    palette.save(tmp_path / "palette.png")
    save(np.full((SIDE, SIDE, 3), [200, 100, 50], np.uint8), tmp_path / "flat.jpg", quality=100)
    found = {name: read_image(tmp_path / name, SIDE, SIDE) for name in ("grey.png", "opaque.png", "palette.png")}
    np.testing.assert_array_equal(found["grey.png"], grey[..., None].repeat(3, -1))
    np.testing.assert_array_equal(found["opaque.png"], pixels)
    np.testing.assert_array_equal(found["palette.png"], np.asarray(palette.convert("RGB")))
    # JPEG stores brightness and two differences of colour, each rounded to whole numbers.
    np.testing.assert_allclose(read_image(tmp_path / "flat.jpg", SIZE, SIDE), [[[200, 100, 50]] * 4] * 4, atol=2)


def test_the_seed_draws_the_split(folders):
    first, again, other = (ImageFolders(folders, SIZE, seed=seed).load() for seed in (0, 0, 1))
    assert first.test.fingerprint == again.test.fingerprint != other.test.fingerprint


def cut(path):
    path.write_bytes(path.read_bytes()[:-60])


def wrong_checksum(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 8] ^= 0xFF
    path.write_bytes(content)


def no_strips(path):
    """A TIFF of the right size whose pixels are nowhere."""
    tags = [(256, 12), (257, 12), (258, 8), (259, 1), (262, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags)
    path.write_bytes(struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4))


@pytest.mark.parametrize(
    ("name", "harm", "message"),
    [
        ("STR/000.png", cut, "cannot be read as picture (PNG, JPEG or TIFF); it may be damaged or cut short"),
        ("STR/001.tif", cut, "cannot be read as picture"),
        ("STR/000.png", wrong_checksum, "cannot be read as picture"),
        ("STR/001.tif", no_strips, "cannot be read as picture"),
        ("STR/002.PNG", lambda path: path.write_bytes(b""), "cannot be read as picture"),
        ("ADI/000.png", lambda path: (path.unlink(), path.symlink_to("nowhere")), "cannot be read; it may be damaged"),
        ("ADI/000.png", lambda path: path.write_text("no picture"), "cannot be read as picture"),
        ("STR/000.png", lambda path: save(colours(0, 13), path), "has 13×13 pixels; the first picture has 12×12"),
        ("TUM/000.png", lambda path: save(colours(0)[:, :11], path), "has 11×12 pixels; the first picture has 12×12"),
        (
            "ADI/000.png",
            lambda path: save(colours(0)[:11], path),
            "12×11 pixels; it must be a square, of side 4 or more",
        ),
        (
            "ADI/000.png",
            lambda path: save(colours(0, 3), path),
            "has 3×3 pixels; it must be a square, of side 4 or more",
        ),
        (
            "TUM/003.tiff",
            lambda path: save(np.ones((12, 12), np.uint16), path),
            "has 16 bits a channel; they must be at most 8: convert it, or load the numbers yourself",
        ),
        (
            "TUM/003.tiff",
            lambda path: save(np.ones((12, 12), "f"), path),
            "has 32 bits a channel; they must be at most 8",
        ),
    ],
)
def test_pictures_that_are_wrong_are_refused(folders, name, harm, message):
    harm(folders / name)
    with pytest.raises(DataError) as refusal:
        ImageFolders(folders, SIZE).load()
    assert str(folders / name) in str(refusal.value)
    assert message in str(refusal.value)


def test_folders_without_pictures_are_refused(folders, tmp_path):
    shutil.rmtree(folders / "STR")
    (folders / "STR").mkdir()
    with pytest.raises(DataError, match=r"set/STR has no pictures \(\.jpeg, .*\); it is empty"):
        ImageFolders(folders, SIZE).load()
    (folders / "STR" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"set/STR has no pictures \(\.jpeg, .*\); it holds notes\.txt"):
        ImageFolders(folders, SIZE).load()
    with pytest.raises(DataError, match=r"set/ADI has no class folders; it holds 000\.png"):
        ImageFolders(folders / "ADI", SIZE).load()
    with pytest.raises(DataError, match="nowhere has no class folders; there is no such directory"):
        ImageFolders(tmp_path / "nowhere", SIZE).load()


def test_too_few_pictures_for_a_split_are_refused(folders):
    with pytest.raises(DataError, match="set, training samples: all asked for, at least 1, and there are 0"):
        ImageFolders(folders, SIZE, test=12).load()


def test_pictures_are_read_once_and_again_when_one_has_changed(folders, monkeypatch):
    first = ImageFolders(folders, SIZE).load()
    monkeypatch.setattr(image_folders, "read_images", lambda *_: pytest.fail("read a second time"))
    assert ImageFolders(folders, SIZE).load().train.fingerprint == first.train.fingerprint
    assert ImageFolders(folders, SIZE, test=2, seed=1).load()  # however it is drawn
    for change in (
        lambda: save(colours(99), folders / "ADI" / "000.png"),
        lambda: (folders / "STR" / "000.png").unlink(),
    ):
        monkeypatch.undo()
        monkeypatch.setenv("WIDESYM_CACHE", str(folders.parent / "cache"))
        change()
        again = ImageFolders(folders, SIZE).load()
        assert again.train.fingerprint != first.train.fingerprint
        first = again
    assert ImageFolders(folders, 3).load().train.inputs.shape[1:3] == (3, 3)
