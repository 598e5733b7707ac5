"""What cannot work is refused before the first step, and told what arrived."""

import dataclasses
import math
import os
import subprocess
import sys
from contextlib import contextmanager

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from recipes import datasets
from tests import configs
from tests.configs import assert_same_variables, snapshot
from zoo.checks import check_source, completed
from zoo.heads import Head
from zoo.objectives import ELBO, IWELBO, Capacity, Objective, TotalCorrelation

tfd = tfp.distributions
layers = keras.layers


@contextmanager
def refused(model, message):
    """The block raises a ValueError and leaves weights and step as they were."""
    before = snapshot(model.encoder) | snapshot(model.decoder)
    with pytest.raises(ValueError, match=message):
        yield
    assert_same_variables(snapshot(model.encoder) | snapshot(model.decoder), before)
    assert model.step == 0


def with_value(value):
    """Digits of which one pixel of the last image has another value."""
    x = configs.BINARY[:32].copy()
    x[-1, -1, -1] = value
    return x


BAD = {
    "above": (with_value(1.5), r"must lie in \[0, 1\].*Received: values from 0 to 1.5"),
    "below": (with_value(-0.5), r"must lie in \[0, 1\].*Received: values from -0.5"),
    "nan": (with_value(np.nan), r"must be finite\. Received: smallest nan"),
    "inf": (with_value(np.inf), r"must be finite\. Received: .*largest inf"),
    "uint8": (
        (255 * configs.GREY[:32]).astype("uint8"),
        r"divide 8-bit images by 255\. Received: dtype=uint8",
    ),
    "uint8 of zeros and ones": (
        configs.BINARY[:32].astype("uint8"),
        r"`x\.astype\('float32'\)`\. Received: dtype=uint8",
    ),
    "bool": (configs.BINARY[:32] > 0, r"`x\.astype\('float32'\)`.*dtype=bool"),
    "no channel": (
        configs.BINARY[:32, ..., 0],
        r"Add the channel axis: `x\[\.\.\., None\]`\. Received: shape=\(32, 8, 8\)",
    ),
    "wrong size": (
        configs.BINARY[:32, :7],
        r"must have shape \[batch, 8, 8, 1\]\. Received: shape=\(32, 7, 8, 1\)",
    ),
    "one image": (configs.BINARY[0], r"Received: shape=\(8, 8, 1\)"),
    "empty": (
        configs.BINARY[:0],
        r"must not be empty\. Received: shape=\(0, 8, 8, 1\)",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_arrays(vae, digits, kind):
    bad, message = BAD[kind]
    for use in (
        vae.fit,
        vae.evaluate,
        vae.predict,
        vae.encode,
        vae.reconstruct,
        vae.log_weights,
        vae.log_prob,
        lambda x: vae.fit({"x": x}),
        lambda x: vae.evaluate({"x": x}),
        lambda x: vae.predict({"x": x}),
        lambda x: vae.fit(tf.constant(x)),
        lambda x: vae.fit(digits, validation_data=(x, None)),
        lambda x: vae.fit(digits, validation_data=x),
        lambda x: vae.fit(digits, validation_data=({"x": x}, None)),
    ):
        with refused(vae, message):
            use(bad)


@pytest.mark.parametrize("kind", sorted(set(BAD) - {"empty"}))
def test_bad_data_sets(vae, digits, kind):
    bad, message = BAD[kind]
    dataset = tf.data.Dataset.from_tensors(bad)
    named = tf.data.Dataset.from_tensors({"x": bad})
    labelled = tf.data.Dataset.from_tensors((bad, np.zeros(len(bad))))
    for use in (
        lambda: vae.fit(dataset),
        lambda: vae.fit(named),
        lambda: vae.fit(labelled),
        lambda: vae.fit(digits, validation_data=dataset),
    ):
        with refused(vae, message):
            use()


@pytest.mark.parametrize("empty", [configs.BINARY[:0], configs.BINARY[:3]])
def test_empty_data_set(vae, empty):
    dataset = tf.data.Dataset.from_tensor_slices(empty).batch(4, drop_remainder=True)
    with refused(vae, "must not be empty"):
        vae.fit(dataset)
    for measure in (zoo.evaluation.encode, zoo.evaluation.rarity):
        with refused(vae, r"must not be empty\. Received: <"):
            measure(vae, dataset)


def test_empty_list(vae):
    with refused(vae, "must not be empty"):
        vae.fit([])


def test_a_data_set_without_an_end_needs_a_number_of_steps(vae, digits):
    for endless in (
        tf.data.Dataset.from_tensors(digits).repeat(),
        datasets.stream(digits, 32, seed=0),
    ):
        wanted = "without an end needs `{}`.*Received: <"
        with refused(vae, wanted.format("steps_per_epoch")):
            vae.fit(endless)
        with refused(vae, wanted.format("validation_steps")):
            vae.fit(digits, validation_data=endless)
        with refused(vae, wanted.format("steps")):
            vae.evaluate(endless)
        with refused(vae, wanted.format("steps")):
            vae.predict(endless)
        with refused(vae, wanted.format(r"\.take\(batches\)")):
            zoo.evaluation.log_prob(vae, endless)
        vae.evaluate(endless, steps=1, verbose=0)
        vae.predict(endless, steps=1, verbose=0)
        held_out = {"validation_data": endless, "validation_steps": 1}
        vae.fit(endless, steps_per_epoch=1, verbose=0, **held_out)
        vae.step.assign(0)


def test_pairs_are_no_dicts(digits):
    model, labels = configs.conditional_vae(), configs.LABELS[:64]
    pairs = tf.data.Dataset.from_tensor_slices((digits, labels)).batch(8)
    model.compile("adam", jit_compile=False)
    with refused(model, r'dicts: `{"x": x, "label": y}`;.*Received: a pair \(x, y\)'):
        model.fit(pairs)
    model.fit(pairs.map(lambda x, y: {"x": x, "label": y}), verbose=0)


def test_unbatched_data_set(vae, digits):
    with refused(vae, r"`\.batch\(128\)`\. Received: shape=\(8, 8, 1\)"):
        vae.fit(tf.data.Dataset.from_tensor_slices(digits))


def test_python_sequences_are_looked_at(vae):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return with_value(2.0), np.zeros(32)

    with refused(vae, "must lie in"):
        vae.fit(Batches())


def test_normal_likelihood_takes_any_finite_value():
    model = configs.build(likelihood=zoo.Normal())
    assert np.isfinite(model.log_weights(with_value(-50.0))).all()
    with refused(model, "finite"):
        model.fit(with_value(np.nan))


ONES = np.ones(32, "float32")


@pytest.mark.parametrize(
    "use",
    [
        lambda vae, x: vae.fit(x, sample_weight=ONES, verbose=0),
        lambda vae, x: vae.fit(x, ONES, sample_weight=ONES, verbose=0),
        lambda vae, x: vae.fit(x, ONES, class_weight={0: 1.0, 1: 2.0}, verbose=0),
        lambda vae, x: vae.fit(
            tf.data.Dataset.from_tensors((x, ONES, ONES)), verbose=0
        ),
        lambda vae, x: vae.fit(x, validation_data=(x, ONES, ONES), verbose=0),
        lambda vae, x: vae.evaluate(x, sample_weight=ONES, verbose=0),
    ],
    ids=["alone", "labels", "classes", "data set", "validation", "evaluate"],
)
def test_weights_of_samples_and_classes(vae, digits, use):
    with refused(vae, "`sample_weight` and `class_weight` are not supported"):
        use(vae, digits[:32])


@pytest.mark.parametrize("loss", ["mse", keras.losses.MeanSquaredError()])
def test_loss_of_ones_own(loss):
    with pytest.raises(ValueError, match=r"brings its own loss.*Received: loss="):
        configs.build().compile("adam", loss=loss)


# Networks and heads.


def network(inputs, outputs, name):
    """One dense layer between two shapes."""
    return keras.Sequential(
        [
            keras.Input(inputs),
            layers.Flatten(),
            layers.Dense(int(np.prod(outputs))),
            layers.Reshape(outputs),
        ],
        name=name,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"decoder": network((3,), (8, 8, 1), "d")},
            r"`decoder` must take latents of shape \[batch, 2\]\. Received: .*None, 3",
        ),
        (
            {"decoder": network((2,), (8, 8, 3), "d")},
            r"`decoder` must return \[batch, 8, 8, 1\] for Bernoulli\..*None, 8, 8, 3",
        ),
        (
            {"encoder": network((8, 8, 1), (4, 4), "e")},
            r"`encoder` must return features of shape \[batch, H\], .*Received: .*4, 4",
        ),
        (
            {"encoder": network((8, 8, 1), (4, 4, 2), "e")},
            r"`encoder` .* end it with `keras.layers.Flatten\(\)`. Received: .*4, 4, 2",
        ),
        (
            {"encoder": keras.Sequential([layers.Dense(4)], name="raw")},
            r"`encoder` must know its input shape.*Received: encoder=raw",
        ),
        (
            {"decoder": keras.Sequential([layers.Dense(64)], name="raw")},
            r"`decoder` must know its input shape.*Received: decoder=raw",
        ),
        (
            {"posterior": zoo.DiagonalNormal(5)},
            r"`DiagonalNormal` must have latent_dim=2\. Received: latent_dim=5",
        ),
        (
            {"prior": zoo.StandardNormal(5)},
            r"`StandardNormal` must have latent_dim=2\. Received: latent_dim=5",
        ),
        ({"latent_dim": 7}, r"`decoder` must take latents of shape \[batch, 7\]"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_parts_that_do_not_fit(changes, message):
    parts = {
        "encoder": network((8, 8, 1), (4,), "e"),
        "decoder": network((2,), (8, 8, 1), "d"),
        "latent_dim": 2,
    }
    zoo.VAE(**parts)
    with pytest.raises(ValueError, match=message):
        zoo.VAE(**{**parts, **changes})


class OnTheSphere(Head):
    """Sampled by rejection but on the sphere in three dimensions."""

    def call(self, features):
        direction = tf.math.l2_normalize(features[:, : configs.LATENT_DIM] + 0.1, -1)
        return tfd.VonMisesFisher(direction, tf.ones_like(features[:, 0]))


class Mixture(Head):
    def call(self, features):
        loc = tf.stack([features, -features], 1)[..., : configs.LATENT_DIM]
        return tfd.MixtureSameFamily(
            tfd.Categorical(logits=tf.zeros(tf.shape(loc)[:2])),
            tfd.MultivariateNormalDiag(loc, tf.ones_like(loc)),
        )


@pytest.mark.parametrize("head", [OnTheSphere, Mixture])
def test_posterior_without_a_gradient(head):
    """A new model measures one row, and so sees it before there are any data."""
    message = r"must be reparameterised.*Received: posterior="
    with pytest.raises(ValueError, match=message):
        configs.build(posterior=head())


@pytest.mark.slow
def test_other_backends_are_refused():
    """In another process, for which Keras claims a backend that is not installed."""
    code = "import keras; keras.backend.backend = lambda: 'jax'; import zoo"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "ImportError: VAE Zoo needs Keras' TensorFlow backend" in result.stderr
    assert "Received: backend='jax'" in result.stderr


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (zoo.VAE, {"beta": 2.0}),
        (zoo.VAE, {"free_bits": 2.0}),
        (zoo.VAE, {"num_samples": 2}),
        (zoo.Autoencoder, {"beta": 2.0}),
        (zoo.Autoencoder, {"objective": ELBO()}),
        (zoo.BetaVAE, {"objective": ELBO()}),
        (zoo.CapacityVAE, {"objective": ELBO()}),
        (zoo.CapacityVAE, {"beta": 2.0}),
        (zoo.BetaTCVAE, {"objective": ELBO(), "dataset_size": 9}),
        (zoo.IWAE, {"objective": ELBO()}),
        (zoo.IWAE, {"free_bits": 2.0}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "-".join(value),
)
def test_options_that_a_class_does_not_have_are_refused(cls, options):
    name = next(iter(options))
    with pytest.raises((TypeError, ValueError), match=name):
        configs.build(cls, **options)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (ELBO, {"beta": -1.0}),
        (ELBO, {"beta": math.nan}),
        (ELBO, {"free_bits": -0.5}),
        (IWELBO, {"beta": -1.0}),
        (Capacity, {"gamma": -1.0}),
        (Capacity, {"capacity": -1.0}),
        (TotalCorrelation, {"alpha": -1.0, "dataset_size": 9}),
        (TotalCorrelation, {"beta": -1.0, "dataset_size": 9}),
        (TotalCorrelation, {"gamma": -1.0, "dataset_size": 9}),
    ],
)
def test_negative_weights_are_refused(cls, options):
    name, weight = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"not be negative: .*{name}={weight}"):
        cls(**options)


