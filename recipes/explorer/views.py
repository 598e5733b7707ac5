"""What the page asks of an entry: plain values in, plain values and images out."""

import numpy as np
import tensorflow as tf

import zoo
from recipes import figures
from recipes.datasets import Dataset
from recipes.explorer.pictures import MODES, from_url
from recipes.publish import test_images
from recipes.runs import evaluation_images
from zoo.checks import require

SLIDERS = 10
ACTIVE = 0.01  # variance of a code above which a latent is active
CODED = 1000  # test images whose codes say which latents are active, and how far
SAMPLES = 40
STEPS = 9  # of an interpolation, its ends included
NUM_IMPORTANCE_SAMPLES = 64
SIDE = 15  # images in a row of the map


class Explorer:
    """An entry and its test images: same question, same answer.

    Images come as data URLs, see `recipes.explorer.pictures`, and go as arrays
    `[H, W, C]`. Where a model asks for no label, `label` is None.

    Args:
        name: of the entry.
        model: of images of one or three channels, given nothing or a label.
        data: the data set, for its test labels.
        images: test images as the model is judged on them, `[N, H, W, C]`.
        record: the entry's metadata.

    Raises:
        ValueError: if the model is of something else.
    """

    def __init__(self, name, model, data: Dataset, images: np.ndarray, record: dict):
        shape, fields = model.event_shape, model.fields
        wanted = "The explorer shows models of images, given nothing or a label."
        good = (
            len(shape) == 3 and shape[-1] in MODES and fields.keys() <= {"x", "label"}
        )
        require(good, wanted, {name: field.shape for name, field in fields.items()})
        self.name, self.model, self.images, self.record = name, model, images, record
        self.labels = data.labels["test"] if "label" in fields else None
        self.codes = None  # of the top layer, if all layers are rows of numbers
        if figures.has_latents(model, ndims=1):
            given = data.given(model, "test", CODED)
            self.codes = model.encode(images[:CODED], given)[0].numpy()

    def about(self) -> dict:
        """What the page says of the entry, and which of its parts it shows."""
        model, data = self.model, self.record["data"]
        latents = getattr(model, "latent_fields", {}).values()
        whole = any(tf.as_dtype(field.dtype).is_integer for field in latents)
        return {
            "name": self.name,
            "class": self.record["class"],
            "data": data["source"],
            "pixels": "binarised" if data["binarise"] else "pixels in [0, 1]",
            "parameters": self.record["parameters"],
            "layers": len(latents),
            "nll": self.record.get("metrics", {}).get("nll"),
            "score": self.score_name(),
            "classes": self.classes,
            "images": len(self.images),
            "reconstructs": bool(latents),
            "interpolates": bool(latents) and not whole,
            "sliders": self.sliders(),
            "map": self.map(),
        }

    def sliders(self) -> list[dict]:
        """The most active dimensions of the top layer, and how far test codes go.

        None where latents are maps, or none is active.
        """
        if self.codes is None:
            return []
        low, high = self.codes.min(axis=0), self.codes.max(axis=0)
        variance = self.codes.var(axis=0)
        return [
            {"dimension": int(i), "low": float(low[i]), "high": float(high[i])}
            for i in figures.most_active(self.codes, SLIDERS)
            if variance[i] > ACTIVE
        ]

    def map(self) -> dict | None:
        """Of two latents: one image of `SIDE` x `SIDE` others, and their codes."""
        if self.codes is None or not figures.of_two_dimensions(self.model):
            return None
        codes = figures.plane(SIDE)
        images = self.model.decode(codes).numpy()  # [SIDE, SIDE, H, W, C]
        lines = [np.concatenate(row, axis=1) for row in images]
        return {"image": np.concatenate(lines), "codes": codes.tolist()}

    def test(self, index: int) -> dict:
        """The test image of that number, and its label."""
        count = len(self.images)
        wanted = f"A test image has a number from 0 to {count - 1}."
        require(type(index) is int and 0 <= index < count, wanted, index)
        label = None if self.labels is None else int(self.labels[index])
        return {"image": self.images[index], "label": label}

    def encode(self, image: str, label: int | None) -> dict:
        """An image as the model sees it, its reconstruction, score and top code."""
        x, given = self.seen(image), self.given(label)
        found = {"image": x[0], "score": self.score(x, given)}
        if hasattr(self.model, "latent_fields"):
            found["reconstruction"] = self.model.reconstruct(x, given)[0].numpy()
        if self.codes is not None:
            found["z"] = self.model.encode(x, given)[0][0].numpy().tolist()
        return found

    def decode(self, z: list[float], label: int | None) -> dict:
        """The image of a top code `[D]`; lower layers follow in the mean."""
        require(self.codes is not None, "This model has no sliders.", self.name)
        try:
            code = np.float32(z)
        except (TypeError, ValueError):
            code = np.float32(())
        size = self.codes.shape[1]
        require(code.shape == (size,), f"A code has {size} numbers.", f"{code.shape}")
        image = self.model.decode(code[None], given=self.given(label))[0]
        return {"image": image.numpy()}

    def interpolate(self, first: str, last: str, label: int | None) -> dict:
        """`STEPS` images on a straight line between two images' codes."""
        ends = self.seen(first), self.seen(last)
        given = self.given(label)
        images = self.model.interpolate(*ends, given, steps=STEPS)
        return {"images": list(images[:, 0].numpy())}

    def samples(self, seed: int, label: int | None) -> dict:
        """`SAMPLES` images of a seed, z from the prior; of one class if there are."""
        small = type(seed) is int and 0 <= seed < 2**31
        require(small, "A seed is a whole number from 0 to 2147483647.", seed)
        given = self.given(label, SAMPLES)
        images = self.model.sample(SAMPLES, given, seed=seed)
        return {"images": list(images.numpy())}

    def score(self, x: np.ndarray, given: dict) -> float:
        """What `score_name` says, of one image, nats."""
        if self.model.exact:
            return float(self.model.log_prob(x, given)[0])
        needed = given if self.needs_label else {}  # else it is summed over
        options = {"num_importance_samples": NUM_IMPORTANCE_SAMPLES}
        return float(self.model.log_prob(x, needed, **options)[0])

    def score_name(self) -> str:
        """What the score is, and how it is measured."""
        of = "x | label" if self.needs_label else "x"
        kind = "" if self.model.is_mass else ", a density"
        if self.model.exact:
            return f"log p({of}){kind}, exact"
        if "elbo" not in {metric.name for metric in self.model.metrics}:
            return f"log p(x | z){kind}"
        how = f"a lower bound by {NUM_IMPORTANCE_SAMPLES} importance samples"
        return f"log p({of}){kind}, {how}"

    def seen(self, image: str) -> np.ndarray:
        """An image as the model is judged on it, `[1, H, W, C]`: binary where it is.

        The binary pixels are drawn once with the grey ones as their means.
        """
        pixels = from_url(image, self.model.event_shape)[None]
        return evaluation_images(pixels, self.record["data"]["binarise"])

    def given(self, label: int | None, rows: int = 1) -> dict[str, np.ndarray]:
        """The conditions of so many images with the same label."""
        if "label" not in self.model.fields:
            require(label is None, "This model takes no label.", label)
            return {}
        wanted = f"A label is a number from 0 to {self.classes - 1}."
        require(type(label) is int and 0 <= label < self.classes, wanted, label)
        return {"label": np.full(rows, label, np.int32)}

    @property
    def classes(self) -> int:
        """How many there are; 0 where the model asks for no label."""
        label = self.model.given_fields.get("label")
        return int(label.support[1]) + 1 if label else 0

    @property
    def needs_label(self) -> bool:
        """Whether an image has a probability with its label alone."""
        label = self.model.fields.get("label")
        return label is not None and label.default is None


def load(path: str) -> Explorer:
    """The explorer of an entry, by its name or its folder.

    Raises:
        FileNotFoundError: if there is no such entry.
        ValueError: if it is damaged, of no data set, or nothing that can be shown.
    """
    record = zoo.presets.read_metadata(path)
    name = zoo.presets.find(path).resolve().name
    return Explorer(name, zoo.load(path), *test_images(record), record)
