"""M2: a conditional VAE that learns from a few labels and many images without."""

import math

import keras
import tensorflow as tf

from zoo import checks, parts
from zoo.devices import mean_of_all
from zoo.generative import Measures
from zoo.variants.conditional_vae import ConditionalVAE

UNKNOWN = -1  # the label of an image without one


@keras.saving.register_keras_serializable("zoo")
class SemiSupervisedVAE(ConditionalVAE):
    """A label is a latent where it is unknown: then all classes are summed over.

    Unknown is -1, and so is what stands beside x alone. What is no label at all makes
    the objective NaN, should a later batch of a data set have it.

    With q(y|x) from the classifier and U(x, y) the ELBO of an image with its label,

        U(x, y) = log p(x|z, y) + log p(y) - KL(q(z|x, y) || p(z)),  p(y) uniform
        with a label:  -U(x, y) - alpha log q(y|x)
        without:       -sum_y q(y|x) (U(x, y) - log q(y|x))

    where the cross-entropy's mean is over the images with a label. `predict` returns
    q(y|x) `[B, num_classes]`, and `accuracy` is that of the known labels.

    Args:
        encoder, decoder, latent_dim, num_classes: as for `ConditionalVAE`.
        classifier: Keras network from data to logits `[B, num_classes]`.
        alpha: weight of the cross-entropy.
        **kwargs: as for `ConditionalVAE`, without `objective`.

    Raises:
        ValueError: if the networks, the heads and the sizes do not fit together.

    Example:
        m2 = zoo.SemiSupervisedVAE(encoder, decoder, 50, 10, classifier)
        m2.fit({"x": images, "label": np.where(known, labels, -1)}, epochs=50)

    Reference: Kingma et al., "Semi-Supervised Learning with Deep Generative Models",
    2014, eqs. 6-9 (M2).
    """

    derived = ("objective",)

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        latent_dim: int,
        num_classes: int,
        classifier: keras.Model,
        alpha: float = 0.1,
        **kwargs,
    ):
        super().__init__(encoder, decoder, latent_dim, num_classes, **kwargs)
        self.classifier = classifier
        self.alpha = alpha
        checks.not_negative(alpha=alpha)
        wanted = "`classifier` must return logits of shape "
        wanted += f"[batch, {num_classes}] of the encoder's inputs, without a softmax."
        fits = classifier.built and classifier.output_shape[1:] == (num_classes,)
        fits = fits and classifier.input_shape == encoder.input_shape
        last = parts.last_activation(classifier)
        fits = fits and last not in ("softmax", "sigmoid")
        checks.require(fits, wanted, f"{classifier.name}, {last} last")

    @property
    def fields(self):
        fields = super().fields
        support = UNKNOWN, self.num_classes - 1
        label = fields["label"]._replace(support=support, default=UNKNOWN)
        return {**fields, "label": label}

    @property
    def given_fields(self):
        """A label, which must be known to make an image."""
        return {"label": super().fields["label"]}

    def measure(self, x, given, seed, num_samples=None):
        log_q = tf.nn.log_softmax(tf.cast(self.classifier(x), tf.float32))  # [B, C]
        row = tf.one_hot(given["label"], self.num_classes)  # zeros where it is unknown
        known = tf.reduce_sum(row, axis=-1)
        wrong = (known == 0.0) & (given["label"] != UNKNOWN)
        known = tf.where(wrong, math.nan, known)
        weights = tf.where(known[:, None] > 0, row, tf.exp(log_q))
        metrics = {
            name: tf.reduce_sum(weights * value, axis=-1)
            for name, value in self.of_classes(x, seed, num_samples or 1).items()
        }
        entropy = -(1.0 - known) * tf.reduce_sum(weights * log_q, axis=-1)
        metrics["elbo"] += entropy
        metrics["rate"] -= entropy
        guess = tf.one_hot(tf.argmax(log_q, axis=-1), self.num_classes)
        right, count = tf.reduce_sum(row * guess), tf.reduce_sum(known)
        accuracy = tf.math.divide_no_nan(right, count)
        metrics["accuracy"] = tf.fill(tf.shape(known), accuracy)
        cross_entropy = mean_of_known(-tf.reduce_sum(row * log_q, axis=-1), known)
        terms = {
            "negative_elbo": -metrics["elbo"],
            "alpha_cross_entropy": self.alpha * cross_entropy,
        }
        return Measures(terms, metrics, tf.exp(log_q), {"accuracy": known})

    def of_classes(self, x, seed, num_samples: int) -> dict[str, tf.Tensor]:
        """U, the rate and the distortion of every image with every label, `[B, C]`."""
        images, labels = self._with_classes(x)
        encoded = tf.tile(self.encoder(x), [self.num_classes, 1])
        features = self.labelled(encoded, labels)
        draw = self._sampling(seed, images, num_samples)
        _, log_p = self._drawn(draw, images, {"label": labels}, features)
        rate = tf.add_n(draw.rates) + math.log(self.num_classes)  # z's and the label's
        values = {"elbo": log_p - rate, "rate": rate, "distortion": -log_p}
        shape = [num_samples, self.num_classes, -1]
        return {
            name: tf.transpose(tf.reduce_mean(tf.reshape(value, shape), axis=0))
            for name, value in values.items()
        }

    def log_prob(self, x, given=None, **options):
        """Estimate of log p(x, label), or of log p(x) where it is unknown; `[B]` nats.

        Importance-weighted for each class, as in `VAE`, and exact in the sum over them;
        a chunk is of so many draws for each class.
        """
        x, given = self._as_batch(x, given)
        images, label = self._with_classes(x)
        log_p = super().log_prob(images, {"label": label}, **options)
        log_p = tf.reshape(log_p, [self.num_classes, -1]) - math.log(self.num_classes)
        own = tf.one_hot(given["label"], self.num_classes, 0.0, -math.inf, axis=0)
        own = tf.where(given["label"] == UNKNOWN, 0.0, own)
        return tf.reduce_logsumexp(log_p + own, axis=0)

    def moments(self, x, given=None):
        """As in `VAE`; the most probable label takes the place of an unknown one."""
        x, given = self._as_batch(x, given)
        return super().moments(x, self._guessed(x, given))

    def reconstruct(self, x, given=None):
        x, given = self._as_batch(x, given)
        return super().reconstruct(x, self._guessed(x, given))

    def interpolate(self, x_0, x_1, given=None, *, steps=8):
        """As in every model; a label is that of x_0."""
        x_0, given = self._as_batch(x_0, given)
        return super().interpolate(x_0, x_1, self._guessed(x_0, given), steps=steps)

    def _guessed(self, x, given):
        guess = tf.argmax(self.classifier(x), axis=-1, output_type=tf.int32)
        return {"label": tf.where(given["label"] == UNKNOWN, guess, given["label"])}

    def _with_classes(self, x):
        """Every image once for each label, and the labels, `[C*B, ...]`."""
        images = tf.tile(x, [self.num_classes] + [1] * (len(x.shape) - 1))
        return images, tf.repeat(tf.range(self.num_classes), tf.shape(x)[0])

    def log_weights(self, x, given=None, **options):
        """As in `VAE`: log p(x, label, z) - log q(z|x, label), of known labels."""
        x, given = self._as_batch(x, given)
        checks.check_arrays(given, self.given_fields, x.shape[0])
        log_w = super().log_weights(x, given, **options)
        return log_w - math.log(self.num_classes)


def mean_of_known(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    """The mean over the images with a label, 0 if there are none; `[B] -> []`."""
    share = mean_of_all(tf.reduce_mean(known))
    return tf.math.divide_no_nan(tf.reduce_mean(values * known), share)
