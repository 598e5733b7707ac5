"""Conditional VAE: images given their labels."""

import keras
import tensorflow as tf

from zoo import checks
from zoo.vae import VAE


@keras.saving.register_keras_serializable("zoo")
class ConditionalVAE(VAE):
    """p(x, z | label) = p(x | z, label) p(z): z keeps what the label does not tell.

    Data are dicts of `x` and `label`, whole numbers from 0. The label, one-hot, stands
    beside the encoder's features and beside z. It is sampled by class:

        cvae.sample(10, {"label": np.arange(10)})

    Args:
        encoder: as for `VAE`.
        decoder: likewise, from `[B, latent_dim + num_classes]`.
        latent_dim: number of latent dimensions D.
        num_classes: labels are 0, ..., num_classes - 1.
        **kwargs: as for `VAE`.

    Raises:
        ValueError: if the networks, the heads and the sizes do not fit together.

    Example:
        cvae = zoo.ConditionalVAE(encoder, decoder, latent_dim=32, num_classes=10)
        cvae.fit({"x": images, "label": labels}, batch_size=128, epochs=20)

    Reference: Sohn, Lee & Yan, "Learning Structured Output Representation using Deep
    Conditional Generative Models", 2015, eq. 4, with a prior that knows no label.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: int,
        num_classes: int,
        **kwargs,
    ):
        checks.at_least(1, num_classes=num_classes)
        super().__init__(encoder, decoder, latent_dim, **kwargs)
        self.num_classes = num_classes

    @property
    def fields(self):
        label = checks.Field((), "int32", (0, self.num_classes - 1))
        return {**super().fields, "label": label}

    @property
    def decoder_dim(self):
        return self.latent_dim + self.num_classes

    def features(self, x, given):
        """The encoder's features and the label, `[B, H + num_classes]`."""
        return self.labelled(super().features(x, given), given["label"])

    def likelihood(self, out, given):
        return super().likelihood(self.labelled(out, given["label"]), given)

    def labelled(self, rows, label) -> tf.Tensor:
        """`[B, H]` and labels `[B]` side by side; NaN where a label is no class."""
        label = tf.one_hot(label, self.num_classes, dtype=rows.dtype)
        return tf.concat([rows, label / tf.reduce_sum(label, -1, True)], axis=-1)
