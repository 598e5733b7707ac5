"""The engine: training as Keras trains, hooks, files, and pure functions."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import zoo
from tests import configs, small_models
from tests.configs import assert_same_variables, snapshot
from zoo import training
from zoo.draws import Sample, seed_words
from zoo.objectives import ELBO, IWELBO

tfd = tfp.distributions


NAMES = {"loss", "elbo", "rate", "distortion", "beta_rate"}


def compiled(**kwargs):
    """A small seeded model, compiled without XLA; `compile` options are told apart."""
    names = ("run_eagerly", "steps_per_execution", "jit_compile")
    options = {name: kwargs.pop(name) for name in names if name in kwargs}
    model = configs.build(**kwargs)
    model.compile(configs.optimizer(), **{"jit_compile": False, **options})
    return model


def fit(model, x, epochs=1, **kwargs):
    """Trains in the data's own order; returns the history."""
    options = {"batch_size": 16, "shuffle": False, "verbose": 0, **kwargs}
    if isinstance(x, tf.data.Dataset):
        options.pop("batch_size")
        options.pop("shuffle")
    return model.fit(x, epochs=epochs, **options).history


def step(model, x):
    """What training and evaluation do with a batch, but for the weights."""
    model.reset_metrics()
    model(x)
    model.compute_loss(x)


def metric(model, name):
    """The value of one of a model's metrics."""
    return next(m.result().numpy() for m in model.metrics if m.name == name)


# Training.


@pytest.mark.parametrize("labels", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_fit_takes_arrays_and_data_sets_alike(digits, labels):
    number = np.arange(len(digits))
    parts = (digits, number) if labels else digits
    dataset = tf.data.Dataset.from_tensor_slices(parts).batch(16)
    validation = (digits[:16], number[:16]) if labels else digits[:16]
    by_array, by_dataset = compiled(), compiled()
    array_logs = fit(by_array, digits, validation_data=validation)
    dataset_logs = fit(by_dataset, dataset, validation_data=dataset.take(1))
    assert_same_variables(by_array, by_dataset, atol=1e-6)  # threads add in any order
    assert set(array_logs) == {
        f"{prefix}{name}" for prefix in ("", "val_") for name in NAMES
    }
    for name, values in array_logs.items():
        np.testing.assert_allclose(values, dataset_logs[name], rtol=1e-4)


@pytest.mark.slow
def test_labels_may_stand_beside_arrays(vae, digits):
    other = compiled()
    fit(vae, digits, y=np.arange(len(digits)))
    fit(other, digits)
    assert_same_variables(vae, other, atol=1e-6)


@pytest.mark.slow
def test_same_seed_same_run_other_seed_another(digits):
    one, again, other = compiled(), compiled(), compiled(seed=1)
    for model in (one, again, other):
        fit(model, digits)
    assert_same_variables(one, again, atol=1e-6)
    weights = one.encoder.get_weights()[0], other.encoder.get_weights()[0]
    assert np.abs(weights[0] - weights[1]).max() > 1e-3


class Listener(keras.callbacks.Callback):
    """Counts the batches it hears of."""

    heard = 0

    def on_train_batch_end(self, batch, logs=None):
        self.heard += 1


@pytest.mark.parametrize(("steps_per_epoch", "chosen"), [(4, 4), (23, 1), (None, 20)])
def test_several_steps_are_executed_at_once_but_no_more_than_asked(
    vae, digits, steps_per_epoch, chosen
):
    batches = tf.data.Dataset.from_tensor_slices(digits).batch(16)
    if steps_per_epoch:
        batches = batches.repeat()
    vae.fit(batches, steps_per_epoch=steps_per_epoch, verbose=0)
    assert vae.steps_per_execution == chosen
    assert vae.step == (steps_per_epoch or 4)


@pytest.mark.slow
@pytest.mark.skipif(
    bool(tf.config.list_physical_devices("GPU")), reason="concerns the CPU alone"
)
def test_convolutional_models_of_many_weights_take_one_step_at_a_time(
    digits, monkeypatch
):
    batches = tf.data.Dataset.from_tensor_slices(digits).batch(16)
    chosen = []
    for most in (1000, 1):
        monkeypatch.setattr(training, "MANY_WEIGHTS", most)
        model = configs.build(networks="conv")
        model.compile("adam")
        model.fit(batches, verbose=0)
        assert model.step == 4
        chosen.append(model.steps_per_execution)
    assert chosen == [training.MOST_STEPS, 1]


@pytest.mark.slow
def test_every_batch_counts_after_the_number_of_steps_has_changed(vae, digits):
    batches = tf.data.Dataset.from_tensor_slices(digits).batch(8).repeat()

    def calls_of_evaluate(x, **options):
        before = int(vae.calls)
        vae.evaluate(x, verbose=0, **options)
        return int(vae.calls) - before

    vae.evaluate(digits, batch_size=8, verbose=0)  # in executions of up to twenty
    vae.fit(batches, steps_per_epoch=7, verbose=0)
    assert calls_of_evaluate(digits, batch_size=8) == 8
    assert calls_of_evaluate(batches, steps=5) == 5
    assert len(vae.predict(digits, batch_size=8, verbose=0)) == 64
    assert len(vae.predict(batches, steps=5, verbose=0)) == 40
    assert vae.steps_per_execution == 7


def test_validation_takes_the_steps_it_was_given(vae, digits):
    batches = tf.data.Dataset.from_tensor_slices(digits).batch(8).repeat()
    vae.fit(
        batches,
        steps_per_epoch=6,
        validation_data=batches,
        validation_steps=4,
        verbose=0,
    )
    assert vae.steps_per_execution == 2
    assert vae.calls == 6 + 4


class Evaluating(keras.callbacks.Callback):
    """Evaluates a number of batches that does not fit training's."""

    def on_epoch_end(self, epoch, logs=None):
        before = int(self.model.calls)
        self.model.evaluate(self.batches, steps=3, verbose=0)
        assert self.model.calls == before + 3


def test_a_callback_may_evaluate_while_the_model_trains(vae, digits):
    callback = Evaluating()
    callback.batches = tf.data.Dataset.from_tensor_slices(digits).batch(8).repeat()
    vae.fit(digits, batch_size=8, epochs=2, callbacks=[callback], verbose=0)
    assert vae.step == 16


def test_callbacks_that_listen_to_batches_hear_of_every_one(vae, digits):
    listener = Listener()
    vae.fit(digits, batch_size=16, callbacks=[listener], verbose=0)
    assert listener.heard == 4
    heard = []
    keras_s_own = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: heard.append(batch)
    )
    vae.fit(digits, batch_size=16, callbacks=[keras_s_own], verbose=0)
    assert heard == [0, 1, 2, 3]


