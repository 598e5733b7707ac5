"""Models whose images a discriminator judges: two losses, and an optimiser for each."""

import keras
import tensorflow as tf

from zoo import checks, schedules
from zoo.latent import LatentVariableModel
from zoo.schedules import Schedule


class Adversarial(LatentVariableModel):
    """Base of the models that may learn against a discriminator, by hinge losses.

    With d the mean of its outputs for an image, m what the model makes of x, and
    gradients that reach neither the discriminator's weights by the first term, nor the
    model's by the second:

        adversarial    -adversarial_weight * d(m)
        discriminator  max(0, 1 - d(x)) + max(0, 1 + d(m))

    So one loss does for both, in a training loop of one's own too.

    Args:
        discriminator: Keras network from images to numbers that are high for true ones,
            such as `zoo.networks.conv_discriminator`; None for no such terms.
        adversarial_weight: see above; a number or a schedule of the training step.
        **kwargs: as for `zoo.LatentVariableModel`.

    Raises:
        ValueError: if the weight is negative.

    Reference: Miyato et al., "Spectral Normalization for Generative Adversarial
    Networks", 2018, eqs. 16-17.
    """

    def __init__(
        self,
        *,
        discriminator: keras.Model | None = None,
        adversarial_weight: Schedule = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        checks.not_negative(scheduled=True, adversarial_weight=adversarial_weight)
        self.discriminator = discriminator
        self.adversarial_weight = adversarial_weight

    def adversarial_terms(self, x, m) -> dict[str, tf.Tensor]:
        """Both terms of images and of what is made of them, `[B]`."""
        if self.discriminator is None:
            return {}
        d_x = score(self.discriminator(x))
        d_m = score(self.discriminator(tf.stop_gradient(m)))
        judged = score(held_fixed(self.discriminator, m))
        weight = schedules.value(self.adversarial_weight, self.step)
        return {
            "adversarial": -weight * judged,
            "discriminator": tf.nn.relu(1.0 - d_x) + tf.nn.relu(1.0 + d_m),
        }

    def compile(self, optimizer="adam", discriminator_optimizer=None, **kwargs):
        """As for every model; the discriminator's optimiser is else one like the other.

        Raises a ValueError if there is one without a discriminator, or it is the same.
        """
        checks.check_optimizer(optimizer)
        optimizer = keras.optimizers.get(optimizer)
        optimizer.build(self.generator_variables)
        super().compile(optimizer, **kwargs)
        if self.discriminator is None:
            wanted = "`discriminator_optimizer` needs a `discriminator`."
            checks.require(discriminator_optimizer is None, wanted, "none")
            return
        config = keras.optimizers.serialize(optimizer)
        other = keras.optimizers.get(discriminator_optimizer or config)
        wanted = "`discriminator_optimizer` must be another one than `optimizer`."
        checks.require(other is not optimizer, wanted, "the same twice")
        scaled = keras.optimizers.LossScaleOptimizer
        if isinstance(self.optimizer, scaled) and not isinstance(other, scaled):
            other = scaled(other)
        other.build(self.discriminator.trainable_variables)
        self.discriminator_optimizer = other

    def get_compile_config(self):
        config = super().get_compile_config()
        if config and self.discriminator is not None:
            other = keras.optimizers.serialize(self.discriminator_optimizer)
            config["discriminator_optimizer"] = other
        return config

    def train_step(self, data):
        """One step of both optimisers, of the same images and draws."""
        if self.discriminator is None:
            return super().train_step(data)
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        pairs = (
            (self.optimizer, self.generator_variables),
            (self.discriminator_optimizer, self.discriminator.trainable_variables),
        )
        with tf.GradientTape(persistent=True) as tape:
            output = self(x, training=True)
            loss = self.compute_loss(x, y, output, weights, training=True)
            losses = [optimizer.scale_loss(loss) for optimizer, _ in pairs]
        devices = self.distribute_strategy.num_replicas_in_sync  # each has its share
        self.metrics[0].update_state(devices * loss, tf.shape(output)[0])
        for (optimizer, variables), scaled in zip(pairs, losses):
            gradients = tape.gradient(scaled, [v.value for v in variables])
            optimizer.apply_gradients(zip(gradients, variables))
        return self.compute_metrics(x, y, output, weights)

    @property
    def generator_variables(self) -> list[keras.Variable]:
        """All that learns, but for the discriminator's."""
        if self.discriminator is None:
            return self.trainable_variables
        others = {id(v) for v in self.discriminator.trainable_variables}
        return [v for v in self.trainable_variables if id(v) not in others]


def score(outputs: tf.Tensor) -> tf.Tensor:
    """The mean of each row, `[B]`."""
    axes = list(range(1, outputs.shape.rank))
    return tf.reduce_mean(tf.cast(outputs, tf.float32), axis=axes)


def held_fixed(network: keras.Model, x: tf.Tensor) -> tf.Tensor:
    """What a network says of x, so that gradients reach x and none of its weights."""
    weights = [tf.stop_gradient(v.value) for v in network.trainable_variables]
    return network.stateless_call(weights, network.non_trainable_variables, x)[0]
