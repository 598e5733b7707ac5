"""Images as the page sends and shows them: data URLs of small files."""

import base64
import binascii
import io
import warnings

import numpy as np
from PIL import Image, ImageOps

from zoo.checks import require

MAX_BYTES = 4 * 2**20  # of a file
MAX_PIXELS = 2**24  # of an image; a small file may hold many more
MODES = {1: "L", 3: "RGB"}  # by the number of channels


def from_url(url: str, shape: tuple[int, int, int]) -> np.ndarray:
    """The image of a data URL, its middle brought to a shape `[H, W, C]`, uint8.

    Raises:
        ValueError: if it is no PNG or JPEG, or a file or an image too large.
    """
    text = url if isinstance(url, str) else ""
    try:
        file = base64.b64decode(text.partition(";base64,")[2], validate=True)
    except binascii.Error:
        file = b""
    wanted = "An image must come as a data URL in base64."
    require(file, wanted, f"{type(url).__name__} of {len(text)} characters")
    wanted = f"An image file must have at most {MAX_BYTES} bytes."
    require(len(file) <= MAX_BYTES, wanted, f"{len(file)} bytes")
    height, width, channels = shape
    try:
        with opened(file) as image:
            pixels = ImageOps.fit(image.convert(MODES[channels]), (width, height))
    except (OSError, SyntaxError) as error:  # Pillow's words for damaged files
        raise ValueError(
            f"An image must be a whole PNG or JPEG file. Received: {len(file)} bytes"
        ) from error
    return np.reshape(np.asarray(pixels), shape)


def opened(file: bytes) -> Image.Image:
    """An image whose header alone is read, and that is not too large to read on."""
    wanted = f"An image must have at most {MAX_PIXELS} pixels."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(file), formats=("PNG", "JPEG"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"{wanted} Received: far more") from None
    width, height = image.size
    require(width * height <= MAX_PIXELS, wanted, f"{width} x {height}")
    return image


def as_url(image: np.ndarray) -> str:
    """The data URL of a PNG of an image `[H, W, C]` in [0, 1]; beyond, it is cut."""
    pixels = np.uint8(np.round(255 * np.clip(image, 0, 1)))
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
        file, "PNG"
    )
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