def test_steps_that_keras_would_round_up_are_refused(digits):
    model = configs.build()
    model.compile(configs.optimizer(), jit_compile=False, steps_per_execution=3)
    batches = tf.data.Dataset.from_tensor_slices(digits).batch(16).repeat()
    with pytest.raises(ValueError, match=r"must divide.*steps_per_epoch=4"):
        model.fit(batches, steps_per_epoch=4)


def test_schedules_under_several_steps_per_execution(digits):
    up, down = (zoo.schedules.Linear(*ends, steps=6) for ends in ((0, 2), (1, 0)))
    objective = ELBO(beta=up, free_bits=down)
    stepped = compiled(steps_per_execution=4, objective=objective)
    single = compiled(objective=objective)
    for model in (stepped, single):
        fit(model, digits, epochs=2)
    assert_same_variables(stepped, single, atol=1e-5)  # rounding over 8 steps of 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"run_eagerly": True}, marks=pytest.mark.slow),
        {"jit_compile": True},
    ],
)
def test_fit_runs_eagerly_and_under_xla(digits, options):
    logs = fit(compiled(**options), digits, epochs=3)
    assert logs["loss"][-1] < logs["loss"][0]


@pytest.mark.slow
def test_samples_average(digits):
    """64 draws a step: the same expected loss at a 64th of the variance."""
    losses = {}
    for num_samples in (1, 64):
        model = configs.build(objective=ELBO(num_samples=num_samples))
        model.decoder.layers[0].set_weights(
            [4 * weight for weight in model.decoder.layers[0].get_weights()]
        )  # so that z matters

        @tf.function
        def loss(x, model=model):
            model(x)
            return tf.add_n(model.losses)

        losses[num_samples] = np.array([loss(digits[:2]) for _ in range(100)])
    few, many = losses[1], losses[64]
    assert many.var() < few.var() / 20  # F(99, 99) stays within a factor of 3
    assert abs(few.mean() - many.mean()) < 4 * few.std() / 10


