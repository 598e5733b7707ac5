"""What every model of the zoo asks of Keras, whatever it computes."""

import inspect

import keras
import tensorflow as tf

from zoo import checks, presets


class Model(keras.Model):
    """A Keras model that looks at its data first, and knows its own configuration.

    A subclass gives `check(data)`, which raises a ValueError for data it cannot take,
    and keeps every constructor argument as an attribute of the same name, or of that
    name with `_head` behind it: these are its config.
    """

    def check(self, data) -> None:
        """Raises a ValueError that says why, if this model cannot take `data`."""
        raise NotImplementedError

    def fit(self, x=None, *args, validation_data=None, **kwargs):
        checks.refuse_weights(kwargs.get("sample_weight"), kwargs.get("class_weight"))
        self.check(x)
        self.check(validation_data)
        if isinstance(x, tf.data.Dataset):
            kwargs.setdefault("shuffle", False)  # Keras warns of its own default here
        return super().fit(x, *args, validation_data=validation_data, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        checks.refuse_weights(kwargs.get("sample_weight"))
        self.check(x)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        self.check(x)
        return super().predict(x, *args, **kwargs)

    def compile(self, optimizer="adam", *, jit_compile="auto", **kwargs):
        """As in Keras; the loss is the model's own, so `loss` is refused.

        `jit_compile="auto"` means XLA, except for convolutions on a CPU, where
        TensorFlow's own kernels are mostly faster.
        """
        if kwargs.get("loss") is not None:
            raise ValueError(
                f"{type(self).__name__} brings its own loss; compile it without one. "
                f"Received: loss={kwargs['loss']}"
            )
        all_layers = self._flatten_layers()
        if jit_compile == "auto" and not tf.config.list_physical_devices("GPU"):
            jit_compile = not any(
                "Conv" in type(layer).__name__ for layer in all_layers
            )
        super().compile(optimizer, jit_compile=jit_compile, **kwargs)
        policies = {layer.dtype_policy.name for layer in all_layers}
        scaled = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        if "mixed_float16" in policies and not scaled:
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
        # Variables that appear while a step is traced make TensorFlow trace it twice.
        self.optimizer.build(self.trainable_variables)

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, **kwargs):
        checks.refuse_weights(sample_weight)
        return super().compute_loss(x, y, y_pred, **kwargs)

    def get_config(self):
        """Every constructor argument, read off the attribute of the same name."""
        config = {"name": self.name}
        for cls in type(self).__mro__[: type(self).__mro__.index(Model)]:
            for name in inspect.signature(cls.__init__).parameters:
                if name not in ("self", "args", "kwargs"):
                    value = getattr(self, f"{name}_head", getattr(self, name))
                    config[name] = keras.saving.serialize_keras_object(value)
        return config

    @classmethod
    def from_config(cls, config):
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value)
                for name, value in config.items()
            }
        )

    def save_to_preset(self, path, metadata: dict | None = None):
        """Writes a pretrained entry; see `zoo.presets.save`."""
        return presets.save(self, path, metadata)

    @classmethod
    def from_preset(cls, name_or_path):
        """Loads a pretrained entry of this class; see `zoo.presets.load`.

        Raises:
            TypeError: if the entry holds a model of another class.
        """
        model = presets.load(name_or_path)
        if not isinstance(model, cls):
            raise TypeError(
                f"{name_or_path} does not hold a {cls.__name__}. "
                f"Received: {type(model).__name__}"
            )
        return model