RAMP = zoo.schedules.Linear(0.0, 1.0, steps=10)


@pytest.mark.parametrize(
    "make",
    [
        lambda: configs.vq_vae(commitment=RAMP),
        lambda: configs.nvae(spectral=RAMP),
        lambda: configs.semi_supervised_vae(alpha=RAMP),
        lambda: configs.build().sample(temperature=RAMP),
    ],
)
def test_a_schedule_is_refused_where_none_can_be(make):
    with pytest.raises(ValueError, match=r"not be negative: a number\. Received: "):
        make()


@pytest.mark.parametrize(
    ("make", "received"),
    [
        (lambda: zoo.networks.dense_encoder((4,), (8, 0)), r"units\[1\]=0"),
        (lambda: zoo.networks.conv_encoder((8, 8, 1), (4, 2.5)), r"filters\[1\]=2\.5"),
        (lambda: zoo.networks.conv_decoder(2, (8, 8, 1), ()), r"filters=\(\)"),
        (lambda: zoo.networks.residual_decoder(2, (8, 8, 1), ()), r"filters=\(\)"),
        (lambda: zoo.networks.conv_discriminator((8, 8)), r"\(8, 8\)"),
        (lambda: zoo.networks.upsampler(2, (8, 8)), r"\(8, 8\)"),
        (lambda: zoo.IAF(8, units=(0,)), r"units\[0\]=0"),
        (lambda: zoo.FlowPrior(4, layers=0), "layers=0"),
        (
            lambda: configs.build(zoo.LadderVAE, upper_dims=(2,), upper_units=(0,)),
            r"upper_units\[0\]=0",
        ),
        (lambda: configs.biva(dims=(-1,)), r"bottom_up_dims\[0\]=-1"),
        (lambda: zoo.PixelCNN((8, 8, 1), levels=2), r"\(8, 8, 1\)"),
        (lambda: zoo.PixelCNN((8, 8), levels=2, upper=(0, 8, 2)), r"upper\[0\]=0"),
    ],
)
def test_sizes_that_make_no_network_are_refused(make, received):
    with pytest.raises(ValueError, match=f"Received: {received}$"):
        make()


