"""Files of some kilobytes that say, or would unpack to, gigabytes: they are refused before memory is taken."""

import ast
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from tests.support import air
from tests.support.memory import little_memory
from tests.support.picture_bytes import chunk, png
from widesym import analysis, ensembles, launch, models
from widesym.ensembles.data import DataError
from widesym.ensembles.data.cache import cached, entry_of, file_sha256
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.idx import read_idx
from widesym.ensembles.data.readers.image_folders import ImageFolders, area_means
from widesym.ensembles.data.readers.npz import Npz
from widesym.ensembles.data.readers.picture_files import MOST_SIDE, side_of
from widesym.ensembles.data.stored import load_dataset

BLOCKS = 512  # of 1 MiB, from half a megabyte of file


def header(samples):
    return repr({"descr": "|u1", "fortran_order": False, "shape": (samples, 1024, 1024)}) + "\n"


def test_means_over_areas_of_large_pictures_take_little_memory():
    """What 3001 and 32 have no common divisor for: 27 MB of pixels, which were cut into 3.5 GB of parts. The means are
    those of weights W with W[i, p] the part of pixel p that lies in area i: W x Wᵀ, in float64.
    """
    side, size = 3001, 32
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    with little_memory(2**24):
        found = area_means(pixels, size)
    edges = np.arange(size + 1) * side / size
    places = np.arange(side)
    weights = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    weights = np.maximum(weights, 0) * size / side
    expected = np.einsum("ip,pqc,jq->ijc", weights, pixels, weights, optimize=True)
    # Rounding to whole numbers takes 0.5; float64's own is some 1e-11.
    assert abs(found - expected).max() < 0.5 + 1e-9


def test_a_picture_that_says_it_is_large_is_refused_by_its_header(tmp_path):
    side = MOST_SIDE + 1
    ihdr = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", ihdr), (b"IDAT", b"x\x9c"), (b"IEND", b"")]
    (tmp_path / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks))
    with little_memory(), pytest.raises(DataError, match=rf"0.png has {side}×{side} pixels; a side of 8192 is the mo"):
        side_of(tmp_path / "0.png", 32)


def test_ghostscript_is_not_started_by_a_picture_that_is_eps(tmp_path, monkeypatch):
    """Pillow knows files by what is in them, and hands EPS to Ghostscript, which runs what they say."""
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))
    started = []
    drawn = Image.new("RGB", (4, 4)).im
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: started.append(True) or drawn)
    for name in ("a", "b"):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "0.png").write_bytes(png(np.ones((4, 4), int)))
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n"
    (tmp_path / "set" / "b" / "0.png").write_bytes(postscript)
    with pytest.raises(DataError, match=r"b/0.png cannot be read as picture \(PNG, JPEG or TIFF\)"):
        ImageFolders(tmp_path / "set", 2).load()
    assert not started
    with Image.open(tmp_path / "set" / "b" / "0.png") as picture:  # in whatever format
        picture.load()
    assert started


@pytest.mark.parametrize("package", [analysis, ensembles, launch, models], ids=lambda package: package.__name__)
def test_pictures_are_opened_in_formats_that_are_named(package):
    """Wherever they are: `Image.open` without formats takes any of some forty decoders."""
    for file in Path(package.__path__[0]).resolve().rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Image.open"):
                assert "formats" in {keyword.arg for keyword in node.keywords}, f"{file}, line {node.lineno}"


@pytest.mark.parametrize(
    ("load", "names"),
    [
        (lambda path: Npz(path).load(), ("images", "labels")),
        (load_dataset, ("inputs", "about")),
    ],
    ids=["source", "run"],
)
def test_air_in_an_archive_is_not_unpacked(tmp_path, load, names):
    path = tmp_path / "air.npz"
    path.write_bytes(air.npz(dict.fromkeys(names, (header(BLOCKS), BLOCKS))))
    assert path.stat().st_size < 2**21
    with little_memory(), pytest.raises(DataError, match=rf"{names[0]}\].* takes {BLOCKS * 2**20} bytes; of the \d+ b"):
        load(path)


def test_air_in_a_gzipped_file_is_not_unpacked(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(air.gzipped(struct.pack(">BBBB3I", 0, 0, 8, 3, BLOCKS, 1024, 1024), BLOCKS))
    with little_memory(), pytest.raises(DataError, match=rf"gz has \d+ bytes, gzipped, of which {2**28} are read at m"):
        read_idx(path, axes=3)


def test_what_pictures_are_packed_to_is_unpacked(tmp_path):
    """The limit is far from a file whose pictures are all alike."""
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(air.gzipped(struct.pack(">BBBB3I", 0, 0, 8, 3, 2, 1024, 1024), 2)[:-8])
    with pytest.raises(DataError, match="cut short"):  # at its checksum, once all is unpacked
        read_idx(path, axes=3)


def test_an_entry_of_the_cache_that_says_much_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path))
    source = {"source": "four pictures"}
    made = Raw("four", RawSplit(np.ones((4, 2, 2, 1)), np.arange(4) % 2), None, "made up", ("a", "b"))
    cached("four", source, lambda: made)
    entry = entry_of("four", source)
    file, facts = entry.path / "train.inputs.npy", entry.path / "entry.json"
    file.write_bytes(file.read_bytes().replace(b"(4, 2, 2, 1), }         ", b"(4000000000000, 2, 1), }"))
    content = json.loads(facts.read_text())
    content["files"][file.name]["sha256"] = file_sha256(file)
    facts.write_text(json.dumps(content))
    with little_memory(), pytest.raises(DataError, match=rf"{entry.path} cannot be read \(.*; remove {entry.path}"):
        entry.read()
