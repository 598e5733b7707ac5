"""What every model of the zoo has in common beside its training: a configuration."""

import inspect

import keras

from zoo import checks, presets
from zoo.training import Trainer


class Configured:
    """An object whose configuration is its constructor's arguments.

    Each is kept as an attribute of the same name, or of that name with `_head` behind
    it. `derived` names those of a base class that a subclass makes itself.
    """

    derived: tuple[str, ...] = ()

    def get_config(self) -> dict:
        """Every constructor argument, ready for JSON."""
        config, derived = {}, {"self"}
        for cls in type(self).__mro__:
            if cls is Configured:
                return config
            for name, argument in inspect.signature(cls.__init__).parameters.items():
                rest = argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD)
                if not rest and name not in derived and name not in config:
                    kept = f"{name}_head" if hasattr(self, f"{name}_head") else name
                    wanted = f"{cls.__name__} must keep its argument as `self.{name}`."
                    checks.require(hasattr(self, kept), wanted, "no such attribute")
                    value = getattr(self, kept)
                    config[name] = keras.saving.serialize_keras_object(value)
            derived.update(vars(cls).get("derived", ()))

    @classmethod
    def from_config(cls, config: dict):
        return cls(**keras.saving.deserialize_keras_object(config))


class Completed(type(keras.Model)):
    """Calls `complete` on a new object once all its constructors are through."""

    def __call__(cls, *args, **kwargs):
        model = super().__call__(*args, **kwargs)
        model.complete()
        return model


class Model(Configured, Trainer, metaclass=Completed):
    """A Keras model that knows its own configuration and can be an entry of the zoo."""

    def complete(self) -> None:
        """What is left to do when every part of a new model is there."""

    def get_config(self):
        own = {"name": self.name, "trainable": self.trainable}
        return {**own, "dtype": self.dtype_policy.name, **super().get_config()}

    def save_to_preset(self, path, metadata: dict | None = None):
        """Writes a pretrained entry; see `zoo.presets.save`."""
        return presets.save(self, path, metadata)

    @classmethod
    def from_preset(cls, name_or_path):
        """Loads an entry by `zoo.presets.load`; a TypeError if of another class."""
        model, found = presets.load(name_or_path), f"does not hold a {cls.__name__}."
        if not isinstance(model, cls):
            raise TypeError(f"{name_or_path} {found} Received: {type(model).__name__}")
        return model
