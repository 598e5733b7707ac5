"""PNG and JPEG files in a graph: a server decodes them before the model sees them."""

import numpy as np
import tensorflow as tf

from zoo.checks import Field

IMAGE_BYTES = "image_bytes"  # the input that holds them
# How a file begins. Of a PNG that is its header's frame; its size follows at once.
PNG, JPEG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff"
SIZE = 8  # bytes of a PNG's width and height


def takes_files(x: Field) -> bool:
    """Whether such x are images of one or three channels that may lie in [0, 1]."""
    (low, high), channels = x.support, x.shape[2:]
    return x.dtype == "float32" and low <= 0 < 1 <= high and channels in ((1,), (3,))


def images(files: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """Images `[B, H, W, C]` in [0, 1] of whole PNG or JPEG files `[B]`.

    Colours become grey where C is 1, and grey three channels where it is 3; an alpha
    channel is left out. A file must have H x W pixels, which its header tells before
    it is decoded: a small file that would unfold to a large image costs no memory. An
    assertion in the graph refuses others.
    """

    def image(file):
        png = _begins(file, PNG) & (tf.strings.length(file) >= len(PNG) + SIZE)
        wanted = f"{IMAGE_BYTES} must be PNG or JPEG files."
        file = _require(file, wanted, png | _begins(file, JPEG), _shown(file))
        size = tf.cond(png, lambda: _png_size(file), lambda: _jpeg_size(file))
        wanted = f"{IMAGE_BYTES} must have a height and a width of {shape[:2]} pixels."
        file = _require(file, wanted, tf.reduce_all(size == shape[:2]), size)
        pixels = tf.io.decode_image(file, shape[-1], expand_animations=False)
        return tf.cast(tf.ensure_shape(pixels, shape), tf.float32) / 255.0

    with tf.device("CPU"):  # no other device has strings
        spec = tf.TensorSpec(shape, tf.float32)
        return tf.map_fn(image, files, fn_output_signature=spec)


def black(shape: tuple[int, int, int]) -> tf.Tensor:
    """The PNG file of a black image `[H, W, C]`, `[]`."""
    return tf.io.encode_png(np.zeros(shape, "uint8"))


def _begins(file, start):
    return tf.strings.substr(file, 0, len(start)) == start


def _png_size(file):
    words = tf.strings.substr(file, len(PNG), SIZE)
    return tf.io.decode_raw(words, tf.int32, little_endian=False)[::-1]


def _jpeg_size(file):
    return tf.io.extract_jpeg_shape(file)[:2]


def _shown(file):
    """The first bytes of a file, ? where they are no text, and how many there are."""
    start = tf.strings.unicode_transcode(
        tf.strings.substr(file, 0, 8),
        *("UTF-8", "UTF-8"),
        replacement_char=ord("?"),
        replace_control_characters=True,
    )
    count = tf.strings.as_string(tf.strings.length(file))
    return tf.strings.join([start, " (", count, " bytes)"])


def _require(file, wanted, good, received):
    """The file behind an assertion."""
    data = [f"{wanted} Received:", received]
    with tf.control_dependencies([tf.raw_ops.Assert(condition=good, data=data)]):
        return tf.identity(file)