def test_evaluate_and_predict(vae, digits):
    before = snapshot(vae.encoder) | snapshot(vae.decoder)
    result = vae.evaluate(digits, verbose=0, return_dict=True)
    assert set(result) == NAMES
    assert result["loss"] == pytest.approx(-result["elbo"], rel=1e-5)
    reconstruction = vae.predict(digits, verbose=0)
    assert reconstruction.shape == digits.shape
    assert_same_variables(snapshot(vae.encoder) | snapshot(vae.decoder), before)


def test_callbacks(vae, digits, tmp_path):
    class Count(keras.callbacks.Callback):
        steps = 0

        def on_train_batch_end(self, batch, logs=None):
            assert set(logs) >= NAMES
            self.steps += 1

    count = Count()
    stop = keras.callbacks.EarlyStopping("val_elbo", mode="max", min_delta=1e9)
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", "val_elbo", mode="max", save_best_only=True
    )
    logs = fit(
        vae,
        digits,
        epochs=5,
        validation_data=digits,
        callbacks=[count, stop, best, keras.callbacks.TerminateOnNaN()],
    )
    assert len(logs["loss"]) == 2  # nothing gains 1e9 nats: stopped after patience
    assert count.steps == 8
    assert keras.saving.load_model(tmp_path / "best.keras").step == 8


def test_validation_split(vae, digits):
    logs = fit(vae, digits, validation_split=0.5)
    assert vae.step == 2
    assert np.isfinite(logs["val_elbo"]).all()


def test_own_training_loop(vae, digits):
    optimizer = keras.optimizers.Adam(0.01)
    losses = []
    for _ in range(10):
        with tf.GradientTape() as tape:
            reconstruction = vae(digits, training=True)
            loss = tf.add_n(vae.losses)
        assert len(vae.losses) == 2  # distortion and rate, of this step alone
        optimizer.apply(
            tape.gradient(loss, vae.trainable_variables), vae.trainable_variables
        )
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    assert reconstruction.shape == digits.shape
    assert vae.step == 10


@pytest.mark.parametrize(
    "policy", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)]
)
def test_half_precision_networks_learn(policy, digits):
    keras.config.set_dtype_policy(policy)
    model = compiled()
    assert model.dtype_policy.name == "float32"
    assert model.encoder.dtype_policy.name == policy
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    logs = fit(model, digits, epochs=5)
    assert np.isfinite(list(logs.values())).all()
    assert logs["loss"][-1] < logs["loss"][0]
    assert all(np.isfinite(value).all() for value in snapshot(model).values())


# Files.


@pytest.mark.slow
@pytest.mark.parametrize(
    "policy", ["float32", pytest.param("mixed_float16", marks=pytest.mark.slow)]
)
def test_training_goes_on_after_loading(digits, tmp_path, policy):
    keras.config.set_dtype_policy(policy)
    through, first = (
        compiled(objective=ELBO(zoo.schedules.Linear(0.0, 1.0, steps=8)))
        for _ in range(2)
    )
    fit(through, digits, epochs=2)
    fit(first, digits)
    first.save(tmp_path / "model.keras")
    keras.utils.set_random_seed(99)
    second = keras.saving.load_model(tmp_path / "model.keras")
    assert_same_variables(first, second)
    fit(second, digits)
    assert second.step == 8
    assert_same_variables(second, through, atol=1e-6)


@pytest.mark.slow
def test_weights_round_trip(vae, digits, tmp_path):
    fit(vae, digits)
    vae.save_weights(tmp_path / "model.weights.h5")
    keras.utils.set_random_seed(99)
    copy = type(vae).from_config(vae.get_config())
    assert not np.array_equal(copy.reconstruct(digits), vae.reconstruct(digits))
    copy.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(copy.reconstruct(digits), vae.reconstruct(digits))


