"""Models of a user's own that make parts of themselves: they are saved and loaded."""

import keras
import numpy as np
import pytest

import zoo
from zoo.model import arguments


def networks(units):
    shape = (8, 8, 1)
    return (
        zoo.networks.dense_encoder(shape, (units,)),
        zoo.networks.dense_decoder(2, shape, (units,)),
    )


@keras.saving.register_keras_serializable("tests")
class Derived(zoo.VAE):
    """Makes its networks itself, and says so."""

    derived = ("encoder", "decoder", "latent_dim", "likelihood")

    def __init__(self, width=4, **kwargs):
        parts = networks(width)
        super().__init__(*parts, 2, likelihood=zoo.Normal(0.5), **kwargs)
        self.width = width


def test_a_model_that_makes_its_networks_itself_is_loaded(tmp_path):
    model = Derived(width=3, seed=5)
    copy = zoo.load(zoo.presets.save(model, tmp_path))
    assert (copy.width, copy.seed, copy.likelihood_head.sigma) == (3, 5, 0.5)
    np.testing.assert_array_equal(copy.sample(2), model.sample(2))


def test_a_model_that_does_not_say_what_it_makes_is_told_how():
    class Forgetful(zoo.VAE):
        def __init__(self, width=4, **kwargs):
            super().__init__(*networks(width), 2, **kwargs)
            self.width = width

    with pytest.raises(TypeError, match=r"derived = .* without `decoder`, `encoder`"):
        Forgetful()


def test_a_part_that_is_made_and_not_named_is_told_when_loaded():
    class Normal(zoo.VAE):
        def __init__(self, encoder, decoder, latent_dim, **kwargs):
            super().__init__(
                encoder, decoder, latent_dim, likelihood=zoo.Normal(), **kwargs
            )

    model = Normal(*networks(4), 2)
    with pytest.raises(TypeError, match=r"`derived = .* in the class"):
        Normal.from_config(model.get_config())
    Normal.derived = ("likelihood",)
    arguments.cache_clear()
    Normal.from_config(model.get_config())  # what was saved before is not lost


@keras.saving.register_keras_serializable("tests")
class Plain(zoo.VAE):
    """Takes no more keywords than its own."""

    def __init__(self, encoder, decoder, latent_dim):
        super().__init__(encoder, decoder, latent_dim)


def test_a_model_without_more_keywords_is_loaded(tmp_path):
    model = Plain(*networks(4), 2)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(copy.sample(2), model.sample(2))


def test_a_model_may_have_a_configuration_of_its_own():
    class OwnConfig(zoo.VAE):
        def __init__(self, width=4, **kwargs):
            super().__init__(*networks(width), 2, **kwargs)
            self.width = width

        def get_config(self):
            return {"width": self.width}

    assert OwnConfig.from_config(OwnConfig(3).get_config()).width == 3


def test_a_class_that_was_not_registered_is_told_to_be(tmp_path):
    class Unknown(zoo.VAE):
        pass

    entry = zoo.presets.save(Unknown(*networks(4), 2), tmp_path)
    with pytest.raises(ValueError, match="register_keras_serializable"):
        zoo.load(entry)