@pytest.mark.parametrize(
    "options",
    [
        {"cls": zoo.BetaVAE, "beta": -1.0},
        {"cls": zoo.IWAE, "beta": -1.0},
        {"cls": zoo.CapacityVAE, "gamma": -1.0},
        {"cls": zoo.BetaTCVAE, "alpha": -1.0, "dataset_size": 9},
    ],
)
def test_classes_with_an_objective_refuse_negative_weights_too(options):
    with pytest.raises(ValueError, match=r"not be negative: .* Received: \w+=-1.0"):
        configs.build(**options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ELBO(num_samples=0),
        lambda: IWELBO(num_importance_samples=0),
        lambda: Capacity(num_samples=0),
        lambda: TotalCorrelation(dataset_size=0),
        lambda: TotalCorrelation(dataset_size=9, num_samples=0),
        lambda: configs.build().log_prob(configs.BINARY, num_importance_samples=0),
        lambda: configs.build().log_prob(configs.BINARY, chunk=0),
        lambda: configs.build().sample(0),
        lambda: configs.build().log_weights(configs.BINARY, num_importance_samples=0),
        lambda: zoo.evaluation.information(
            configs.build(), configs.BINARY, num_samples=-1
        ),
        lambda: zoo.evaluation.log_prob(
            configs.build(), configs.BINARY, batch_size=0, verbose=0
        ),
    ],
)
def test_numbers_less_than_one_are_refused(make):
    with pytest.raises(
        ValueError, match=r"must be at least 1 and .* Received: \w+=(0|-1)"
    ):
        make()


