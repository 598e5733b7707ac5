"""Image files, whole ones and others, as people may send them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def png(width: int, height: int) -> bytes:
    """A small file whose header says that the image is of that size."""
    file = encoded(np.zeros((8, 8), "uint8"), "PNG")
    head = b"IHDR" + struct.pack(">II", width, height) + file[24:29]
    check = struct.pack(">I", zlib.crc32(head))
    return file[:12] + head + check + file[33:]


def jpeg(width: int, height: int) -> bytes:
    """Likewise."""
    file = encoded(np.zeros((8, 8), "uint8"), "JPEG")
    size = struct.pack(">HH", 8, 8)
    assert file.count(size) == 1
    return file.replace(size, struct.pack(">HH", height, width))


def gif() -> bytes:
    return encoded(np.zeros((8, 8), "uint8"), "GIF")


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    """The file of pixels `[H, W]` or `[H, W, 3]`, uint8."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


CUT = png(8, 8)[:60]
# What is no image of 8 x 8, and what a server says of it.
BAD = [
    (b"", "PNG or JPEG files. Received:] [ (0 bytes)]"),
    (b"an image", "PNG or JPEG files. Received:] [an image (8 bytes)]"),
    (gif(), "PNG or JPEG files. Received:] [GIF87a"),
    (png(8, 8)[:20], "PNG or JPEG files. Received:] [?PNG???? (20 bytes)]"),
    (CUT, "Invalid PNG data, size 60"),
    (png(8, 8)[:40], "Invalid PNG"),
    (jpeg(8, 8)[:20], "Invalid JPEG data, size 20"),
    (jpeg(8, 8)[:-4], "Invalid JPEG data"),
    (png(9, 8), "width of (8, 8) pixels. Received:] [8 9]"),
    (png(60_000, 60_000), "width of (8, 8) pixels. Received:] [60000 60000]"),
    (png(2**32 - 8, 8), "width of (8, 8) pixels. Received:] [8 -8]"),
    (jpeg(60_000, 50_000), "width of (8, 8) pixels. Received:] [50000 60000]"),
]
