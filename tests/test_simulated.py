from dataclasses import replace

import cv2
import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from medcls.data.table import Sample, SampleTable
from medcls.sources.simulated import KINDS, simulated_images, simulated_table

CLASSES = {"skin": ["Mel", "Nev"], "bone": ["AFF", "NFF"], "xray": [f"C{i}" for i in range(1, 10)]}


def table_of(kind: str, train: int = 3, val: int = 2) -> SampleTable:
    n_classes = len(CLASSES[kind])
    return simulated_table(kind, CLASSES[kind], {"train": [train] * n_classes, "val": [val] * n_classes})


def test_table_names_and_counts_follow_the_request():
    table = simulated_table("bone", ["AFF", "NFF"], {"train": [3, 2], "val": [1, 0]})
    assert table.simulated
    assert table.counts() == {"train": {"AFF": 3, "NFF": 2}, "val": {"AFF": 1, "NFF": 0}}
    assert table.samples[0] == Sample("train/AFF_0001.png", 0, "train")
    assert len({sample.name for sample in table.samples}) == len(table.samples)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("image_size", "channels"), [(8, 1), (100, 3), (128, 1), (200, 1), (512, 3)])
def test_images_have_the_requested_shape_and_use_the_gray_scale(kind: str, image_size: int, channels: int):
    table = table_of(kind, train=1, val=0)
    images = simulated_images(table, kind=kind, image_size=image_size, channels=channels)
    assert images.shape == (len(table.samples), image_size, image_size, channels)
    assert images.dtype == np.uint8
    assert all(np.ptp(image.astype(int)) > 60 for image in images)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_same_images_and_another_seed_others(kind: str):
    table = table_of(kind)
    first, again, other = (
        simulated_images(table, kind=kind, image_size=64, channels=1, seed=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert all((a != b).mean() > 0.5 for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_depends_neither_on_the_others_nor_on_their_order(kind: str):
    table = table_of(kind)
    backwards = replace(table, samples=table.samples[::-2])
    images = simulated_images(table, kind=kind, image_size=64, channels=1)
    np.testing.assert_array_equal(simulated_images(backwards, kind=kind, image_size=64, channels=1), images[::-2])


@pytest.mark.parametrize("kind", KINDS)
def test_no_image_occurs_twice(kind: str):
    images = simulated_images(table_of(kind, train=20, val=20), kind=kind, image_size=32, channels=1)
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


@pytest.mark.parametrize("kind", KINDS)
def test_every_size_shows_the_same_scene(kind: str):
    table = table_of(kind, train=2, val=0)
    small = simulated_images(table, kind=kind, image_size=64, channels=1)[..., 0]
    large = simulated_images(table, kind=kind, image_size=256, channels=1)[..., 0]
    for a, b in zip(small, large, strict=True):
        reduced = cv2.resize(b, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(a.ravel(), reduced.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("kind", KINDS)
def test_gray_image_is_the_gray_of_the_colour_image(kind: str):
    table = table_of(kind, train=2, val=0)
    gray = simulated_images(table, kind=kind, image_size=64, channels=1)[..., 0]
    colour = simulated_images(table, kind=kind, image_size=64, channels=3)
    for a, b in zip(gray, colour, strict=True):
        # Saturated colours clip before they are mixed, so that single pixels may differ.
        assert np.abs(a.astype(int) - cv2.cvtColor(b, cv2.COLOR_RGB2GRAY)).mean() < 2


@pytest.mark.parametrize(
    ("kind", "low"),
    [
        ("skin", 0.65),
        pytest.param("bone", 0.58, marks=pytest.mark.slow),
        pytest.param("xray", 0.5, marks=pytest.mark.slow),
    ],
)
def test_classes_differ_but_overlap(kind: str, low: float):
    n_classes = len(CLASSES[kind])
    table = table_of(kind, train=600 // n_classes, val=300 // n_classes)
    pixels = simulated_images(table, kind=kind, image_size=16, channels=1).reshape(len(table.samples), -1)
    labels = np.array([sample.label for sample in table.samples])
    train = np.array([sample.split == "train" for sample in table.samples])
    trees = ExtraTreesClassifier(200, random_state=0).fit(pixels[train], labels[train])
    assert low < trees.score(pixels[~train], labels[~train]) < 0.97


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_classes", [1, 3, 12])
def test_any_number_of_classes_can_be_drawn(kind: str, n_classes: int):
    table = simulated_table(kind, [f"K{i}" for i in range(n_classes)], {"train": [1] * n_classes})
    assert len(simulated_images(table, kind=kind, image_size=32, channels=1)) == n_classes


def test_unknown_kind_counts_and_channels_are_refused():
    with pytest.raises(ValueError, match="skin, bone, xray"):
        simulated_table("brain", ["A", "B"], {"train": [1, 1]})
    with pytest.raises(ValueError, match="3 counts for the 2 classes"):
        simulated_table("skin", ["A", "B"], {"train": [1, 1, 1]})
    with pytest.raises(ValueError, match="expected 1 or 3"):
        simulated_images(table_of("skin"), kind="skin", image_size=32, channels=2)