# Conditions.


FIELDS = {
    "x": zoo.Field((2,)),
    "label": zoo.Field((), "int32", (0, 9)),
    "pose": zoo.Field((3,), "float32", (-1.0, 1.0)),
}
GOOD = {
    "x": np.zeros((4, 2), "float32"),
    "label": np.arange(4),
    "pose": np.zeros((4, 3), "float32"),
}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("x", np.full((4, 2), np.nan, "float32"), "Data must be finite"),
        ("pose", np.full((4, 3), np.nan, "float32"), "`pose` must be finite"),
        ("pose", np.full((4, 3), 2.0, "float32"), r"`pose` must lie in \[-1, 1\]"),
        ("pose", np.zeros((4, 3), "int64"), "`pose` must be floating point"),
        ("pose", np.zeros((4, 2), "float32"), r"`pose` must have shape \[batch, 3\]"),
        ("pose", np.zeros((0, 3), "float32"), "`pose` must not be empty"),
        ("label", np.array([0, 1, 2, 10]), r"`label` must lie in \[0, 9\].*to 10"),
        ("label", np.array([0, 1, 2, -1]), r"`label` must lie in \[0, 9\].*from -1"),
        ("label", np.zeros(4, "float32"), r"`label` must be integers\. Give.*Received"),
        ("label", np.arange(3), r"`label` must have 4 rows.*Received: shape=\(3,\)"),
        ("colour", np.zeros(4), r'"pose": ...}\. Received: x, .*, colour'),
    ],
)
def test_every_part_of_a_dict_is_checked(name, value, message):
    bad = {**GOOD, name: value}
    dataset = tf.data.Dataset.from_tensors(bad)
    for source in (bad, (bad, np.zeros(4)), dataset):
        check_source(GOOD, FIELDS)
        with pytest.raises(ValueError, match=message):
            check_source(source, FIELDS)


