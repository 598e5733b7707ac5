"""What the page asks of an entry: plain values in, plain values and images out."""

import numpy as np

import zoo
from recipes import figures
from recipes.datasets import Dataset
from recipes.explorer.pictures import MODES, from_url
from recipes.pipelines import downscale
from recipes.publish import test_images
from recipes.runs import evaluation_images
from zoo.checks import require

SLIDERS = 10
CODED = 1000  # test images whose codes say which latents are active, and how far
SAMPLES = 40
STEPS = 9  # of an interpolation, its ends included
NUM_IMPORTANCE_SAMPLES = 64
SIDE = 15  # images in a row of the map


class Explorer:
    """An entry and its test images: same question, same answer.

    Images come as data URLs, see `recipes.explorer.pictures`, and go as arrays
    `[H, W, C]`. Conditions are the dict `given`: a label, or images. A small image,
    `low`, is no condition of `encode`, which makes it of the image.

    Args:
        name: of the entry.
        model: one that `check` accepts.
        data: the data set, for the conditions of its test images.
        images: test images as the model is judged on them, `[N, H, W, C]`.
        record: the entry's metadata.
    """

    def __init__(self, name, model, data: Dataset, images: np.ndarray, record: dict):
        self.name, self.model, self.images, self.record = name, model, images, record
        self.asked = [name for name in model.fields if name not in ("x", "low")]
        self.given = data.given(model, "test")
        self.codes = None  # of the top layer, if all layers are rows of numbers
        if figures.has_latents(model, ndims=1):
            given = {name: rows[:CODED] for name, rows in self.given.items()}
            self.codes = model.encode(images[:CODED], given)[0].numpy()

    def about(self) -> dict:
        """What the page says of the entry, and which of its parts it shows."""
        model, data = self.model, self.record["data"]
        latents = getattr(model, "latent_fields", {})
        codes = model.encode(*model.example())
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
            "asked": self.asked,
            "made_of": list(model.given_fields),
            "images": len(self.images),
            "reconstructs": bool(latents),
            "interpolates": not any(z.dtype.is_integer for z in codes),
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
        return [
            {"dimension": int(i), "low": float(low[i]), "high": float(high[i])}
            for i in figures.most_active(self.codes, SLIDERS)
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
        """The test image of that number, and what `encode` is given with it."""
        count = len(self.images)
        wanted = f"A test image has a number from 0 to {count - 1}."
        require(type(index) is int and 0 <= index < count, wanted, index)
        given = {name: self.given[name][index] for name in self.asked}
        if "label" in given:
            given["label"] = int(given["label"])
        return {"image": self.images[index], "given": given}

    def encode(self, image: str, given: dict) -> dict:
        """An image as the model sees it, its reconstruction, score and top code.

        And the image at a smaller size, where the model enlarges.
        """
        pixels = from_url(image, self.model.event_shape)[None]
        x, given = self.judged(pixels), self.told(given, self.asked)
        if "low" in self.model.fields:
            size = self.model.fields["low"].shape[:2]
            given["low"] = downscale(pixels, size)
        found = {"image": x[0], "score": self.score(x, given)}
        if "low" in given:
            found["low"] = given["low"][0]
        if hasattr(self.model, "latent_fields"):
            found["reconstruction"] = self.model.reconstruct(x, given)[0].numpy()
        if self.codes is not None:
            found["z"] = self.model.encode(x, given)[0][0].numpy().tolist()
        return found

    def decode(self, z: list[float], given: dict) -> dict:
        """The image of a top code `[D]`; lower layers follow in the mean."""
        require(self.codes is not None, "This model has no sliders.", self.name)
        try:
            code = np.float32(z)
        except (TypeError, ValueError):
            code = np.float32(())
        size = self.codes.shape[1]
        require(code.shape == (size,), f"A code has {size} numbers.", f"{code.shape}")
        given = self.told(given, self.model.given_fields)
        image = self.model.decode(code[None], given=given)[0]
        return {"image": image.numpy()}

    def interpolate(self, first: str, last: str, given: dict) -> dict:
        """`STEPS` images on a straight line between two images' codes.

        Where a model is given a reference, they are the codes of two references.
        """
        shape, given = self.model.event_shape, self.told(given, self.model.given_fields)
        ends = [self.judged(from_url(image, shape)[None]) for image in (first, last)]
        if "reference" not in self.model.fields:
            images = self.model.interpolate(*ends, given, steps=STEPS)
            return {"images": list(images[:, 0].numpy())}
        codes = [self.model.encode(x, given | {"reference": x})[0][0] for x in ends]
        codes = np.linspace(*codes, STEPS, dtype="float32")
        given = {name: np.repeat(row, STEPS, axis=0) for name, row in given.items()}
        return {"images": list(self.model.decode(codes, given=given).numpy())}

    def samples(self, seed: int, given: dict) -> dict:
        """`SAMPLES` images of a seed, z from the prior, all given the same."""
        small = type(seed) is int and 0 <= seed < 2**31
        require(small, "A seed is a whole number from 0 to 2147483647.", seed)
        given = self.told(given, self.model.given_fields, SAMPLES)
        images = self.model.sample(SAMPLES, given, seed=seed)
        return {"images": list(images.numpy())}

    def score(self, x: np.ndarray, given: dict) -> float:
        """What `score_name` says, of one image, nats."""
        if self.model.exact:
            return float(self.model.log_prob(x, given)[0])
        needed = {name: rows for name, rows in given.items() if self.needs(name)}
        options = {"num_importance_samples": NUM_IMPORTANCE_SAMPLES}
        return float(self.model.log_prob(x, needed, **options)[0])

    def score_name(self) -> str:
        """What the score is, and how it is measured."""
        needed = filter(self.needs, self.model.given_fields)
        of = " | ".join(["x", *needed])
        kind = "" if self.model.is_mass else ", a density"
        if self.model.exact:
            return f"log p({of}){kind}, exact"
        if not {metric.name for metric in self.model.metrics} & {"elbo", "log_prob"}:
            return f"log p(x | z){kind}"
        how = f"a lower bound by {NUM_IMPORTANCE_SAMPLES} importance samples"
        return f"log p({of}){kind}, {how}"

    def judged(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels `[1, H, W, C]` as the model is judged on them: binary where it is.

        The binary pixels are drawn once with the grey ones as their means.
        """
        return evaluation_images(pixels, self.record["data"]["binarise"])

    def told(self, given: dict, names, rows: int = 1) -> dict[str, np.ndarray]:
        """Just the conditions of these names, the same for so many rows."""
        wanted = f"Conditions here are: {', '.join(names) or 'none'}."
        received = ", ".join(given) if isinstance(given, dict) else str(given)
        good = isinstance(given, dict) and given.keys() == set(names)
        require(good, wanted, received[:100] or "none")
        return {name: self.condition(name, given[name], rows) for name in names}

    def condition(self, name: str, value, rows: int) -> np.ndarray:
        """A label or an image, for so many rows."""
        if name == "label":
            wanted = f"A label is a number from 0 to {self.classes - 1}."
            require(type(value) is int and 0 <= value < self.classes, wanted, value)
            return np.full(rows, value, np.int32)
        pixels = from_url(value, self.model.fields[name].shape)[None]
        return np.repeat(evaluation_images(pixels, binarise=False), rows, axis=0)

    def needs(self, name: str) -> bool:
        """Whether an image has a probability with this condition alone."""
        return self.model.fields[name].default is None

    @property
    def classes(self) -> int:
        """How many there are; 0 where the model asks for no label."""
        label = self.model.given_fields.get("label")
        return int(label.support[1]) + 1 if label else 0


def check(model: zoo.GenerativeModel) -> None:
    """Raises a ValueError that says why, if the page cannot show such a model."""
    fields = model.fields
    received = {name: field.shape for name, field in fields.items()}
    wanted = "A PixelCNN draws codes, which are no images: explore the VQVAE whose "
    wanted += "codes they are, `with_priors` such as this."
    require(not isinstance(model, zoo.PixelCNN), wanted, received)
    wanted = "The explorer shows models of images of one or three channels, given "
    wanted += "nothing, a label, or a small image and a reference."
    shape, known = model.event_shape, {"x", "label", "low", "reference"}
    good = len(shape) == 3 and shape[-1] in MODES and fields.keys() <= known
    require(good, wanted, received)


def load(path: str) -> Explorer:
    """The explorer of an entry, by its name or its folder.

    Raises:
        FileNotFoundError: if there is no such entry.
        ValueError: if it is damaged, of no data set, or nothing that can be shown.
    """
    record, model = zoo.presets.read_metadata(path), zoo.load(path)
    check(model)
    name = zoo.presets.find(path).resolve().name
    return Explorer(name, model, *test_images(record), record)