def test_config_keeps_every_argument():
    model = configs.build(
        likelihood=zoo.Normal(0.3),
        posterior=zoo.DiagonalNormal(configs.LATENT_DIM, min_scale=0.2),
        objective=ELBO(zoo.schedules.Linear(0.0, 1.0, steps=5), 0.25, num_samples=3),
        seed=7,
        name="mine",
    )
    copy = zoo.VAE.from_config(model.get_config())
    assert copy.likelihood_head.sigma == 0.3
    assert copy.posterior_head.min_scale == 0.2
    assert (copy.seed, copy.name) == (7, "mine")
    one, other = copy.objective, model.objective
    assert (one.num_samples, one.free_bits) == (3, 0.25)
    assert one.beta.get_config() == other.beta.get_config()


# Networks of one's own.


@pytest.mark.slow
def test_own_image_networks(digits):
    inputs = keras.Input(configs.IMAGE)
    h = keras.layers.Conv2D(4, 3, 2)(inputs)
    h = keras.layers.Concatenate()(
        [keras.layers.GlobalAveragePooling2D()(h), keras.layers.Flatten()(inputs)]
    )
    decoder = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(64), keras.layers.Reshape((8, 8, 1))]
    )
    model = zoo.VAE(keras.Model(inputs, h), decoder, latent_dim=2)
    model.compile(configs.optimizer(), jit_compile=False)
    logs = fit(model, digits, epochs=4)
    assert logs["loss"][-1] < logs["loss"][0]
    assert model.sample(3).shape == (3, 8, 8, 1)


