"""A trained model whose networks compute in another precision."""

import keras

from zoo import checks

POLICY = "DTypePolicy"  # as a layer's config names it


def with_dtype(model: keras.Model, dtype: str) -> keras.Model:
    """A copy of a model, with its weights, whose networks follow another dtype policy.

    In `mixed_bfloat16` networks are faster where the processor has units for it, and
    large enough: docs/speed.md has the ratios. The draws, and all densities (prior,
    posterior, likelihood and their log-mean-exp), stay float32, as does every layer
    that is so under any policy of Keras'. Every other layer of a network changes, also
    one that was made in float32 on purpose. The model itself stays as it is.

    Args:
        model: any generative model.
        dtype: a policy whose weights are float32: "float32", "mixed_bfloat16" or
            "mixed_float16".

    Raises:
        ValueError: if there is no such policy, or weights would lose digits.

    Example:
        half = zoo.evaluation.with_dtype(zoo.load("conv_vae_mnist"), "mixed_bfloat16")
        zoo.evaluation.log_prob(half, images, num_importance_samples=5000)
    """
    check_dtype(dtype)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)  # of the layers that models make themselves
    try:
        copy = type(model).from_config(_without_policies(model.get_config()))
    finally:
        keras.config.set_dtype_policy(before)
    copy.set_weights(model.get_weights())
    return copy


def check_dtype(dtype: str) -> None:
    """Raises a ValueError unless it is a policy whose weights are float32."""
    kept = keras.DTypePolicy(dtype).variable_dtype == "float32"
    wanted = "`dtype` must keep weights in float32, as mixed_bfloat16 does."
    checks.require(kept, wanted, f"{dtype=}")


def _without_policies(config):
    """A config whose layers take the policy of the day."""
    if isinstance(config, dict):
        return {
            name: _without_policies(value)
            for name, value in config.items()
            if not (isinstance(value, dict) and value.get("class_name") == POLICY)
        }
    return [*map(_without_policies, config)] if isinstance(config, list) else config
