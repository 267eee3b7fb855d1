"""Picture files that say what they are: which are read as that, and which are refused."""

import struct

import numpy as np
import pytest
from PIL import Image

from tests.support.picture_bytes import GREY, GREY_ALPHA, PALETTE, RGB, RGBA, exif, jpeg, png, tags_of, tiff
from widesym.ensembles.data import DataError
from widesym.ensembles.data.readers.picture_files import read_square, side_of

SIDE = 4
COLOURS = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3))
ONE_GREY = COLOURS[..., 0]
UPRIGHT = {  # EXIF 2.3, Orientation: where the first row and the first column of what is stored belong
    1: lambda stored: stored,  # top, left
    2: np.fliplr,  # top, right
    3: lambda stored: stored[::-1, ::-1],  # bottom, right
    4: np.flipud,  # bottom, left
    5: np.transpose,  # left, top
    6: lambda stored: np.transpose(stored)[:, ::-1],  # right, top
    7: lambda stored: np.transpose(stored)[::-1, ::-1],  # right, bottom
    8: lambda stored: np.transpose(stored)[::-1],  # left, bottom
}


@pytest.fixture
def read(tmp_path):
    def read(content, name="picture.png"):
        (tmp_path / name).write_bytes(content)
        return read_square(tmp_path / name, side_of(tmp_path / name, 1))

    return read


