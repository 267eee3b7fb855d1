"""Arrays in .npz archives, none of which takes more memory than its part of the file accounts for."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from numpy.lib.npyio import NpzFile

DEFLATED = 1032  # bytes that one byte of gzip's format can stand for at most (https://zlib.net/zlib_tech.html)
UNPACKED = 2**28  # bytes that any packed file may become; more are unpacked only as far as pictures could be packed
PICTURES_DEFLATED = 64  # bytes of pictures that one packed byte may stand for, if they are more; of MNIST it is five
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def most_unpacked(packed: int) -> int:
    """The most bytes that are unpacked of so many packed ones, so that small files do not fill the memory."""
    return min(DEFLATED * packed, max(UNPACKED, PICTURES_DEFLATED * packed))


def read_array(path: Path, archive: NpzFile, name: str) -> Shaped[np.ndarray, "..."]:
    """An array of the archive at `path`; raises ValueError, which names both, for one that is said to be larger than
    its part of the file accounts for, before memory is taken for it, and KeyError where there is none.
    """
    assert archive.zip is not None
    info = archive.zip.getinfo(f"{name}.npy")
    packed = min(info.compress_size, path.stat().st_size)
    most = min(info.file_size, most_unpacked(packed) if info.compress_type else packed)
    with archive.zip.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in HEADERS:
            raise ValueError(f"{path}[{name}] is written in version {version} of NumPy's format; expected 1.0 or 2.0")
        shape, _, dtype = HEADERS[version](member)
    if (size := math.prod(shape) * dtype.itemsize) > most:
        raise ValueError(
            f"{path}[{name}]: {dtype} array of shape {shape}, which takes {size} bytes; of the {packed} bytes that it "
            f"has in the file {most} are unpacked at most"
        )
    return archive[name]
