"""What every model of the zoo has in common beside its training: a configuration."""

import functools
import inspect
from typing import NamedTuple

import keras

from zoo import checks, parts, presets
from zoo.training import Trainer

TO_DERIVE = (
    "What a {0} makes of its base class's arguments it must name, so that it can be "
    'loaded: `derived = ("encoder", "decoder")`, and so on, in the class.'
)


class Arguments(NamedTuple):
    """Names of constructor arguments."""

    taken: tuple[str, ...]  # with what else each base class takes
    made: frozenset[str]  # those of base classes that a subclass makes itself
    needed: frozenset[str]  # those that have no default


@functools.cache
def arguments(cls: type) -> Arguments:
    """What a class is configured by."""
    taken, made = {}, set()
    for base in cls.__mro__[: cls.__mro__.index(Configured)]:
        for name, argument in inspect.signature(base.__init__).parameters.items():
            rest = argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD)
            if not rest and name != "self" and name not in made:
                taken[name] = argument.default
        made |= set(vars(base).get("derived", ())) - taken.keys()
        if not _takes_any(base):
            break
    needed = {name for name, default in taken.items() if default is argument.empty}
    return Arguments(tuple(taken), frozenset(made), frozenset(needed))


def _takes_any(cls: type, kind=inspect.Parameter.VAR_KEYWORD) -> bool:
    """Whether its constructor takes any keyword, or any argument of another kind."""
    parameters = inspect.signature(cls.__init__).parameters.values()
    return any(p.kind is kind for p in parameters)


def weights_beside(model: keras.Model, *parts: keras.layers.Layer) -> list:
    """All weights of a model but those of some of its parts."""
    left_out = {id(weight) for part in parts for weight in part.weights}
    return [weight for weight in model.weights if id(weight) not in left_out]


class Configured:
    """An object whose configuration is its constructor's arguments.

    Each is kept as an attribute of the same name, or of that name with `_head` behind
    it. `derived` names those of a base class that a subclass makes itself.
    """

    derived: tuple[str, ...] = ()

    def get_config(self) -> dict:
        """Every constructor argument, ready for JSON."""
        config = {}
        for name in arguments(type(self)).taken:
            head = getattr(self, f"{name}_head", None)
            value = getattr(self, name, self) if head is None else head
            kept = value is not self and not inspect.ismethod(value)
            wanted = f"{type(self).__name__} must keep its argument as `self.{name}`."
            checks.require(kept, wanted, "no such attribute")
            config[name] = keras.saving.serialize_keras_object(value)
        return config

    @classmethod
    def from_config(cls, config: dict):
        made = arguments(cls).made
        config = {name: value for name, value in config.items() if name not in made}
        try:
            return cls(**keras.saving.deserialize_keras_object(config))
        except TypeError as error:
            if "multiple values" not in str(error):
                raise
            raise TypeError(f"{error}. {TO_DERIVE.format(cls.__name__)}") from error


class Completed(type(keras.Model)):
    """Calls `complete` on a new object once all its constructors are through."""

    def __call__(cls, *args, **kwargs):
        taken, made, needed = arguments(cls)
        first = args[0] if args else kwargs.get(taken[0], kwargs.get("encoder"))
        parts.refuse_networks(cls, taken[0], first)
        made = made & kwargs.keys()
        if made:
            names = ", ".join(f"`{name}`" for name in sorted(made))
            raise TypeError(f"{cls.__name__} makes {names} itself; `zoo.VAE` takes it.")
        own = inspect.signature(cls.__init__).parameters
        passed_on = _takes_any(cls, inspect.Parameter.VAR_POSITIONAL)
        unnamed = needed - own.keys() - kwargs.keys()
        if unnamed and not passed_on and cls.get_config is Model.get_config:
            names = ", ".join(f"`{name}`" for name in sorted(unnamed))
            found = f"Received: {cls.__name__} without {names}"
            raise TypeError(f"{TO_DERIVE.format(cls.__name__)} {found}")
        model = super().__call__(*args, **kwargs)
        model.complete()
        return model


class Model(Configured, Trainer, metaclass=Completed):
    """A Keras model that knows its own configuration and can be an entry of the zoo."""

    def complete(self) -> None:
        """What is left to do when every part of a new model is there."""

    def is_fixed(self, name: str) -> bool:
        """Whether an attribute, and no hook, is what the constructor was given."""
        taken = name.removesuffix("_head") in arguments(type(self)).taken
        return taken and name in vars(self) and not hasattr(type(self), name)

    def __setattr__(self, name, value):
        """As in Keras, but what weights and graphs were made of cannot be exchanged."""
        own = getattr(type(self), name, None)
        settable = not vars(self).get("built") or isinstance(own, property)
        hook = inspect.isfunction(own) and isinstance(value, keras.layers.Layer)
        if not settable and (hook or self.is_fixed(name)):
            raise AttributeError(
                f"`{name}` of a {type(self).__name__} is fixed: make another model; of "
                "this one, `objective` alone may be exchanged, where it takes one."
            )
        super().__setattr__(name, value)

    def get_config(self):
        own = {"name": self.name, "trainable": self.trainable}
        own["dtype"] = self.dtype_policy.name
        taken = inspect.signature(type(self).__init__).parameters
        if not _takes_any(type(self)):  # so that it can be loaded without them
            own = {name: value for name, value in own.items() if name in taken}
        return {**own, **super().get_config()}

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
