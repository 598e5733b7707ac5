"""VQ-VAE-2 of two levels on 8-bit grey MNIST, with PixelCNN priors of its codes.

7 x 7 codes above 14 x 14, 64 each; each pixel has a mixture of three discretised
logistics. The priors are entries of their own within this one, `prior_2` and `prior_1`;
`vq_vae.sample_from([prior_2, prior_1], 16)` draws images. `nll_with_priors` is what an
image costs with the codes at the priors' price: an upper bound on its NLL. It is
comparable with any other mass of the same images, such as glow_mnist's.
"""

import keras
import numpy as np

import zoo
from recipes import datasets, figures, publish
from recipes.runs import Run, evaluation_images

EPOCHS = 20


def train(run: Run) -> None:
    data = datasets.load("mnist")
    model = zoo.VQVAE(
        (28, 28, 1),
        strides=(2, 2),
        num_codes=64,
        likelihood=zoo.DiscretisedLogistic(levels=256, components=3),
        seed=run.seed,
    )
    model.compile(keras.optimizers.Adam(1e-3))
    model = run.fit(model, data, batch_size=128)

    train, test = (
        zoo.evaluation.encode(model, evaluation_images(images, False))
        for images in (data.train, data.test[: run.test_images])
    )
    priors = [
        zoo.PixelCNN((7, 7), 64, channels=64, depth=6),
        zoo.PixelCNN((14, 14), 64, channels=64, depth=6, upper=(7, 7, 64)),
    ]
    nats = []
    for prior, codes, tested in zip(priors, with_upper(train), with_upper(test)):
        prior.compile(keras.optimizers.Adam(1e-3))
        prior.fit(codes, batch_size=128, epochs=run.epochs)
        log_p = zoo.evaluation.log_prob(prior, tested.pop("x"), tested)
        nats.append(-float(np.mean(log_p)))

    distortion = zoo.evaluation.information(
        model, evaluation_images(data.test[: run.test_images], False)
    )["distortion"]
    protocol = f"{len(test[0])} test images"
    total = distortion + sum(nats)
    bits = float(zoo.bounds.bits_per_dim(-total, model.event_shape))
    more = {
        "prior_nats": publish.figure(nats, "nats per level", protocol),
        "nll_with_priors": publish.figure(total, "nats, upper bound", protocol),
        "bits_per_dim_with_priors": publish.figure(bits, "bits", protocol),
    }
    entry = publish.publish(run, model, data, about=__doc__, more=more)
    for name, prior in zip(("prior_2", "prior_1"), priors):
        zoo.presets.save(prior, entry / name, {"recipe": run.name, "seed": run.seed})
    images = model.sample_from(priors, 100, seed=run.seed).numpy()
    figure = figures.grid(np.split(images, 10))
    figure.savefig(entry / "figures" / "samples_from_priors.png")


def with_upper(codes) -> list[dict[str, np.ndarray]]:
    """The codes of each level as `x`, with those above as `upper`, top level first."""
    top, bottom = codes
    return [{"x": top}, {"x": bottom, "upper": top}]
