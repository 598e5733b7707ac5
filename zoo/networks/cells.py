"""Residual cells of deep hierarchies: y + 0.1 f(y) of maps `[B, H, W, C]`.

Batch normalisation comes before every activation, which is swish, and
squeeze-excitation last.
"""

import keras
import tensorflow as tf
from keras import layers

from zoo import checks


@keras.saving.register_keras_serializable("zoo")
class SqueezeExcitation(layers.Layer):
    """Weighs each channel by what all places together say:

        y * sigmoid(W_2 relu(W_1 mean(y)))

    Reference: Hu et al., "Squeeze-and-Excitation Networks", 2018, eqs. 2-4.
    """

    def build(self, shape):
        channels = shape[-1]
        hidden = max(channels // 16, 4)
        self.squeeze = layers.Dense(hidden, "relu", dtype=self.dtype_policy)
        self.excite = layers.Dense(channels, "sigmoid", dtype=self.dtype_policy)
        self.squeeze.build((None, channels))
        self.excite.build((None, hidden))

    def call(self, y):
        means = tf.reduce_mean(y, axis=[1, 2])
        return y * self.excite(self.squeeze(means))[:, None, None]

    def compute_output_shape(self, shape):
        return shape


@keras.saving.register_keras_serializable("zoo")
class Cell(layers.Layer):
    """y + 0.1 f(y), where f keeps the shape.

    Args:
        kind: what f is made of:
            "plain": two convolutions of 3 x 3, each behind a normalised swish, the
            encoder's cell of the paper, and the faster one on a processor;
            "depthwise": one to `expansion` times the channels at each place, one of
            5 x 5 of each channel alone, one back to all channels: the decoder's cell
            of the paper, without the first swish, and normalised once more at its end.
            The one of 5 x 5 stays float32.
        expansion: see "depthwise".
        regularizer: of the convolutions' kernels, such as a `SpectralPenalty`.

    Reference: Vahdat & Kautz, "NVAE", 2020, figure 3.
    """

    def __init__(
        self, kind: str = "plain", expansion: int = 6, regularizer=None, **kwargs
    ):
        super().__init__(**kwargs)
        wanted = "`kind` must be plain or depthwise."
        checks.require(kind in ("plain", "depthwise"), wanted, f"{kind=}")
        self.kind = kind
        self.expansion = expansion
        self.regularizer = keras.regularizers.get(regularizer)

    def build(self, shape):
        channels, wide = shape[-1], self.expansion * shape[-1]
        options = {"padding": "same", "use_bias": False, "dtype": self.dtype_policy}
        held = {**options, "kernel_regularizer": self.regularizer}
        if self.kind == "plain":
            convs = [layers.Conv2D(channels, 3, **held) for _ in range(2)]
        else:
            one_by_one = layers.Conv2D(wide, 1, **held)
            depthwise = layers.DepthwiseConv2D(5, **{**options, "dtype": "float32"})
            convs = [one_by_one, depthwise, layers.Conv2D(channels, 1, **held)]
        self.parts = []
        for conv in convs:
            swish = layers.Activation("swish", dtype="float32")
            self.parts += [normalisation(), swish, conv]
        if self.kind == "depthwise":
            del self.parts[1]
            self.parts.append(normalisation())
        self.parts.append(SqueezeExcitation(dtype=self.dtype_policy))
        for part in self.parts:
            part.build(shape)
            shape = part.compute_output_shape(shape)

    def call(self, y):
        f = y
        for part in self.parts:
            f = part(f)
        return y + 0.1 * tf.cast(f, y.dtype)

    def compute_output_shape(self, shape):
        return shape


class BatchNormalization(layers.BatchNormalization):
    """Keras' layer of the same name, for maps, trained by TensorFlow's fused kernel.

    With Keras' defaults but for `momentum`, outputs, gradients and moving statistics
    are Keras', in a third less time. So are its weights and their names in a file.
    """

    def call(self, x, training=None):
        if not (training and self.trainable):
            return super().call(x)
        x, none = tf.cast(x, tf.float32), tf.zeros([0])
        weights = {"scale": self.gamma, "offset": self.beta, "epsilon": self.epsilon}
        given = {"mean": none, "variance": none, "is_training": True}
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(x=x, **weights, **given)
        places = tf.cast(tf.size(x) // x.shape[-1], tf.float32)
        variance *= (places - 1) / places  # the kernel divides by one place less
        for moving, now in (self.moving_mean, mean), (self.moving_variance, variance):
            moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return y


def normalisation() -> BatchNormalization:
    return BatchNormalization(momentum=0.95, dtype="float32")
