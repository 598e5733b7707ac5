"""Sprites: what is drawn is what the factors say."""

import numpy as np
import pytest

from recipes import datasets, sprites

SIZES = tuple(sprites.FACTORS.values())
MIDDLE = sprites.PATCH // 2


@pytest.fixture(scope="module")
def data():
    return datasets.load("sprites")


@pytest.fixture(scope="module")
def patches():
    return sprites.patches() > 0


def test_every_combination_is_in_one_split(data):
    tables = [data.factors[split] for split in ("train", "validation", "test")]
    assert [len(table) for table in tables] == [164_320, 10_000, 10_000]
    cells = np.ravel_multi_index(np.concatenate(tables).T, SIZES)
    np.testing.assert_array_equal(np.bincount(cells), np.ones(np.prod(SIZES)))
    assert data.factor_sizes == sprites.FACTORS


def test_images_are_those_of_their_factors(data, patches):
    for split in ("train", "test"):
        images, table = getattr(data, split), data.factors[split]
        assert set(np.unique(images[:100])) == {0, 255}
        for image, (*which, x, y) in zip(images[:200, ..., 0], table):
            inside = image[y : y + sprites.PATCH, x : x + sprites.PATCH] > 0
            np.testing.assert_array_equal(inside, patches[tuple(which)])
            assert (image > 0).sum() == inside.sum()


def test_labels_are_shapes(data):
    assert data.classes == ("square", "ellipse", "heart")
    np.testing.assert_array_equal(data.labels["test"], data.factors["test"][:, 0])


def test_images_and_splits_are_always_the_same(data):
    """Records of entries name their checksum."""
    assert data.checksum.startswith("14714c4a4697aac6")


def test_a_square_by_hand(patches):
    """At scale 1 it goes from -5.6 to 5.6: of a pixel from 5.5 to 6.5 too little."""
    square = np.zeros((sprites.PATCH, sprites.PATCH), bool)
    inner = slice(MIDDLE - 5, MIDDLE + 6)
    square[inner, inner] = True
    np.testing.assert_array_equal(patches[0, -1, 0], square)


def test_a_quarter_turn_is_against_the_clock(patches):
    quarter = SIZES[2] // 4
    for shape in range(SIZES[0]):
        for turn in range(1, 4):
            np.testing.assert_array_equal(
                patches[shape, :, turn * quarter],
                np.rot90(patches[shape, :, 0], turn, axes=(1, 2)),
            )


def test_a_heart_stands_on_its_tip(patches):
    rows = patches[2, -1, 0].sum(axis=1)
    (covered,) = np.nonzero(rows)
    assert rows[covered[0]] > 1 == rows[covered[-1]]
    np.testing.assert_array_equal(patches[2, :, 0], patches[2, :, 0, :, ::-1])


def test_areas_tell_the_scale_and_not_the_shape(patches):
    areas = patches.sum(axis=(-2, -1)).mean(axis=2)  # [3, 6]
    expected = np.tile(areas[0, -1] * np.linspace(0.5, 1.0, 6) ** 2, (3, 1))
    # Pixels are whole: a shape of 120 is right within a few.
    np.testing.assert_allclose(areas, expected, atol=6)


def test_hearts_tell_their_orientation(patches):
    """All 40 but at the smallest scale, where 8 pairs are alike."""
    kinds = [len(np.unique(p.reshape(40, -1), axis=0)) for p in patches[2]]
    assert kinds == [32, 40, 40, 40, 40, 40]


def test_another_size_may_be_asked_for(monkeypatch, data):
    few = data.test[:20], data.factors["test"][:20]
    monkeypatch.setattr(sprites, "draw", lambda: few)
    small = datasets.load("sprites", image_size=16)
    assert small.train.shape[1:] == (16, 16, 1)
    assert len(small.factors["train"]) == len(small.train)
