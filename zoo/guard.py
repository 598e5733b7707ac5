"""Training steps that leave no trace where their gradients are not finite."""

import keras
import tensorflow as tf


class Guard:
    """Takes a model's training steps, but for those whose gradient is not finite.

    That is one whose global norm, over all weights, is infinite or NaN in float32. Such
    a step is counted and leaves these as they were: weights, the optimiser's moments
    and iterations, moving averages of weights, statistics of batch normalisation and
    other state of layers, and the metrics. The counters of the noise and of schedules
    go on. A loss scale is lowered, as Keras does.

    It adds two metrics to those of training, for every epoch:

        gradient_norm   mean of the norms of the steps taken, before any clipping
        skipped_steps   number of the others

    If an epoch has no step taken, all metrics but the last one are NaN.

    What it cannot know is a finite step that was too large, after which every gradient
    is infinite: `global_clipnorm` of a Keras optimiser is against that.
    """

    def __init__(self):
        self.norm = keras.metrics.Mean("gradient_norm")
        self.skipped = keras.metrics.Sum("skipped_steps")

    def reset(self) -> None:
        self.norm.reset_state()
        self.skipped.reset_state()

    def train_step(self, model: keras.Model, data) -> dict[str, tf.Tensor]:
        """As Keras' own; `loss` is the first of the model's metrics."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        optimizer, variables = model.optimizer, model.trainable_variables
        state = [v for v in model.non_trainable_variables if is_float(v)]
        state += model.metrics_variables
        before = [tf.identity(v) for v in state]

        with tf.GradientTape() as tape:
            output = model(x, training=True)
            loss = model.compute_loss(x, y, output, weights, training=True)
            scaled = optimizer.scale_loss(loss)
        model.metrics[0].update_state(loss, tf.shape(output)[0])
        model.compute_metrics(x, y, output, weights)
        gradients = tape.gradient(scaled, [v.value for v in variables])
        norm = tf.linalg.global_norm(gradients) / optimizer.scale_loss(1.0)
        taken = tf.math.is_finite(norm)

        def apply():
            optimizer.apply_gradients(zip(gradients, variables))
            return True

        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            apply()  # which leaves the step out by itself
        else:
            tf.cond(taken, apply, lambda: False)
        for variable, value in zip(state, before):
            variable.assign(tf.where(taken, variable, value))
        self.norm.update_state(tf.where(taken, norm, 0.0), tf.cast(taken, tf.float32))
        self.skipped.update_state(tf.cast(~taken, tf.float32))

        logs = {**model.get_metrics_result(), self.norm.name: self.norm.result()}
        any_taken = self.norm.count > 0
        logs = {k: tf.where(any_taken, v, float("nan")) for k, v in logs.items()}
        return {**logs, self.skipped.name: self.skipped.result()}


def is_float(variable: keras.Variable) -> bool:
    return tf.as_dtype(variable.dtype).is_floating
