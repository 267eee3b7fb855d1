"""PNG, JPEG and TIFF files put together byte by byte, for what Pillow does not write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types of PNG
SHORT, LONG = 3, 4  # types of TIFF's numbers


def chunk(name, content):
    """One chunk of a PNG file."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(numbers, depth=8, colour=GREY, before=(), after=()):
    """A PNG file of whole numbers [row, column] or [row, column, channel] of so many bits; chunks before and after."""
    rows, columns = numbers.shape[:2]
    bits = (numbers.reshape(rows, -1, 1) >> np.arange(depth)[::-1]) & 1
    lines = np.packbits(bits.reshape(rows, -1).astype(np.uint8), axis=1)
    header = struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    chunks = [(b"IHDR", header), *before, (b"IDAT", data), *after, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def tiff(content, tags, order=">"):
    """A TIFF file of one strip; `tags` are {number: values}, to which the strip's place and length are added."""
    tags = dict(sorted((tags | {273: [8], 278: tags[257], 279: [len(content)]}).items()))
    start = 8 + len(content) + len(content) % 2
    outside = start + 2 + 12 * len(tags) + 4
    entries, more = b"", b""
    for number, values in tags.items():
        packed = struct.pack(f"{order}{len(values)}H", *values)
        if len(packed) > 4:
            packed, more = struct.pack(f"{order}I", outside + len(more)), more + packed
        entries += struct.pack(f"{order}HHI", number, SHORT, len(values)) + packed.ljust(4, b"\0")
    header = (b"MM" if order == ">" else b"II") + struct.pack(f"{order}HI", 42, start)
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return header + content.ljust(start - 8, b"\0") + directory + more


def tags_of(numbers, bits=8, photometric=1, **others):
    """Baseline tags of pixels that are not compressed."""
    rows, columns, *channels = numbers.shape
    count = channels[0] if channels else 1
    return {256: [columns], 257: [rows], 258: [bits] * count, 259: [1], 262: [photometric], 277: [count]} | {
        int(name[1:]): values for name, values in others.items()
    }


def exif(orientation):
    """What EXIF says of the way up, alone: a TIFF file of one tag."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, SHORT, 1, orientation, 0, 0)


def jpeg(grey, orientation):
    """A JPEG file whose first segment is EXIF's."""
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "JPEG", quality=100)
    segment = b"Exif\0\0" + exif(orientation)
    whole = file.getvalue()
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]
