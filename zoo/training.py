"""How models train: what Keras' trainer is asked for, and what feeds it.

Several steps run as one compiled program; whatever comes in is looked at first.
"""

import contextlib
import inspect
import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from zoo import checks, internals
from zoo.callbacks import listens_to_batches, with_progress
from zoo.feeds import check_end, is_plain, untuned
from zoo.guard import Guard
from zoo.steps import compiled_steps, single_step

MOST_STEPS = 20  # of training in one execution, where Keras asks for no other number
# A convolutional model of more weights than these is long in the making on a CPU, half
# as long again as a loop of steps; and its steps are so long that a loop saves nothing.
MANY_WEIGHTS = 100


class Trainer(internals.PipelineUser):
    """A Keras model that looks at its data first and runs several steps at a time.

    A subclass gives `check(data)`, which raises a ValueError if it cannot take `data`.
    """

    _fitting = False
    _guard = None

    def fit(self, x=None, *args, **kwargs):
        kwargs |= _by_name(keras.Model.fit, args)
        checks.refuse_weights(kwargs.get("sample_weight"), kwargs.get("class_weight"))
        checks.refuse_lists(x)
        self.check(x if kwargs.get("y") is None else (x, kwargs["y"]))
        held_out = kwargs.get("validation_data")
        if held_out is not None:
            self.check(held_out)
        self._check_y(x, kwargs.get("y"))
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # Keras warns of its own default here
        for data, steps in (x, "steps_per_epoch"), (held_out, "validation_steps"):
            check_end(data, steps, kwargs.get(steps))
        callbacks = kwargs.get("callbacks")
        own = keras.tree.flatten(getattr(callbacks, "callbacks", callbacks or []))
        one_by_one = isinstance(x, keras.utils.PyDataset)  # nobody would prefetch them
        one_by_one |= any(map(listens_to_batches, own)) or self._steps_alone()
        lengths = {k: kwargs.get(k) for k in ("steps_per_epoch", "validation_steps")}
        steps = self._whole_executions(1 if one_by_one else MOST_STEPS, **lengths)
        if steps != self.steps_per_execution:
            self._set_steps_per_execution(steps)
            self.train_function = None
        kwargs["callbacks"] = with_progress(callbacks)
        self._fitting = True
        try:
            return super().fit(x, **kwargs)
        finally:
            self._fitting = False

    def evaluate(self, x=None, *args, **kwargs):
        kwargs |= _by_name(keras.Model.evaluate, args)
        checks.refuse_weights(kwargs.get("sample_weight"))
        checks.refuse_lists(x)
        self.check(x)
        self._check_y(x, kwargs.get("y"))
        inside_fit = internals.INSIDE_FIT in kwargs  # which has seen to the steps
        if not inside_fit:
            check_end(x, "steps", kwargs.get("steps"))
        kwargs["callbacks"] = with_progress(kwargs.get("callbacks"))
        with self._executing(None if inside_fit else kwargs.get("steps")):
            return super().evaluate(x, **kwargs)

    def train_on_batch(self, x, *args, **kwargs):
        checks.check_batch(x)
        self.check(x)
        self._check_y(x, args[0] if args else kwargs.get("y"))
        return super().train_on_batch(x, *args, **kwargs)

    def test_on_batch(self, x, *args, **kwargs):
        checks.check_batch(x)
        self.check(x)
        self._check_y(x, args[0] if args else kwargs.get("y"))
        return super().test_on_batch(x, *args, **kwargs)

    def predict_on_batch(self, x):
        checks.check_batch(x)
        self.check(x)
        if self._on_several_devices():  # each would answer for all rows
            rows = len(next(iter(x.values())) if isinstance(x, dict) else x)
            return self.predict(x, batch_size=rows, verbose=0)
        return super().predict_on_batch(x)

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        checks.refuse_lists(x)
        self.check(x)
        check_end(x, "steps", steps)
        arrays = x.values() if isinstance(x, dict) else [x]
        if not steps and all(isinstance(a, (np.ndarray, tf.Tensor)) for a in arrays):
            x = tf.data.Dataset.from_tensor_slices(x).batch(batch_size or 32)  # Keras'
            batch_size = None
        x, callbacks = untuned(x), with_progress(callbacks)
        with self._executing(steps):
            return super().predict(x, batch_size, verbose, steps, callbacks)

    def compile(
        self,
        optimizer="adam",
        loss=None,
        *,
        steps_per_execution="auto",
        skip_non_finite=False,
        **kwargs,
    ):
        """As in Keras; the loss is the model's own: no `loss`, no `loss_weights`.

        `jit_compile="auto"` means XLA, except for convolutions on a CPU, where
        TensorFlow's own kernels are mostly faster, and for several devices, whose
        steps XLA cannot compile.
        `steps_per_execution="auto"` means up to twenty, all in memory at a time, or one
        where a callback of yours listens to batches or a `PyDataset` prepares them, for
        several devices, and for convolutional models of more than a hundred weights on
        a CPU, which so start sooner; `evaluate` and `predict` take as many.
        `skip_non_finite=True` leaves out the steps whose gradients are not finite, and
        adds the metrics `gradient_norm` and `skipped_steps`; see `zoo.guard`. A loss
        scale leaves them out anyway: one device, by this class' own step, counts them.
        """
        wanted = f"{type(self).__name__} brings its own loss; compile it without one."
        for name, value in ("loss", loss), ("loss_weights", kwargs.get("loss_weights")):
            checks.require(value is None, wanted, f"{name}={value!r}")
        checks.check_optimizer(optimizer)
        jit_compile = kwargs.setdefault("jit_compile", "auto")
        if self._on_several_devices():
            wanted = "XLA cannot compile the steps of several devices."
            checks.require(jit_compile in ("auto", False), wanted, f"{jit_compile=}")
            kwargs["jit_compile"] = False
        elif jit_compile == "auto" and _on_cpu():
            kwargs["jit_compile"] = not self._convolves()
        self._compares = bool(kwargs.get("metrics") or kwargs.get("weighted_metrics"))
        auto = isinstance(steps_per_execution, str) and steps_per_execution == "auto"
        if not auto:
            checks.at_least(1, steps_per_execution=steps_per_execution)
            wanted = "Several devices execute one step at a time."
            alone = steps_per_execution == 1 or not self._on_several_devices()
            checks.require(alone, wanted, f"{steps_per_execution=}")
        self._auto_steps = auto
        own = type(self).train_step is Trainer.train_step
        can_skip = own and not self._on_several_devices()
        if skip_non_finite:
            wanted = "`skip_non_finite` needs one device and a model without a "
            wanted += "`train_step` of its own."
            received = f"{self.distribute_strategy.num_replicas_in_sync} devices, "
            received += f"{type(self).train_step.__qualname__}"
            checks.require(can_skip, wanted, received)
        self._skips = skip_non_finite
        if auto:
            one_by_one = kwargs.get("run_eagerly") or self._steps_alone()
            steps_per_execution = 1 if one_by_one else MOST_STEPS
        internals.forget_metrics(self)
        super().compile(optimizer, steps_per_execution=steps_per_execution, **kwargs)
        policies = {layer.dtype_policy.name for layer in internals.layers_of(self)}
        scaled = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        if "mixed_float16" in policies and not scaled:
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
            scaled = True
        self._guard = Guard() if skip_non_finite or (scaled and can_skip) else None
        # Variables that appear while a step is traced make TensorFlow trace it twice.
        self.optimizer.build(self.trainable_variables)

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))

    def get_compile_config(self):
        config = super().get_compile_config()
        if config and self._auto_steps:
            config["steps_per_execution"] = "auto"
        if config and self._skips:
            config["skip_non_finite"] = True
        return config

    def train_step(self, data):
        if self._guard is None:
            return super().train_step(data)
        return self._guard.train_step(self, data)

    def reset_metrics(self):
        super().reset_metrics()
        if self._guard is not None:
            self._guard.reset()

    def make_train_function(self, force=False):
        """As in Keras, but on one device XLA gets all steps of an execution at once.

        `train_step` must then return a structure of scalars. Convolutions on a CPU are
        left out: within a loop XLA takes ten times as long for them. A single step
        without XLA is one graph.
        """
        if self.train_function is None or force:
            super().make_train_function(force=True)
            keras_own, own = self.train_function, self._own_train_function()
            if own is not None:
                self.train_function = lambda iterator: (
                    own if is_plain(iterator) else keras_own
                )(iterator)
        return self.train_function

    def _own_train_function(self) -> Callable | None:
        """One for plain tensors and one device, None where Keras' is as good."""
        several = self.steps_per_execution > 1
        if self.run_eagerly or self._on_several_devices():
            return None
        if self.jit_compile:
            together = several and not (_on_cpu() and self._convolves())
            steps = self.steps_per_execution
            return compiled_steps(self.train_step, steps) if together else None
        if several:
            return None
        low = any(x.compute_dtype != "float32" for x in internals.layers_of(self))
        return single_step(self.train_step, rewrite=low or not self._slow_to_start())

    def pipeline(self, dataset):
        return untuned(dataset)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        checks.refuse_weights(sample_weight)
        wanted = "A `call` of your own must go through `super().call(...)`, which adds "
        wanted += "the losses; `walk`, `terms` and other hooks change parts of it."
        checks.require(self.losses, wanted, f"{type(self).__name__} without losses")
        return super().compute_loss(x, y, y_pred, **kwargs)

    def _check_y(self, x, y) -> None:
        """Raises a ValueError if there are metrics and no y to compare with."""
        alone = y is None and (isinstance(x, dict) or hasattr(x, "shape"))
        if isinstance(x, tf.data.Dataset):
            alone = not isinstance(x.element_spec, tuple)
        wanted = "`metrics` compare y with the output: `fit(x, x)` gives them a y, and "
        wanted += "`validation_data=(x, x)`."
        checks.require(not (alone and self.compiled and self._compares), wanted, y)

    def _whole_executions(self, most: int = MOST_STEPS, **lengths) -> int:
        """Steps per execution that divide every length, or up to `most` without one.

        Keras would round a length up to whole executions. Raises a ValueError if the
        number that was asked for does not divide them.
        """
        lengths = {name: length for name, length in lengths.items() if length}
        steps_per_execution = self.steps_per_execution
        if not self.compiled or self.run_eagerly:
            return steps_per_execution
        if self._auto_steps:
            length = math.gcd(*lengths.values())
            return next(n for n in range(most, 0, -1) if length % n == 0)
        for name, length in lengths.items():
            wanted = f"`steps_per_execution` must divide `{name}`."
            received = f"{steps_per_execution=}, {name}={length}"
            checks.require(length % steps_per_execution == 0, wanted, received)
        return steps_per_execution

    def _on_several_devices(self) -> bool:
        return self.distribute_strategy.num_replicas_in_sync > 1

    def _steps_alone(self) -> bool:
        return self._slow_to_start() or self._on_several_devices()

    def _slow_to_start(self) -> bool:
        """Whether the graph takes so long to make that steps should not wait for it."""
        many = len(self.trainable_variables) > MANY_WEIGHTS
        return many and _on_cpu() and self._convolves()

    def _convolves(self) -> bool:
        return any("Conv" in type(x).__name__ for x in internals.layers_of(self))

    @contextlib.contextmanager
    def _executing(self, steps: int | None):
        """Just `steps` batches are evaluated or predicted; training stays as it is."""
        before = self.steps_per_execution
        if steps and steps % before:
            self._set_steps_per_execution(self._whole_executions(steps=steps))
        try:
            yield
        finally:
            self._set_steps_per_execution(before)

    def _set_steps_per_execution(self, steps: int) -> None:
        if steps != self.steps_per_execution:
            self.steps_per_execution = steps
            self.test_function = self.predict_function = None


def _by_name(method: Callable, args: tuple) -> dict:
    """Positional arguments of a method, those behind `self` and `x`, by their names."""
    return dict(zip(list(inspect.signature(method).parameters)[2:], args))


def _on_cpu() -> bool:
    return not tf.config.list_physical_devices("GPU")
