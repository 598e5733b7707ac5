"""The peer's side: pythae with PyTorch, in an environment without TensorFlow."""

import importlib.metadata
import tempfile
import time

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import VAE, VAE_IAF, VAE_IAF_Config, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.samplers import NormalSampler
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.trainers.training_callbacks import TrainingCallback
from torch import nn

from benchmarks import protocol
from benchmarks.protocol import CONV_UNITS, FILTERS, LATENT_DIM, UNITS


def prepare(case, images):
    model = build(case)
    data = torch.tensor(images[:, None])
    if case.startswith("train"):
        count = protocol.CONV_IMAGES if "conv" in case else protocol.TRAINING_IMAGES
        return count, trainer(model, data[:count], int(case.rsplit("_", 1)[1]))
    model.eval()
    data = data.float()
    if case == "nll":
        some = data[: protocol.NLL_IMAGES["peer"]]
        count = protocol.NLL_SAMPLES
        return len(some), no_grad(lambda: model.get_nll(some, count, batch_size=500))
    if case == "sample":
        sampler = NormalSampler(model)
        count = protocol.SAMPLED_IMAGES
        return count, no_grad(lambda: sampler.sample(count))
    return len(data), no_grad(lambda: model.encoder(data).embedding)


def build(case: str) -> VAE:
    shape = {"input_dim": (1, 28, 28), "latent_dim": LATENT_DIM}
    conv = "conv" in case
    encoder = Encoder(conv_encoder() if conv else dense_encoder())
    decoder = Decoder(conv_decoder() if conv else dense_decoder())
    if "iaf" not in case:
        config = VAEConfig(**shape, reconstruction_loss="bce")
        return VAE(config, encoder, decoder)
    config = VAE_IAF_Config(
        **shape,
        reconstruction_loss="bce",
        n_made_blocks=protocol.IAF_STEPS,
        n_hidden_in_made=len(protocol.IAF_UNITS),
        hidden_size=protocol.IAF_UNITS[0],
    )
    return VAE_IAF(config, encoder, decoder)


class Encoder(BaseEncoder):
    def __init__(self, network):
        super().__init__()
        self.network, width = network
        self.loc = nn.Linear(width, LATENT_DIM)
        self.log_variance = nn.Linear(width, LATENT_DIM)

    def forward(self, x):
        h = self.network(x)
        return ModelOutput(embedding=self.loc(h), log_covariance=self.log_variance(h))


class Decoder(BaseDecoder):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, z):
        return ModelOutput(reconstruction=self.network(z))


def dense_encoder():
    first, second = UNITS
    layers = (
        nn.Flatten(),
        nn.Linear(784, first),
        nn.ReLU(),
        nn.Linear(first, second),
        nn.ReLU(),
    )
    return nn.Sequential(*layers), second


def dense_decoder():
    first, second = UNITS
    return nn.Sequential(
        nn.Linear(LATENT_DIM, first),
        nn.ReLU(),
        nn.Linear(first, second),
        nn.ReLU(),
        nn.Linear(second, 784),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, 28, 28)),
    )


def conv_encoder():
    first, second = FILTERS
    layers = (
        nn.Conv2d(1, first, 3, 2, padding=1),
        nn.ReLU(),
        nn.Conv2d(first, second, 3, 2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(7 * 7 * second, CONV_UNITS),
        nn.ReLU(),
    )
    return nn.Sequential(*layers), CONV_UNITS


def conv_decoder():
    second, first = FILTERS
    return nn.Sequential(
        nn.Linear(LATENT_DIM, CONV_UNITS),
        nn.ReLU(),
        nn.Linear(CONV_UNITS, 7 * 7 * first),
        nn.ReLU(),
        nn.Unflatten(1, (first, 7, 7)),
        nn.ConvTranspose2d(first, second, 3, 2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(second, 1, 3, 2, padding=1, output_padding=1),
        nn.Sigmoid(),
    )


def trainer(model, data, batch_size):
    """The last epoch of pythae's own loop, from its first batch to its last step."""
    clock = Clock()
    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=batch_size,
        num_epochs=protocol.EPOCHS,
        learning_rate=protocol.LEARNING_RATE,
    )
    dataset = BaseDataset(data.float(), torch.zeros(len(data)))

    def run():
        BaseTrainer(model, dataset, training_config=config, callbacks=[clock]).train()
        return clock.last - clock.started

    return run


class Clock(TrainingCallback):
    def on_train_step_begin(self, training_config, **kwargs):
        self.started = time.perf_counter()

    def on_train_step_end(self, training_config, **kwargs):
        self.last = time.perf_counter()


def no_grad(function):
    def run():
        with torch.no_grad():
            function()

    return run


if __name__ == "__main__":
    protocol.serve(
        prepare,
        {
            "torch": torch.__version__,
            "pythae": importlib.metadata.version("pythae"),
            "torch threads": torch.get_num_threads(),
        },
    )
