"""Refuses networks and heads that do not fit together, and says how they would."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.checks import require, shown

# Activations whose outputs are bounded or never negative, as no logits are.
NO_LOGITS = "sigmoid", "hard_sigmoid", "softmax", "tanh", "relu", "relu6", "softplus"


def refuse_networks(cls: type, first: str, received) -> None:
    """Raises a ValueError if a network comes where a class wants a shape first."""
    network = isinstance(received, keras.layers.Layer)
    wanted = f"{cls.__name__} makes its networks itself: begin with `{first}`, a tuple."
    require(not (network and first.endswith("shape")), wanted, repr(received))


def check_networks(model) -> None:
    """Raises a ValueError unless a VAE's networks and heads fit together."""
    encoder, decoder, likelihood = model.encoder, model.decoder, model.likelihood_head
    made = "DiagonalNormal(latent_dim)", "StandardNormal(latent_dim)", "Bernoulli()"
    for name, example in zip(("posterior", "prior", "likelihood"), made):
        head = getattr(model, f"{name}_head")
        wanted = f"`{name}` must be a head, a layer such as `zoo.{example}`."
        needed = {"prior": "distribution", "likelihood": "params_per_channel"}
        fits = hasattr(head, needed.get(name, "__call__"))
        require(fits and isinstance(head, keras.layers.Layer), wanted, repr(head))
    for name, network in {"encoder": encoder, "decoder": decoder}.items():
        wanted = f"`{name}` must be a sequential or functional Keras model; of another "
        wanted += "one `keras.Sequential([keras.Input(shape), network])` makes one."
        known = isinstance(network, keras.Sequential) or hasattr(network, "outputs")
        require(known, wanted, type(network).__name__)
        wanted = f"`{name}` must know its input shape: start it with a `keras.Input`."
        require(network.built, wanted, f"{name}={network.name}")
    wanted = "`encoder` must return features of shape [batch, H], no mean and variance"
    wanted += ": the posterior makes them of the features."
    if len(encoder.outputs) == 1 and len(encoder.output_shape) == 4:
        wanted = "`encoder` must return features of shape [batch, H]: end it with "
        wanted += "`keras.layers.Flatten()`."
    one = len(encoder.outputs) == 1 and len(encoder.output_shape) == 2
    require(one, wanted, f"{encoder.output_shape=}")
    dim = model.decoder_dim
    wanted = f"`decoder` must take latents of shape [batch, {dim}]."
    require(decoder.input_shape[1:] == (dim,), wanted, f"{decoder.input_shape=}")
    *size, channels = model.event_shape
    params = (*size, channels * likelihood.params_per_channel)
    of = type(likelihood).__name__
    wanted = f"`decoder` must return {shown('batch', *params)} for {of}."
    require(decoder.output_shape[1:] == params, wanted, f"{decoder.output_shape=}")
    if getattr(likelihood, "takes_logits", False):
        low, high = range_of_outputs(decoder)
        last = last_activation(decoder)
        name = last if last in NO_LOGITS else "sigmoid"
        wanted = f"`decoder` must return logits for {of}: end it without a {name}."
        bounded = 0.0 <= low < high <= 1.0 or last in NO_LOGITS
        require(not bounded, wanted, f"outputs from {low:.2g} to {high:.2g}")
    heads = (model.posterior_head, model.latent_dim), (model.prior_head, model.top_dim)
    for head, dim in heads:
        latent_dim = getattr(head, "latent_dim", dim)
        wanted = f"`{type(head).__name__}` must have latent_dim={dim}."
        require(latent_dim == dim, wanted, f"{latent_dim=}")


def check_distribution(name: str, distribution, event_shape=None) -> None:
    """Raises a ValueError unless it is one event per row, of that shape if given."""
    good = isinstance(distribution, tfp.distributions.Distribution)
    wanted = f"{name} must be a TFP distribution."
    require(good, wanted, type(distribution).__name__)
    batch, event = distribution.batch_shape, distribution.event_shape
    wanted = f"{name} must have one event per row, not one per value: "
    wanted += "`tfd.Independent`, or `self.event` of a likelihood, makes one of many."
    fits = batch.rank in (None, 0, 1) and event.rank != 0
    require(fits, wanted, f"batch_shape={batch}, event_shape={event}")
    wanted = f"{name} must have event shape {shown(*(event_shape or ()))}."
    alike = event_shape is None or event.is_compatible_with(event_shape)
    require(alike, wanted, f"event_shape={event}")


def check_reparameterised(posterior: tfp.distributions.Distribution) -> None:
    """Raises a ValueError unless gradients reach the encoder through a draw of z."""
    good = posterior.reparameterization_type == tfp.distributions.FULLY_REPARAMETERIZED
    rule = "The posterior must be reparameterised, so that gradients reach the encoder."
    require(good, rule, f"posterior={posterior.name}")


def range_of_outputs(decoder) -> tuple[float, float]:
    """The least and the greatest output for latents that are far apart."""
    shape = [8, decoder.input_shape[-1]]
    outputs = decoder(tf.random.stateless_normal(shape, [0, 0], stddev=10.0))
    return float(tf.reduce_min(outputs)), float(tf.reduce_max(outputs))


def last_activation(network) -> str | None:
    """Name of the activation that a network's output went through last, if known."""
    layers = keras.layers
    for layer in reversed(network.layers):
        if isinstance(layer, keras.Model):
            return last_activation(layer)
        if not isinstance(layer, layers.Reshape | layers.Flatten | layers.Cropping2D):
            return getattr(getattr(layer, "activation", None), "__name__", None)
    return None