def test_missing_conditions_are_named():
    for source in (GOOD["x"], {"x": GOOD["x"]}):
        with pytest.raises(ValueError, match=r'"label": ..., .*\. Received: x$'):
            check_source(source, FIELDS)


def test_a_condition_with_a_default_may_be_left_out():
    fields = {**FIELDS, "pose": FIELDS["pose"]._replace(default=0.5)}
    data = {name: GOOD[name] for name in ("label", "x")}
    check_source(data, fields)
    full = completed(data, fields, 4)
    assert list(full) == ["x", "label", "pose"]
    np.testing.assert_array_equal(full["pose"], np.full((4, 3), 0.5))
    np.testing.assert_array_equal(full["label"], GOOD["label"])


def test_a_model_without_conditions_takes_none(vae, digits):
    with pytest.raises(ValueError, match="Received: x, label"):
        vae.encode(digits, {"label": np.zeros(64)})
    with pytest.raises(ValueError, match=r"No conditions here\. Received: label"):
        vae.sample(2, {"label": np.zeros(2)})


# Codes.


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([], "takes one to 2 layers of latents. Received: 0"),
        ([np.zeros((1, 2))] * 3, "takes one to 2 layers of latents. Received: 3"),
        ([np.zeros((1, 3))], r"shape \[\.\.\., 2\]\. Received: shape=\(1, 3\)"),
        ([np.zeros(2)], r"shape \[\.\.\., 2\]\. Received: shape=\(2,\)"),
        ([np.full((1, 2), np.nan)], "`z_2` must be finite. Received: smallest nan"),
        ([np.zeros((0, 2))], "`z_2` must not be empty"),
        ([[tf.zeros((1, 2))]], r"`decode\(\*codes\)`. Received: a list of 1"),
        ([np.zeros((2, 2)), np.zeros((3, 4))], r"leading axes\. .*\(2,\), \(3,\)"),
    ],
)
def test_codes_of_other_layers_are_refused(codes, message):
    model = configs.ladder(zoo.LadderVAE)
    with pytest.raises(ValueError, match=message):
        model.decode(*codes)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((1, 2, 2)), "`z_2` must be integers. Received: dtype=float64"),
        ([[[0.5, 1.0], [1.0, 1.0]]], "`z_2` must be an array of int32"),
        (np.full((1, 2, 2), 8), r"`z_2` must lie in \[0, 7\].* from 8 to 8"),
    ],
)
def test_codes_that_are_no_index_are_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        configs.vq_vae().decode(codes)


@pytest.mark.parametrize(
    "name",
    [
        *("n", "seed", "num_importance_samples", "image_bytes", "self"),
        *("z", "z_2", "two words"),
    ],
)
def test_conditions_must_not_take_the_names_of_served_inputs(name):
    class Taken(zoo.VAE):
        @property
        def fields(self):
            return {**super().fields, name: zoo.Field((), "int32")}

    with pytest.raises(ValueError, match=f"not as one of .* Received: '{name}'"):
        configs.build(Taken)


def test_a_call_without_a_condition_names_it():
    model, wanted = configs.conditional_vae(), r'{"x": ..., "label": ...}\. Received: x'
    with pytest.raises(ValueError, match=wanted):
        model(configs.BINARY[:2])
    with pytest.raises(ValueError, match=r'`given` must be a dict, {"label": ...}'):
        model.sample(2)


def test_data_are_a_dict_wherever_they_are_asked_for():
    model, given = configs.conditional_vae(), {"label": configs.LABELS[:4]}
    x, draws = configs.BINARY[:4], {"num_importance_samples": 3}
    for answer in (
        model.encode,
        model.reconstruct,
        lambda *data: model.log_prob(*data, **draws),
        lambda *data: model.log_weights(*data, **draws),
    ):
        one, other = answer({"x": x, **given}), answer(x, given)
        np.testing.assert_array_equal(one, other)
    found = zoo.evaluation.encode(model, {"x": x, **given})
    np.testing.assert_array_equal(found, zoo.evaluation.encode(model, x, given))
    one = model.interpolate({"x": x, **given}, x[::-1], steps=2)
    np.testing.assert_array_equal(one, model.interpolate(x, x[::-1], given, steps=2))


def ends_in_a_sigmoid():
    decoder = configs.NETWORKS["dense"][1](configs.IMAGE)
    return keras.Sequential([decoder, layers.Activation("sigmoid")])


def ends_in_a_reshaped_sigmoid():
    return keras.Sequential(
        [
            keras.Input((configs.LATENT_DIM,)),
            layers.Dense(64, "sigmoid"),
            layers.Reshape(configs.IMAGE),
        ]
    )


