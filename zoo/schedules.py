"""Weights that change while training, evaluated in the graph at every step.

Steps are counted from a model's first one on, through all of its fits: `model.step`.
"""

import keras
import tensorflow as tf

from zoo import checks

Schedule = float | keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable("zoo")
class Linear(keras.optimizers.schedules.LearningRateSchedule):
    """A straight line from `start` to `end` over `steps` training steps, then flat.

    Args:
        start: value at step 0.
        end: value from step `steps` on.
        steps: length of the ramp in training steps, at least one.

    Example:
        objective = zoo.objectives.ELBO(beta=zoo.schedules.Linear(0.0, 1.0, steps=9000))
    """

    def __init__(self, start: float, end: float, steps: int):
        checks.at_least(1, steps=steps)
        self.start = start
        self.end = end
        self.steps = steps

    def __call__(self, step):
        done = tf.minimum(tf.cast(step, tf.float32) / self.steps, 1.0)
        return self.start + (self.end - self.start) * done

    def get_config(self):
        return {"start": self.start, "end": self.end, "steps": self.steps}


def value(schedule: Schedule, step) -> float | tf.Tensor:
    """The schedule's value at `step`; constants are themselves.

    Raises:
        ValueError: if it is a function that asks Python which way to go.
    """
    try:
        return schedule(step) if callable(schedule) else schedule
    except tf.errors.OperatorNotAllowedInGraphError:
        wanted = "A schedule runs in the graph, where `if` cannot see the step: "
        wanted += "`tf.where(step < 1000, 0.0, 1.0)`."
        raise ValueError(f"{wanted} Received: {schedule}") from None
