"""The colour pictures that come along, and how they are split."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from recipes import datasets, emoji

FONTS = Path(__file__).parent / "data"  # a font of a few glyphs
NAMES = (emoji.FOLDER / emoji.NAMES).read_text().splitlines()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return datasets.load("emoji", data_dir=tmp_path_factory.mktemp("tfds"))


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (["1F44B", "1F44B 1F3FB", "1F44B 1F3FF"], True),  # a hand, light and dark
        (["1F9D1 200D 1F680", "1F469 1F3FD 200D 1F680"], True),  # astronauts
        (["1F46B", "1F46C 1F3FB", "1F9D1 200D 1F91D 200D 1F9D1"], True),  # hand in hand
        (["1F468 200D 1F469 200D 1F467", "1F46A"], True),  # families
        (["1F930", "1FAC3 1F3FD", "1FAC4"], True),  # pregnant: woman, man, person
        (["1F934", "1F478 1F3FB", "1FAC5"], True),  # with a crown
        (["1F3FB", "1F3FC"], False),  # the tones themselves
        (["1F44B", "1F44C"], False),
        (["1F9D1 200D 1F680", "1F9D1 200D 1F692"], False),  # astronaut, firefighter
    ],
)
def test_a_subject_is_what_a_picture_shows(names, alike):
    assert (len(set(map(emoji.subject, names))) == 1) == alike


def test_every_subject_falls_into_one_split():
    splits = {}
    for name in NAMES:
        splits.setdefault(emoji.subject(name), set()).add(emoji.split(name))
    assert all(len(found) == 1 for found in splits.values())
    assert len(splits) > 1500


def test_the_pictures_are_those_of_the_atlas(data):
    atlas = emoji.read_atlas()
    assert len(atlas) == len(NAMES) == len(set(NAMES)) == 3916
    known = {image.tobytes(): emoji.split(name) for name, image in atlas.items()}
    assert len(known) == 3916  # all are distinct
    for split in ("train", "validation", "test"):
        images = getattr(data, split)
        assert images.shape[1:] == (32, 32, 3)
        assert all(known.pop(image.tobytes()) == split for image in images)
    assert not known
    assert len(data.train) > 7 * len(data.validation) > 49 * 50
    assert data.licence == "SIL OFL 1.1"


def test_a_black_square_is_black_and_stands_on_white():
    square = emoji.read_atlas()["2B1B"]
    assert square[16, 16].max() < 100
    assert square[0].min() == 255


def test_a_picture_is_the_mean_of_its_pixels_on_white():
    picture = np.zeros([128, 128, 4], np.uint8)
    picture[..., 0], picture[:64, :, 3] = 200, 255  # the lower half is transparent
    (image,) = emoji.distinct([("a", picture), ("the same", picture)], 64).values()
    np.testing.assert_array_equal(image[:32], np.tile([200, 0, 0], (32, 64, 1)))
    np.testing.assert_array_equal(image[32:], 255)


@pytest.mark.parametrize(
    ("folder", "error"), [("data", ValueError), ("absent", datasets.DatasetUnavailable)]
)
def test_without_the_font_there_is_a_way_to_get_it(folder, error, tmp_path):
    folders = {"data_dir": tmp_path / "data", "local_dir": tmp_path / folder}
    with pytest.raises(error, match="fonts-noto-color-emoji"):
        datasets.load("emoji/64", **folders)


def test_the_font_gives_the_pictures_of_the_atlas():
    pictures = emoji.distinct(emoji.glyphs(FONTS / emoji.FONT), 32)
    assert {"2194", "1F44B", "1F44B 1F3FB"} < set(pictures)  # the last is a ligature
    atlas = emoji.read_atlas()
    for name, picture in pictures.items():
        np.testing.assert_array_equal(picture, atlas[name])


def test_the_font_gives_pictures_of_twice_the_size(tmp_path):
    large = datasets.load("emoji/64", data_dir=tmp_path, local_dir=FONTS)
    atlas = emoji.read_atlas()
    for split, count in {"train": 7, "validation": 2, "test": 2}.items():
        images = getattr(large, split)
        assert images.shape == (count, 64, 64, 3)
        small = images.reshape(count, 32, 2, 32, 2, 3).mean(axis=(2, 4))
        known = np.stack([x for n, x in atlas.items() if emoji.split(n) == split])
        for image in small:  # each is one of the atlas, up to rounding twice
            assert np.abs(known - image).max(axis=(1, 2, 3)).min() <= 1.0


def test_tfds_knows_it():
    assert "emoji" in tfds.list_builders(with_community_datasets=False)