def starts_with_equal_probabilities():
    zeros = layers.Dense(64, "sigmoid", kernel_initializer="zeros")
    shape = keras.Input((configs.LATENT_DIM,))
    return keras.Sequential([shape, zeros, layers.Reshape(configs.IMAGE)])


def ends_in_an_operation():
    decoder = configs.NETWORKS["dense"][1](configs.IMAGE)
    probabilities = keras.ops.sigmoid(decoder.outputs[0])
    return keras.Model(decoder.inputs, layers.Dropout(0.1)(probabilities))


@pytest.mark.parametrize(
    "decoder",
    [
        ends_in_a_sigmoid,
        ends_in_a_reshaped_sigmoid,
        starts_with_equal_probabilities,
        ends_in_an_operation,
    ],
)
def test_a_decoder_of_probabilities(decoder):
    encoder = configs.NETWORKS["dense"][0](configs.IMAGE)
    with pytest.raises(ValueError, match="logits for Bernoulli: end it without"):
        zoo.VAE(encoder, decoder(), configs.LATENT_DIM)
    zoo.SigmaVAE(encoder, decoder(), configs.LATENT_DIM)  # means may be so


@pytest.mark.parametrize("activation", ["tanh", "relu", "softmax"])
def test_logits_are_neither_bounded_nor_of_one_sign(activation):
    encoder, decoder = (make(configs.IMAGE) for make in configs.NETWORKS["dense"])
    decoder = keras.Sequential(
        [keras.Input((configs.LATENT_DIM,)), decoder, layers.Dense(8, activation)]
    )
    with pytest.raises(ValueError, match=f"Categorical: end it without a {activation}"):
        zoo.VAE(encoder, decoder, configs.LATENT_DIM, likelihood=zoo.Categorical(8))


def test_other_layers_may_follow_a_sigmoid():
    encoder = configs.NETWORKS["dense"][0](configs.IMAGE)
    probabilities = ends_in_a_sigmoid()
    for last in (layers.Rescaling(6.0, -3.0), layers.Dense(1, layers.LeakyReLU())):
        decoder = keras.Sequential([*probabilities.layers, last])
        zoo.VAE(encoder, decoder, configs.LATENT_DIM)


@pytest.mark.parametrize(
    "part",
    [
        {"prior": tfd.Normal(0.0, 1.0)},
        {"likelihood": "bernoulli"},
        {"posterior": lambda features: None},
        {"prior": layers.Dense(4)},
        {"likelihood": layers.Dense(4)},
    ],
)
def test_a_part_that_is_no_head(part):
    encoder, decoder = (make(configs.IMAGE) for make in configs.NETWORKS["dense"])
    (name,) = part
    with pytest.raises(ValueError, match=f"`{name}` must be a head, .*Received: "):
        zoo.VAE(encoder, decoder, configs.LATENT_DIM, **part)


class NotOneEvent(Head):
    """Returns what `make` makes of features, of latents' size or of an image's."""

    takes_logits, params_per_channel, support = False, 1, (0.0, 1.0)

    def __init__(self, make):
        super().__init__()
        self.make = make

    def call(self, features):
        return self.make(features)

    def distribution(self, model):
        return self.make(tf.zeros(configs.LATENT_DIM))


VALUES = "one event per row, not one per value: .*Received: batch_shape="
NOT_ONE_EVENT = {
    "posterior of tensors": ("posterior", lambda h: h, "Received: EagerTensor"),
    "posterior of values": (
        "posterior",
        lambda h: tfd.Normal(h[:, : configs.LATENT_DIM], 1.0),
        rf"{VALUES}\(1, 4\)",
    ),
    "posterior of another size": (
        "posterior",
        lambda h: tfd.Independent(tfd.Normal(h[:, :3], 1.0), 1),
        r"The posterior must have event shape \[4\]\. Received: event_shape=\(3,\)",
    ),
    "prior of values": ("prior", lambda z: tfd.Normal(z, 1.0), rf"{VALUES}\(4,\)"),
    "likelihood of values": (
        "likelihood",
        lambda x: tfd.Laplace(x, 1.0),
        rf"{VALUES}\(1, 8, 8, 1\)",
    ),
    "likelihood of rows": (
        "likelihood",
        lambda x: tfd.Independent(tfd.Laplace(x[:, 0], 1.0), 2),
        r"The likelihood must have event shape \[8, 8, 1\]\..*\(8, 1\)",
    ),
}


@pytest.mark.parametrize("case", NOT_ONE_EVENT)
def test_a_head_that_does_not_return_one_event_per_row(case):
    """Of the loss, a sum over pixels would silently become a mean."""
    name, make, message = NOT_ONE_EVENT[case]
    encoder, decoder = (make(configs.IMAGE) for make in configs.NETWORKS["dense"])
    with pytest.raises(ValueError, match=message):
        zoo.VAE(encoder, decoder, configs.LATENT_DIM, **{name: NotOneEvent(make)})