@pytest.mark.slow
def test_own_networks_for_a_table():
    columns = configs.TABLE.shape[1]
    encoder = keras.Sequential(
        [keras.Input((columns,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(6)]
    )
    z = keras.Input((2,))
    decoder = keras.Model(z, keras.layers.Dense(columns)(z))
    model = zoo.VAE(encoder, decoder, latent_dim=2, likelihood=zoo.Normal())
    model.compile(configs.optimizer(), jit_compile=False)
    logs = fit(model, configs.TABLE, epochs=4)
    assert logs["loss"][-1] < logs["loss"][0]
    assert model.reconstruct(configs.TABLE).shape == configs.TABLE.shape
    assert model.log_prob(configs.TABLE[:5]).shape == (5,)


# Hooks.


class ShiftedPrior(zoo.VAE):
    def prior(self, given):
        return tfd.Independent(tfd.Normal(tf.fill([self.latent_dim], 3.0), 1.0), 1)


class FixedPosterior(zoo.VAE):
    def posterior(self, features):
        loc = tf.fill([tf.shape(features)[0], self.latent_dim], 2.0)
        return tfd.Independent(tfd.Normal(loc, 0.5), 1)


class HalfLikelihood(zoo.VAE):
    def likelihood(self, out, given):
        probs = tf.fill([tf.shape(out)[0], *self.event_shape], 0.5)
        return tfd.Independent(
            tfd.Bernoulli(probs=probs, dtype=tf.float32), len(self.event_shape)
        )


class NamedTerms(zoo.VAE):
    def terms(self, draw, log_p):
        return {**super().terms(draw, log_p), "penalty": tf.fill([draw.rows], 7.0)}


class WalkingTerm(zoo.VAE):
    """A walk that has something to add to the objective itself."""

    def walk(self, draw, features=None, given=None):
        z = super().walk(draw, features, given)
        draw.terms["size_of_z"] = tf.reduce_sum(z**2, axis=-1)
        return z


class TwoLayers(zoo.VAE):
    """z2 ~ N(0, I), z1 ~ N(z2, I), and q likewise from one posterior head."""

    def walk(self, draw, features=None, given=None):
        z2 = super().walk(draw, features, given)
        prior, lower = (tfd.Independent(tfd.Normal(z2, s), 1) for s in (1.0, 0.5))
        return draw(prior, None if features is None else lower)


def test_prior_hook(digits):
    model = configs.build(ShiftedPrior)
    z = model.walk(Sample(seed_words(1), 500))
    np.testing.assert_allclose(np.mean(z, axis=0), 3.0, atol=4 / np.sqrt(500))
    step(model, digits)
    plain = configs.build()
    step(plain, digits)
    assert metric(model, "rate") > metric(plain, "rate") + 3


def test_posterior_hook(digits):
    model = configs.build(FixedPosterior)
    np.testing.assert_array_equal(
        model.encode(digits)[0], np.full((64, configs.LATENT_DIM), 2.0)
    )
    step(model, digits)
    rate = configs.LATENT_DIM * (-np.log(0.5) + (0.5**2 + 2.0**2 - 1) / 2)
    np.testing.assert_allclose(metric(model, "rate"), rate, rtol=1e-5)


def test_likelihood_hook(digits):
    model = configs.build(HalfLikelihood)
    np.testing.assert_array_equal(model.sample(2), np.full((2, 8, 8, 1), 0.5))
    step(model, digits)
    by_hand = 64 * np.log(2)
    np.testing.assert_allclose(metric(model, "distortion"), by_hand, rtol=1e-5)


def test_terms_hook(digits):
    model = configs.build(NamedTerms)
    step(model, digits)
    assert len(model.losses) == 3
    assert model.losses[2] == metric(model, "penalty") == 7.0
    expected = 7 - metric(model, "elbo")
    np.testing.assert_allclose(tf.add_n(model.losses), expected, rtol=1e-5)


def test_terms_of_a_walk(digits):
    """They are trained on beside the objective's, whichever it is."""
    for objective in (ELBO(), IWELBO(num_importance_samples=3)):
        model = configs.build(WalkingTerm, objective=objective)
        step(model, digits)
        *_, size = model.losses
        assert size == metric(model, "size_of_z") > 0
        plain = configs.build(objective=objective)
        step(plain, digits)
        expected = tf.add_n(plain.losses) + size
        np.testing.assert_allclose(tf.add_n(model.losses), expected, rtol=1e-6)


def test_walk_hook(digits):
    model = configs.build(TwoLayers)
    model.compile(configs.optimizer(), jit_compile=False)
    logs = fit(model, digits, epochs=3)
    assert logs["loss"][-1] < logs["loss"][0]
    codes = model.encode(digits)
    np.testing.assert_array_equal(codes[0], codes[1])  # the lower mean is z2
    assert model.decode(*codes).shape == digits.shape
    assert model.sample(5).shape == (5, 8, 8, 1)
    assert model.decode(codes[0]).shape == digits.shape  # z1 in the mean of its prior
    np.testing.assert_array_equal(model.decode(codes[0]), model.decode(*codes))
    x = tf.constant(digits[:4])
    log_w = model.log_weights(x, num_importance_samples=6)
    assert log_w.shape == (6, 4)
    # by hand: both layers' log p - log q enter the weights
    draw = Sample(seed_words(0), 6 * 4, 6)
    z1 = model.walk(draw, model.features(x, {}), {})
    by_hand = model.likelihood(z1, {}).log_prob(draw.repeat(x))
    for latent in draw.latents:
        z, batch = latent.z, latent.posterior.batch_shape[0]
        rows = tf.reshape(z, [-1, batch, z.shape[-1]])  # its posterior's
        by_hand -= tf.reshape(latent.posterior.log_prob(rows), [-1])
        by_hand += latent.prior.log_prob(z)
    np.testing.assert_allclose(log_w, draw.split(by_hand), rtol=1e-4)
    rates = tf.add_n(draw.rates)
    assert (rates > zoo.bounds.rate(draw.latents[0])).numpy().all()


def test_other_calls_leave_the_metrics_of_an_epoch_alone(vae, digits):
    """Such as a callback's, between the batches of training."""

    def predict(batch, logs):
        vae(np.zeros_like(digits))
        vae.predict(np.zeros_like(digits), verbose=0)

    dataset = tf.data.Dataset.from_tensor_slices(digits).batch(16)
    before = vae.get_weights()
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=predict)
    history = vae.fit(dataset, callbacks=callback, verbose=0).history
    vae.set_weights(before)
    plain = vae.fit(dataset, verbose=0).history
    np.testing.assert_allclose(history["distortion"], plain["distortion"], rtol=0.02)


def test_every_layer_s_rate_is_a_metric(digits):
    model = configs.build(TwoLayers)
    step(model, digits)
    rates = [metric(model, name) for name in ("rate_2", "rate_1")]
    assert metric(model, "rate") == pytest.approx(sum(rates), rel=1e-6)
    normal = 0.5**2 / 2 - np.log(0.5) - 0.5  # KL(N(z2, 0.25) || N(z2, 1)), each unit
    assert rates[1] == pytest.approx(configs.LATENT_DIM * normal, rel=1e-5)


@pytest.mark.slow
def test_a_dict_of_x_is_x(vae, digits):
    other = compiled()
    fit(vae, digits)
    fit(other, {"x": digits})
    assert_same_variables(vae, other, atol=1e-6)
    expected = vae.evaluate(digits, verbose=0, return_dict=True)
    found = other.evaluate({"x": digits}, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-5)
    found, expected = other.predict({"x": digits}, verbose=0), vae.predict(digits)
    np.testing.assert_allclose(found, expected, atol=1e-5)


# Pure functions.


def test_pure_functions_write_nothing(vae, digits):
    fit(vae, digits)
    before = snapshot(vae)
    metrics = [metric.result().numpy() for metric in vae.metrics]
    for answer in (
        lambda: vae.encode(digits)[0],
        lambda: vae.decode(np.zeros((2, configs.LATENT_DIM), "float32")),
        lambda: vae.reconstruct(digits),
        lambda: vae.sample(2, seed=3),
        lambda: vae.log_weights(digits, num_importance_samples=3, seed=3),
        lambda: vae.log_prob(digits, num_importance_samples=3, seed=3, chunk=2),
    ):
        np.testing.assert_array_equal(answer(), answer())
    assert_same_variables(vae, before)
    assert metrics == [metric.result().numpy() for metric in vae.metrics]


def test_pure_functions_run_in_a_graph(vae, digits):
    def log_prob(x, seed):
        return vae.log_prob(x, num_importance_samples=5, seed=seed, chunk=2)

    inside = tf.function(log_prob)(tf.constant(digits), tf.constant(3, tf.int64))
    np.testing.assert_allclose(inside, log_prob(digits, 3), rtol=1e-5)


def test_an_incomplete_chunk_draws_no_more_than_it_needs(vae, digits):
    """Five draws in chunks of two are the first ones of three chunks, not six draws."""
    chunks = [
        vae.log_weights_of(
            Sample(tf.random.fold_in(seed_words(3), i), count * len(digits), count),
            tf.constant(digits),
            {},
            vae.encoder(digits),
        )
        for i, count in enumerate((2, 2, 1))
    ]
    by_hand = zoo.bounds.iw_elbo(tf.concat(chunks, axis=0))
    found = vae.log_prob(digits, num_importance_samples=5, seed=3, chunk=2)
    np.testing.assert_allclose(found, by_hand, rtol=1e-5)


def test_codes_are_posterior_means(vae, digits):
    posterior = vae.posterior(vae.features(digits, {}))
    np.testing.assert_array_equal(vae.encode(digits)[0], posterior.mean())


def test_decode_keeps_leading_axes(vae):
    z = np.zeros((4, 2, configs.LATENT_DIM), "float32")
    assert vae.decode(z).shape == (4, 2, *configs.IMAGE)


def test_event_shape(vae):
    assert vae.event_shape == configs.IMAGE


def test_decode_is_the_likelihood_s_mean_in_one_graph_for_all_sizes(vae):
    z = tf.random.stateless_normal((5, configs.LATENT_DIM), (0, 0))
    for size in (1, 2, 3, 5):
        expected = vae.likelihood(z[:size], {}).mean()
        np.testing.assert_allclose(vae.decode(z[:size]), expected, atol=1e-6)
    assert vae._decode.experimental_get_tracing_count() <= 2  # of one size, of any


def test_interpolation_goes_from_one_reconstruction_to_the_other(vae, digits):
    a, b = digits[:3], digits[3:6]
    line = vae.interpolate(a, b, steps=3)
    assert line.shape == (3, 3, *configs.IMAGE)
    (z_a,), (z_b,) = vae.encode(a), vae.encode(b)
    expected = [vae.decode(z) for z in (z_a, (z_a + z_b) / 2, z_b)]
    np.testing.assert_allclose(line, expected, atol=1e-6)
    with pytest.raises(ValueError, match="`steps` must be at least 2"):
        vae.interpolate(a, b, steps=1)
    with pytest.raises(ValueError, match=r"whole numbers.*int32"):
        small_models.vq_vae().interpolate(a, b)
