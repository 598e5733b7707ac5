"""Refuses what cannot work, early, and says what was received."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

tfd = tfp.distributions


def check_array(x, event_shape: tuple[int, ...], support: tuple[float, float]) -> None:
    """Checks a batch `[B, *event_shape]` of values.

    Raises:
        ValueError: if it is empty, of another shape or dtype, not finite, or outside
            `support`; the message says what was received.
    """
    shape, dtype = tuple(x.shape), tf.as_dtype(x.dtype)
    if shape[1:] != tuple(event_shape):
        hint = ""
        if (*shape[1:], 1) == tuple(event_shape):
            hint = " Add the channel axis: `x[..., None]`."
        raise ValueError(
            f"Data must have shape [batch, {', '.join(map(str, event_shape))}]."
            f"{hint} Received: shape={shape}"
        )
    if shape[0] == 0:
        raise ValueError(f"Data must not be empty. Received: shape={shape}")
    if not dtype.is_floating:
        raise ValueError(
            "Data must be floating point; divide 8-bit images by 255. "
            f"Received: dtype={dtype.name}"
        )
    low, high = float(np.min(x)), float(np.max(x))
    if not np.isfinite([low, high]).all():
        raise ValueError(
            f"Data must be finite. Received: smallest {low}, largest {high}"
        )
    if low < support[0] or high > support[1]:
        raise ValueError(
            f"Data must lie in [{support[0]:g}, {support[1]:g}], the support of the "
            f"likelihood. Received: values from {low:g} to {high:g}"
        )


def check_source(source, event_shape, support) -> None:
    """Checks whatever `fit` accepts: arrays whole, data sets by their first batch.

    A Python generator cannot be read twice and is left to its owner.
    """
    if isinstance(source, tf.data.Dataset):
        first = next(iter(source.take(1)), None)
        if first is None:
            raise ValueError(f"Data must not be empty. Received: {source}")
        check_source(first, event_shape, support)
    elif isinstance(source, tuple | list):
        if not source:
            raise ValueError(f"Data must not be empty. Received: {source}")
        refuse_weights(*source[2:])
        check_source(source[0], event_shape, support)
    elif isinstance(source, keras.utils.PyDataset):
        check_source(source[0], event_shape, support)
    elif hasattr(source, "shape"):
        array = source if hasattr(source, "dtype") else np.asarray(source)
        check_array(array, event_shape, support)


def refuse_weights(*weights) -> None:
    """Raises a ValueError if there are weights of samples or of classes."""
    for weight in weights:
        if weight is not None:
            raise ValueError(
                "`sample_weight` and `class_weight` are not supported: the objective "
                f"is a mean over the batch. Received: {weight}"
            )


def at_least_one(**counts: int) -> None:
    """Raises a ValueError that names the count which is less than one."""
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"`{name}` must be at least 1. Received: {name}={count}")


def not_negative(**weights) -> None:
    """Raises a ValueError that names the constant weight which is negative, or NaN."""
    for name, weight in weights.items():
        if not callable(weight) and not weight >= 0:
            raise ValueError(
                f"`{name}` must not be negative. Received: {name}={weight}"
            )


def refuse_options(model, **neutral) -> None:
    """Raises a ValueError if an option that a model has no use for is not neutral."""
    for name, value in neutral.items():
        if getattr(model, name) != value:
            raise ValueError(
                f"{type(model).__name__} has no `{name}`. "
                f"Received: {name}={getattr(model, name)}"
            )


def check_networks(model) -> None:
    """Checks that a VAE's networks and heads fit together.

    Raises:
        ValueError: naming the network or head, what it must be and what it is.
    """
    for name in ("encoder", "decoder"):
        if not getattr(model, name).built:
            raise ValueError(
                f"`{name}` must know its input shape: start it with a `keras.Input`. "
                f"Received: {name}={getattr(model, name).name}"
            )
    *size, channels = model.event_shape
    params = (*size, channels * model.likelihood_head.params_per_channel)
    encoder, decoder = model.encoder, model.decoder
    if len(encoder.output_shape) != 2:
        raise ValueError(
            "`encoder` must return features of shape [batch, H]. "
            f"Received: encoder.output_shape={encoder.output_shape}"
        )
    if decoder.input_shape[1:] != (model.latent_dim,):
        raise ValueError(
            f"`decoder` must take latents of shape [batch, {model.latent_dim}]. "
            f"Received: decoder.input_shape={decoder.input_shape}"
        )
    if decoder.output_shape[1:] != params:
        raise ValueError(
            f"`decoder` must return [batch, {', '.join(map(str, params))}] for "
            f"{type(model.likelihood_head).__name__}. "
            f"Received: decoder.output_shape={decoder.output_shape}"
        )
    for head in (model.posterior_head, model.prior_head):
        latent_dim = getattr(head, "latent_dim", model.latent_dim)
        if latent_dim != model.latent_dim:
            raise ValueError(
                f"`{type(head).__name__}` must have latent_dim={model.latent_dim}. "
                f"Received: latent_dim={latent_dim}"
            )


def check_reparameterised(posterior: tfd.Distribution) -> None:
    """Checks that gradients reach the encoder through a draw of z.

    Raises:
        ValueError: if the posterior is not fully reparameterised.
    """
    if posterior.reparameterization_type != tfd.FULLY_REPARAMETERIZED:
        raise ValueError(
            "The posterior must be reparameterised, so that gradients reach the "
            f"encoder. Received: posterior={posterior.name}"
        )
