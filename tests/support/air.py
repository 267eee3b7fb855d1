"""Small files that are mostly air: they say that they unpack to very much, and would."""

import io
import struct
import zipfile
import zlib

BLOCK = 2**20  # zeros that each repeated block of packed bytes stands for


def deflated(start, blocks):
    """Packed bytes (RFC 1951) of `start` and as many blocks of zeros, none of which is ever held whole."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    begun = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)
    return begun + block * blocks + packer.flush()


def gzipped(start, blocks):
    """A .gz file (RFC 1952) of these; its checksum, which comes last, is wrong."""
    return b"\x1f\x8b\x08" + bytes(7) + deflated(start, blocks) + bytes(8)


def npz(arrays):
    """An .npz file; `arrays` are the header's text and the blocks of each by its name."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, (header, blocks) in arrays.items():
            start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
            archive.writestr(f"{name}.npy", deflated(start, blocks))
            info = archive.getinfo(f"{name}.npy")
            info.compress_type, info.file_size = zipfile.ZIP_DEFLATED, len(start) + blocks * BLOCK
    return file.getvalue()