def test_an_objective_without_names():
    @dataclasses.dataclass(eq=False, frozen=True)
    class Nameless(Objective):
        def __call__(self, draw, log_p, step):
            return -log_p

    with pytest.raises(ValueError, match=r"a dict of terms by name\. Received: Eager"):
        configs.build(objective=Nameless())


@pytest.mark.parametrize("kind", ["conv", "residual"])
def test_an_image_has_three_axes(kind):
    encoder, decoder = configs.NETWORKS[kind]
    with pytest.raises(ValueError, match=r"width, channels\)\. Received: \(28, 28\)"):
        encoder((28, 28))
    with pytest.raises(ValueError, match=r"width, channels\)\. Received: \(28, 28\)"):
        decoder((28, 28))


@pytest.mark.parametrize(
    "make",
    [
        lambda: zoo.networks.dense_encoder(configs.IMAGE, units=64),
        lambda: zoo.networks.dense_decoder(4, configs.IMAGE, units=64),
        lambda: zoo.networks.conv_encoder(configs.IMAGE, filters=64),
        lambda: zoo.networks.residual_decoder(4, configs.IMAGE, filters=64),
        lambda: configs.build(zoo.IAFVAE, units=64),
        lambda: configs.build(zoo.LadderVAE, upper_dims=64, upper_units=(8,)),
        lambda: zoo.VLAE(configs.IMAGE, latent_dims=64, units=(8,)),
        lambda: zoo.NVAE(configs.IMAGE, groups=64),
        lambda: zoo.VQVAE(configs.IMAGE, strides=64),
        lambda: zoo.BIVA(configs.IMAGE, (2,), 64, 3),
    ],
)
def test_one_number_where_each_layer_has_one(make):
    with pytest.raises(ValueError, match=r"must be a tuple of .*Received: \w+=64$"):
        make()


def test_a_call_of_ones_own_must_add_the_losses(digits):
    class Own(zoo.VAE):
        def call(self, inputs, training=False):
            return inputs if self.lost else super().call(1.0 - inputs, training)

    model = configs.build(Own)
    model.compile("adam", jit_compile=False)
    model.lost = False
    assert np.isfinite(model.train_on_batch(digits)).all()
    model.lost = True
    model.make_train_function(force=True)
    with pytest.raises(ValueError, match=r"through `super.*Received: Own without"):
        model.train_on_batch(digits)


def test_a_term_must_not_take_a_metrics_name():
    @dataclasses.dataclass(eq=False, frozen=True)
    class Taken(Objective):
        def __call__(self, draw, log_p, step):
            return {"elbo": -log_p}

    with pytest.raises(ValueError, match=r"called as a metric .*Received: elbo"):
        configs.build(objective=Taken())


def test_a_prior_of_many_rows():
    """`sample(6)` would be one image."""

    class OfRows(zoo.priors.Prior):
        def distribution(self, model):
            return tfd.MultivariateNormalDiag(tf.zeros([1, configs.LATENT_DIM]))

    with pytest.raises(ValueError, match=r"not one per row\. Received: tfp.distri"):
        configs.build(prior=OfRows(configs.LATENT_DIM))


def test_a_network_without_inputs():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    _, decoder = (make(configs.IMAGE) for make in configs.NETWORKS["dense"])
    with pytest.raises(ValueError, match=r"`keras.Sequential.*Received: Subclassed"):
        zoo.VAE(Subclassed(), decoder, configs.LATENT_DIM)


def test_single_batches_are_checked_too(vae, digits):
    for use in (vae.train_on_batch, vae.test_on_batch, vae.predict_on_batch):
        with refused(vae, "must lie in"):
            use(digits * 2)


def test_several_arrays_are_no_data(vae, digits):
    for use in (vae.fit, vae.evaluate, vae.predict):
        for several in ((digits, digits), [digits], list(digits)):
            with refused(vae, r"must be one array.*Received: a (list|tuple) of arrays"):
                use(several)


def test_labels_beside_images_are_not_lost(digits):
    model = configs.semi_supervised_vae()
    model.compile("adam", jit_compile=False)
    with refused(model, r"Received: a pair \(x, y\)"):
        model.fit(digits, configs.LABELS[:64])


@pytest.mark.parametrize("name", ["likelihood", "prior", "posterior"])
def test_a_head_is_not_exchanged(vae, name):
    with pytest.raises(AttributeError, match=f"`{name}` of a VAE is fixed"):
        setattr(vae, name, zoo.Normal(0.1))


