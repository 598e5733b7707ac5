"""Colour pictures that come along: the emoji of Noto Color Emoji (SIL OFL 1.1).

`datasets.load("emoji")` reads the atlas in `data/emoji/`, 32 x 32 pixels each; the
configuration `"emoji/64"` draws them from the font itself, at twice that size.

The atlas is made of the font by

    python -m recipes.emoji NotoColorEmoji.ttf
"""

import hashlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

FOLDER = Path(__file__).parent / "data" / "emoji"
FONTS = Path("/usr/share/fonts/truetype/noto")  # Debian's fonts-noto-color-emoji
FONT, ATLAS, NAMES, COLUMNS = "NotoColorEmoji.ttf", "emoji.png", "emoji.txt", 64

# What does not make another picture's subject: skin tones, gender signs, joiners,
# variation selectors and directions.
IGNORED = {*range(0x1F3FB, 0x1F400), 0x2640, 0x2642, 0x200D, 0xFE0F, 0x27A1, 0x2B05}
CHILD, PERSON, OLDER, FAMILY = 0x1F9D2, 0x1F9D1, 0x1F9D3, 0x1F46A
SAME = {  # those that differ from others in gender alone
    0x1F466: CHILD, 0x1F467: CHILD, 0x1F468: PERSON, 0x1F469: PERSON,
    0x1F474: OLDER, 0x1F475: OLDER, 0x1F478: 0x1F934, 0x1F57A: 0x1F483,
    0x1F936: 0x1F385, 0x1FAC3: 0x1F930, 0x1FAC4: 0x1F930, 0x1FAC5: 0x1F934,
}  # fmt: skip
HANDS, HEART, KISS = 0x1F91D, 0x2764, 0x1F48B
COMPOSED = {  # sorted codes that one code says too
    (HANDS, PERSON, PERSON): (0x1F46B,), (0x1F46C,): (0x1F46B,),
    (0x1F46D,): (0x1F46B,), (HEART, PERSON, PERSON): (0x1F491,),
    (HEART, KISS, PERSON, PERSON): (0x1F48F,), (0x1F384, PERSON): (0x1F385,),
    (0x1FAF1, 0x1FAF2): (HANDS,),
}  # fmt: skip


class Emoji(tfds.core.GeneratorBasedBuilder):
    """Emoji on white, split by what they show: 80, 10 and 10 %."""

    VERSION = tfds.core.Version("2.0.0")  # 1 took some subjects for several
    BUILDER_CONFIGS = (
        tfds.core.BuilderConfig(name="32", description="32 x 32 pixels."),
        tfds.core.BuilderConfig(name="64", description="64 x 64, from the font."),
    )
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"emoji/64 needs {FONT}: install Debian's fonts-noto-color-emoji, or pass as "
        "`local_dir` a folder with the font."
    )

    def _info(self):
        side = int(self.builder_config.name)
        features = {
            "image": tfds.features.Image(shape=(side, side, 3)),
            "name": tfds.features.Text(doc="Code points, in hexadecimal."),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="Emoji of Noto Color Emoji 2.042.",
            features=tfds.features.FeaturesDict(features),
            homepage="https://github.com/googlefonts/noto-emoji",
            license="SIL OFL 1.1",
        )

    def _split_generators(self, dl_manager):
        if self.builder_config.name == "32":
            pictures = read_atlas()
        else:
            font = dl_manager.manual_dir / FONT
            if not font.is_file():
                raise ValueError(f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS} No {font}.")
            pictures = distinct(glyphs(font), 64)
        splits = {"train": [], "validation": [], "test": []}
        for name, image in pictures.items():
            splits[split(name)].append((name, {"image": image, "name": name}))
        return splits

    def _generate_examples(self, examples):
        yield from examples


def subject(name: str) -> tuple[int, ...]:
    """What a picture shows, whatever the skin tone, the gender and the direction."""
    codes = [int(code, 16) for code in name.split()]
    kept = [SAME.get(code, code) for code in codes if code not in IGNORED] or codes
    if len(kept) > 1 and set(kept) <= {CHILD, PERSON}:
        kept = [FAMILY]
    kept = tuple(sorted(kept))  # the font has sequences from right to left too
    return COMPOSED.get(kept, kept)


def split(name: str) -> str:
    """All pictures of a subject fall into one split."""
    digest = hashlib.sha256(repr(subject(name)).encode()).digest()
    share = int.from_bytes(digest[:4], "big") / 2**32
    return "train" if share < 0.8 else "validation" if share < 0.9 else "test"


def glyphs(font: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures `[128, 128, 4]`, uint8, of a font of bitmaps."""
    from fontTools.ttLib import TTFont
    from PIL import Image

    table = TTFont(font)
    codes = {glyph: f"{code:X}" for code, glyph in table.getBestCmap().items()}
    for lookup in table["GSUB"].table.LookupList.Lookup:
        for part in lookup.SubTable:
            part = getattr(part, "ExtSubTable", part)
            for first, ligatures in getattr(part, "ligatures", {}).items():
                for ligature in ligatures:
                    parts = [first, *ligature.Component]
                    if all(part in codes for part in parts):
                        name = " ".join(codes[part] for part in parts)
                        codes.setdefault(ligature.LigGlyph, name)
    for glyph, bitmap in sorted(table["CBDT"].strikeData[0].items()):
        if glyph in codes:
            bitmap.decompile()
            picture = Image.open(io.BytesIO(bitmap.imageData)).convert("RGBA")
            yield codes[glyph], np.asarray(picture)[:, 4:132]


def distinct(pictures, side: int) -> dict[str, np.ndarray]:
    """Pictures on white `[side, side, 3]`, each the mean of its pixels, but once."""
    seen, kept = set(), {}
    for name, picture in pictures:
        colour, alpha = picture[..., :3] / 255.0, picture[..., 3:] / 255.0
        white = colour * alpha + 1.0 - alpha
        times = len(white) // side
        means = white.reshape(side, times, side, times, 3).mean(axis=(1, 3))
        image = np.rint(255 * means).astype(np.uint8)
        if image.tobytes() not in seen:
            seen.add(image.tobytes())
            kept[name] = image
    return kept


def read_atlas() -> dict[str, np.ndarray]:
    """The pictures that come along, `[32, 32, 3]`, uint8, by name."""
    from PIL import Image

    names = (FOLDER / NAMES).read_text().splitlines()
    atlas = np.asarray(Image.open(FOLDER / ATLAS))
    rows = atlas.reshape(-1, 32, COLUMNS, 32, 3).swapaxes(1, 2)
    return dict(zip(names, rows.reshape(-1, 32, 32, 3)))


def write_atlas(font: Path) -> None:
    from PIL import Image

    pictures = distinct(glyphs(font), 32)
    rows = -(-len(pictures) // COLUMNS)
    tiles = np.full([rows * COLUMNS, 32, 32, 3], 255, np.uint8)
    tiles[: len(pictures)] = list(pictures.values())
    atlas = tiles.reshape(rows, COLUMNS, 32, 32, 3).swapaxes(1, 2)
    FOLDER.mkdir(exist_ok=True)
    Image.fromarray(atlas.reshape(rows * 32, -1, 3)).save(FOLDER / ATLAS, optimize=True)
    (FOLDER / NAMES).write_text("\n".join(pictures) + "\n")


if __name__ == "__main__":
    write_atlas(Path(sys.argv[1]))