def in_colour(grey):
    return np.repeat(grey[..., None], 3, -1)


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_pictures_are_upright_whatever_their_format(read, orientation):
    expected = UPRIGHT[orientation](ONE_GREY)
    as_png = png(ONE_GREY, before=[(b"eXIf", exif(orientation))])
    np.testing.assert_array_equal(read(as_png), in_colour(expected))
    np.testing.assert_array_equal(read(png(ONE_GREY, after=[(b"eXIf", exif(orientation))])), in_colour(expected))
    for order in "<>":
        as_tiff = tiff(ONE_GREY.astype(np.uint8).tobytes(), tags_of(ONE_GREY, t274=[orientation]), order)
        np.testing.assert_array_equal(read(as_tiff, "picture.tif"), in_colour(expected))
    blocks = np.kron([[10, 80], [150, 220]], np.ones((8, 8))).astype(np.uint8)
    found = read(jpeg(blocks, orientation), "picture.jpg")
    # JPEG stores each block of 8×8 pixels as one number here, rounded.
    np.testing.assert_allclose(found, in_colour(UPRIGHT[orientation](blocks)), atol=2)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_of_few_bits_fills_the_range(read, depth):
    """PNG, 13.12: a sample of d bits is scaled by 255/(2^d − 1), which is a whole number."""
    numbers = ONE_GREY >> (8 - depth)
    expected = in_colour(numbers * (255 // (2**depth - 1)))
    np.testing.assert_array_equal(read(png(numbers, depth)), expected)
    bits = np.packbits(((numbers[..., None] >> np.arange(depth)[::-1]) & 1).reshape(SIDE, -1).astype(np.uint8), axis=1)
    for photometric, seen in ((1, expected), (0, 255 - expected)):  # TIFF 6.0: 0 is black, or 0 is white
        content = tiff(bits.tobytes(), tags_of(numbers, depth, photometric))
        np.testing.assert_array_equal(read(content, "picture.tif"), seen)


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palettes_are_looked_up(read, depth):
    numbers = ONE_GREY >> (8 - depth)
    palette = np.random.default_rng(1).integers(0, 256, (2**depth, 3))
    content = png(numbers, depth, PALETTE, before=[(b"PLTE", palette.astype(np.uint8).tobytes())])
    np.testing.assert_array_equal(read(content), palette[numbers])
    if depth == 8:
        for scale in (256, 257):  # as they are written where colours have bytes
            tags = tags_of(numbers, depth, 3, t320=(scale * palette.T).ravel().tolist())
            found = read(tiff(numbers.astype(np.uint8).tobytes(), tags), "picture.tif")
            np.testing.assert_array_equal(found, palette[numbers])


def test_colours_are_as_they_are_stored_under_any_suffix(read):
    opaque = np.concatenate([COLOURS, np.full((SIDE, SIDE, 1), 255)], -1)
    unused = [(b"tRNS", np.array([1, 2, 3], ">u2").tobytes())]
    files = {
        "rgb.png": png(COLOURS, colour=RGB),
        "rgb.jpg": png(COLOURS, colour=RGB),
        "opaque.png": png(opaque, colour=RGBA),
        "key.png": png(COLOURS, colour=RGB, before=unused),
        "rgb.tif": tiff(COLOURS.astype(np.uint8).tobytes(), tags_of(COLOURS, photometric=2)),
        "opaque.tif": tiff(opaque.astype(np.uint8).tobytes(), tags_of(opaque, photometric=2, t338=[2])),
    }
    assert not (COLOURS == [1, 2, 3]).all(-1).any()
    for name, content in files.items():
        np.testing.assert_array_equal(read(content, name), COLOURS)
    grey = np.stack([ONE_GREY, np.full((SIDE, SIDE), 255)], -1)
    np.testing.assert_array_equal(read(png(grey, colour=GREY_ALPHA)), in_colour(ONE_GREY))


DEEP = COLOURS * 256 + 77
CLEAR = np.concatenate([COLOURS, np.full((SIDE, SIDE, 1), 255)], -1)
CLEAR[1, 2, 3] = 254
FOUR = np.concatenate([COLOURS, COLOURS[..., :1]], -1).astype(np.uint8)
MAP = (b"PLTE", bytes(range(12)))
TWO_BITS = ONE_GREY >> 6
LEVELS = np.arange(768) * 85 % 65536  # of a palette whose colours have 16 bits


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("48.png", png(DEEP, 16, RGB), "has 16 bits a channel; they must be at most 8: convert it, or load the"),
        ("16.png", png(DEEP[..., 0], 16, GREY), "has 16 bits a channel"),
        ("64.png", png(np.concatenate([DEEP, DEEP[..., :1]], -1), 16, RGBA), "has 16 bits a channel"),
        ("48.tif", tiff(DEEP.astype(">u2").tobytes(), tags_of(DEEP, 16, 2)), "has 16 bits a channel"),
        ("16.tif", tiff(DEEP[..., 0].astype(">u2").tobytes(), tags_of(DEEP[..., 0], 16)), "has 16 bits a channel"),
        ("float.tif", tiff(COLOURS[..., 0].astype(">f4").tobytes(), tags_of(ONE_GREY, 32, t339=[3])), "has 32 bits"),
        (
            "palette.tif",
            tiff(ONE_GREY.astype(np.uint8).tobytes(), tags_of(ONE_GREY, 8, 3, t320=LEVELS.tolist())),
            "has 16 bits a channel",
        ),
        (
            "signed.tif",
            tiff(ONE_GREY.astype(np.uint8).tobytes(), tags_of(ONE_GREY, t339=[2])),
            "has pixels of mode L (1 numbers a pixel, SampleFormat 2); they must be",
        ),
        (
            "more.tif",
            tiff(FOUR.tobytes(), tags_of(FOUR, photometric=2, t338=[0])),
            "(4 numbers a pixel, SampleFormat 1); they must be 1, L, LA, P, RGB, RGBA, whole numbers",
        ),
        ("inks.tif", tiff(FOUR.tobytes(), tags_of(FOUR, photometric=5)), "has pixels of mode CMYK (4 numbers a pixel"),
        ("clear.png", png(CLEAR, colour=RGBA), "has 1 pixels that are transparent, and does not say before what"),
        ("grey.png", png(CLEAR[..., 2:], colour=GREY_ALPHA), "has 1 pixels that are transparent"),
        (
            "clear.tif",
            tiff(CLEAR.astype(np.uint8).tobytes(), tags_of(CLEAR, photometric=2, t338=[2])),
            "has 1 pixels that are transparent",
        ),
        (
            "key.png",
            png(COLOURS, colour=RGB, before=[(b"tRNS", struct.pack(">3H", *COLOURS[0, 0]))]),
            "has 1 pixels that are transparent",
        ),
        (
            "greykey.png",
            png(ONE_GREY, before=[(b"tRNS", struct.pack(">H", ONE_GREY[0, 0]))]),
            f"has {np.count_nonzero(ONE_GREY[0, 0] == ONE_GREY)} pixels that are transparent",
        ),
        (
            "palette.png",
            png(TWO_BITS, 2, PALETTE, before=[MAP, (b"tRNS", b"\xff\x80")]),
            f"has {(TWO_BITS == 1).sum()} pixels that are transparent",
        ),
        (
            "fewbits.png",
            png(TWO_BITS, 2, before=[(b"tRNS", struct.pack(">H", TWO_BITS[0, 0]))]),
            "has a grey of 2 bits that is transparent; put it on a background first",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_bytes_of_colour_do_not_hold_is_refused(read, name, content, message):
    with pytest.raises(DataError) as refusal:
        read(content, name)
    assert f"/{name} has " in str(refusal.value)
    assert message in str(refusal.value)


@pytest.mark.parametrize(("name", "format"), [("a.tif", "TIFF"), ("a.png", "PNG"), ("a.jpg", "MPO")])
def test_several_pictures_in_a_file_are_refused(tmp_path, name, format):
    first, second = (Image.fromarray(x.astype(np.uint8)) for x in (COLOURS, 255 - COLOURS))
    first.save(tmp_path / name, format=format, save_all=True, append_images=[second])
    with pytest.raises(DataError, match=rf"{name} holds 2 pictures \(pages, frames or previews\); give each one that"):
        read_square(tmp_path / name, SIDE)


@pytest.mark.parametrize("format", ["GIF", "BMP", "WEBP", "EPS", "PDF"])
def test_other_formats_are_refused_under_whatever_name(tmp_path, format):
    Image.fromarray(COLOURS.astype(np.uint8)).save(tmp_path / "a.png", format=format)
    with pytest.raises(DataError, match=r"a\.png cannot be read as picture \(PNG, JPEG or TIFF\); it may be damaged"):
        read_square(tmp_path / "a.png", SIDE)


def test_inks_of_a_jpeg_are_refused(tmp_path):
    Image.frombytes("CMYK", (SIDE, SIDE), FOUR.tobytes()).save(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg has pixels of mode CMYK; they must be"):
        read_square(tmp_path / "a.jpg", SIDE)