def test_a_shape_is_a_tuple():
    for make in configs.NETWORKS["dense"]:
        with pytest.raises(ValueError, match=r"A shape is a tuple.*Received: 28"):
            make(28)


def test_an_encoder_of_mean_and_variance():
    encoder, decoder = (make(configs.IMAGE) for make in configs.NETWORKS["dense"])
    both = keras.Model(encoder.inputs, encoder.outputs * 2)
    with pytest.raises(ValueError, match="no mean and variance: the posterior makes"):
        zoo.VAE(both, decoder, configs.LATENT_DIM)


def test_what_a_keras_user_may_try(vae, digits):
    with pytest.raises(ValueError, match=r"`seed` must be an integer\. Received: None"):
        vae.sample(2, seed=None)
    with pytest.raises(ValueError, match=r"`zoo\.evaluation` takes data sets"):
        vae.encode(tf.data.Dataset.from_tensor_slices(digits).batch(8))
    vae.compile("adam", jit_compile=False)
    with pytest.raises(ValueError, match=r"`np.asarray\(x\)` makes one of nested"):
        vae.fit(digits.tolist())
    vae.compile("adam", metrics=["mae"], jit_compile=False)
    with pytest.raises(ValueError, match=r"`fit\(x, x\)` gives them a y"):
        vae.fit(digits, verbose=0)
    with pytest.raises(ValueError, match=r"`fit\(x, x\)` gives them a y"):
        vae.fit(tf.data.Dataset.from_tensors(digits), verbose=0)
    with pytest.raises(ValueError, match=r"`fit\(x, x\)` gives them a y"):
        vae.evaluate(digits, verbose=0)
    history = vae.fit(digits, digits, verbose=0).history
    assert 0 < history["mae"][0] < 1
    vae.compile("adam", jit_compile=False)  # without metrics from before
    assert "mae" not in vae.fit(digits, verbose=0).history
    vae.compile("adam", metrics=["mae"], jit_compile=False)
    stop = keras.callbacks.TerminateOnNaN()  # one callback, everything by position
    logs = vae.fit(digits, digits, 32, 1, 0, stop, 0.0, (digits, digits)).history
    assert {"elbo", "val_elbo"} <= logs.keys()


def test_a_call_sees_what_nobody_looked_at_before(vae, digits):
    """Batches of a generator, and those of a data set that come after the first."""
    raw, more = (255 * digits).astype("uint8"), np.tile(digits, (1, 1, 1, 3))
    for data, message in (
        (digits[..., 0], r"must have shape \[batch, 8, 8, 1\].*shape=\(64, 8, 8\)"),
        (digits[:, :4], r"Data must have shape .* Received: shape=\(64, 4, 8, 1\)"),
        (more, r"Data must have shape .* Received: shape=\(64, 8, 8, 3\)"),
        (raw, r"Data must be floating point\. Received: dtype=uint8"),
    ):
        with pytest.raises(ValueError, match=message):
            vae(data)
    with pytest.raises(ValueError, match=r"must be floating.*Received: dtype=uint8"):
        vae.fit(((raw,) for _ in range(1)), shuffle=False, verbose=0)
    model = configs.conditional_vae()
    with pytest.raises(ValueError, match=r"`label` must be integers\. Received: dtype"):
        model({"x": digits, "label": np.zeros(64, "float32")})


def test_a_variable_is_an_array(vae, digits):
    answer = vae.log_prob(tf.Variable(digits), num_importance_samples=2)
    expected = vae.log_prob(digits, num_importance_samples=2)
    np.testing.assert_array_equal(answer, expected)


def test_a_loss_by_position_and_its_weights_are_refused(vae):
    with pytest.raises(ValueError, match=r"its own loss.*Received: loss='mse'"):
        vae.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"Received: loss_weights=\[2\.0\]"):
        vae.compile("adam", loss_weights=[2.0])


@keras.saving.register_keras_serializable("zoo_tests")
class Deeper(zoo.VAE):
    """A user's own model, whose further arguments have a name of their own."""

    def __init__(self, *networks, depth, keep=True, **more):
        super().__init__(*networks, **more)
        if keep:
            self.depth = depth
        self.keep = keep


def test_a_model_of_ones_own_is_saved_whatever_it_calls_its_arguments(tmp_path):
    model = configs.build(Deeper, depth=3, seed=5)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert (type(again), again.depth, again.seed) == (Deeper, 3, 5)
    np.testing.assert_array_equal(again.sample(2), model.sample(2))


def test_an_argument_that_is_not_kept_is_not_lost_silently():
    with pytest.raises(ValueError, match=r"Deeper must keep its argument as `self.dep"):
        configs.build(Deeper, depth=3, keep=False).get_config()
