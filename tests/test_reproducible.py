import csv
import random
from pathlib import Path

import albumentations
import cv2
import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from conftest import TINY

from medcls.config import check_config
from medcls.config.augment import AugmentConfig
from medcls.data.augment import Augmenter
from medcls.data.batches import BatchDataset, EpochSampler, loader_of
from medcls.data.datamodule import ImageDataModule
from medcls.errors import UserError
from medcls.sources.load import load_image_set

EXAMPLES = Path(__file__).parents[1] / "examples"
STUDY, MEDICAL = (
    yaml.safe_load((Path(__file__).parents[1] / f"conf/augment/{name}.yaml").read_text())["transforms"]
    for name in ("study", "medical")
)
RANDOM = [
    *TINY,
    "model.dropout=0.3",
    "model.spatial_dropout=0.2",
    "augment=study",
    "trainer.threads=1",
    "epochs=3",
    "audit=none",
]


@pytest.fixture(autouse=True)
def own_files(monkeypatch):
    """The files of examples/ lie where a user's own would."""
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def history(make_folder, train):
    """Rows of history.csv, but the seconds, after training with overrides on the same images."""
    root = make_folder()

    def rows(*overrides):
        result = train(*RANDOM, "data=folder", f"data.root={root}", *overrides)
        assert result.status == 0, result.err
        with (result.folder / "history.csv").open() as file:
            return [{name: row[name] for name in row if name != "seconds"} for row in csv.DictReader(file)]

    return rows


@pytest.fixture
def noise():
    return np.random.default_rng(0).integers(0, 256, (32, 32, 1), dtype=np.uint8)


def blobs(*places, size=120, width=5.0):
    """Image (size, size, 1), black with a bright spot at each (x, y, brightness), x and y from its centre."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    spots = [peak * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * width**2)) for at_x, at_y, peak in places]
    return np.max(spots, axis=0).round().astype(np.uint8)[..., None]


def centre(image):
    """Centre of mass (x, y) from the middle of the image."""
    mass = image[..., 0].astype(float)
    y, x = np.mgrid[: len(mass), : len(mass)] - (len(mass) - 1) / 2
    return np.array([(mass * x).sum(), (mass * y).sum()]) / mass.sum()


class Recorder(pl.LightningModule):
    """Trains nothing; keeps the batches that the trainer hands out, by epoch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.epochs = {}

    def training_step(self, batch, batch_idx):
        self.epochs.setdefault(self.current_epoch, []).append(batch)

    def configure_optimizers(self):
        return None


def shuffled(dataset, num_workers=0):
    return loader_of(dataset, EpochSampler(len(dataset.labels), 4, seed=0), num_workers)


def record(loader, epochs):
    recorder = Recorder()
    options = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    trainer = pl.Trainer(accelerator="cpu", max_epochs=epochs, enable_model_summary=False, **options)
    trainer.fit(recorder, loader)
    return [[torch.cat(parts) for parts in zip(*recorder.epochs[epoch], strict=True)] for epoch in range(epochs)]


def test_number_of_workers_changes_no_number(history):
    assert history("num_workers=0") == history("num_workers=2")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("augment", ["none", "medical"])
def test_any_number_of_workers_gives_the_same_history(history, workers, augment):
    run = [f"augment={augment}", "epochs=5"]
    assert history(*run, "num_workers=0") == history(*run, f"num_workers={workers}")


def test_history_repeats_with_the_seed_and_differs_with_another(history):
    first = history("seed=1")
    torch.manual_seed(99)  # what the process drew before does not count
    np.random.seed(99)
    assert history("seed=1") == first
    assert first[0]["train_loss"] != history("seed=2")[0]["train_loss"]


@pytest.mark.parametrize("transforms", [STUDY, MEDICAL], ids=["study", "medical"])
def test_augmented_pixels_follow_from_the_key(transforms, noise):
    augmenter = Augmenter(transforms)
    first = augmenter(noise, 0, 3, 7)
    for other in [(1, 3, 7), (0, 4, 7), (0, 3, 8), (0, 7, 3)]:
        assert not np.array_equal(augmenter(noise, *other), first)
    assert np.array_equal(augmenter(noise, 0, 3, 7), first)
    assert np.array_equal(Augmenter(transforms)(noise, 0, 3, 7), first)


@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_keeps_shape_type_and_its_input(channels, noise):
    image = noise.repeat(channels, axis=2)
    before = image.copy()
    for index in range(20):
        changed = Augmenter(MEDICAL)(image, 0, 0, index)
        assert changed.shape == image.shape
        assert changed.dtype == np.uint8
    assert np.array_equal(image, before)


def test_images_in_memory_stay_as_they_are_over_augmented_epochs(noise):
    images = np.stack([noise] * 6)
    dataset = BatchDataset(images, np.zeros(6, dtype=np.int64), Augmenter(STUDY))
    record(shuffled(dataset), epochs=2)
    assert np.array_equal(images, np.stack([noise] * 6))


@pytest.mark.parametrize(
    ("transforms", "named"),
    [
        ({"Afine": {}}, "augment.transforms.Afine: .*Did you mean Affine?"),
        ({"Affine": {"rotat": [-10, 10]}}, "augment.transforms.Affine.rotat: unknown argument. Did you mean rotate?"),
        ([{"Blur": {}}, {"Afine": {}}], "augment.transforms.1.Afine: .*Did you mean Affine?"),
        ([{"OneOf": {"transforms": [{"Blur": {"p": 2}}]}}], "augment.transforms.0.OneOf.transforms.0.Blur: "),
        (
            [{"OneOf": {"transforms": {"Sequential": {"transforms": [{"Blr": {}}]}}}}],
            "augment.*OneOf.transforms.Sequential.transforms.0.Blr: ",
        ),
        ([{"OneOf": {"transforms": []}}], "augment.transforms.0.OneOf.transforms: found none"),
        ([{"OneOf": {"transforms": [{"Blur": {"p": 0}}]}}], "augment.transforms.0.OneOf: "),
        ([{"SomeOf": {"transforms": [{"Blur": {}}], "n": 2}}], "augment.transforms.0.SomeOf: .*`n` is greater"),
        ([{"OneOf": {"p": 0.5}}], "augment.transforms.0.OneOf: .*missing .*transforms"),
        ([{"_target_": "mytransforms.Wav"}], "augment.transforms.0: .*Did you mean mytransforms.Wave?"),
        (
            [{"_target_": "mytransforms.Wave", "amplitud": 1}],
            "augment.transforms.0.amplitud: .*Did you mean amplitude?",
        ),
        ([{"_target_": "collections.Counter"}], "augment.transforms.0: .*Expected a subclass"),
        ([{"Blur": {}, "Affine": {}}], "augment.transforms.0: found .*expected one transform"),
        ({"HorizontalFlip": {"p": 2}}, "augment.transforms.HorizontalFlip: "),
        ({"Compose": {}}, "augment.transforms.Compose: .*has no such transform"),
    ],
)
def test_unknown_transform_or_argument_is_an_error(transforms, named):
    with pytest.raises(UserError, match=f"(?s)^{named}"):
        Augmenter(transforms)


def test_normalised_images_are_refused_and_not_cut_to_bytes(noise):
    with pytest.raises(UserError, match="turned uint8 into float32"):
        Augmenter({"Normalize": {"mean": 0.5, "std": 0.5, "p": 1.0}})(noise, 0)


def test_a_list_draws_as_the_mapping_of_the_same_transforms(noise):
    listed = Augmenter([{name: arguments} for name, arguments in MEDICAL.items()])
    for index in range(20):
        assert np.array_equal(listed(noise, 0, 0, index), Augmenter(MEDICAL)(noise, 0, 0, index))


def test_two_transforms_of_a_kind_are_both_applied_in_the_order_of_the_list():
    corner = np.zeros((8, 8, 1), np.uint8)
    corner[0, 0] = 255
    flips = [{"HorizontalFlip": {"p": 1}}, {"VerticalFlip": {"p": 1}}, {"HorizontalFlip": {"p": 1}}]
    assert Augmenter(flips)(corner, 0)[-1, 0] == 255
    pad_and_crop = [{"RandomScale": {"scale_limit": [1, 1], "p": 1}}, {"Resize": {"height": 8, "width": 8}}]
    assert Augmenter(pad_and_crop)(corner, 0).shape == (8, 8, 1)


def test_of_nested_transforms_one_is_drawn_by_its_weight(noise):
    flips = {"HorizontalFlip": {"p": 0.75}, "VerticalFlip": {"p": 0.25}}
    augmenter = Augmenter([{"OneOf": {"transforms": flips, "p": 1.0}}])
    drawn = [augmenter(noise, 0, epoch, 0) for epoch in range(400)]
    across, down = (sum(np.array_equal(image, np.flip(noise, axis)) for image in drawn) for axis in (1, 0))
    assert across + down == 400
    assert 265 <= across <= 335  # 4 deviations of 400 draws


NESTED = [
    {"Affine": {"rotate": [-10, 10], "p": 0.5}},
    {"OneOf": {"transforms": [{"GaussNoise": {}}, {"Blur": {}}, {"_target_": "mytransforms.Wave"}], "p": 0.7}},
    {"SomeOf": {"transforms": {"HorizontalFlip": {}, "VerticalFlip": {}, "Transpose": {}}, "n": 2}},
    {"_target_": "mytransforms.Wave", "amplitude": 3, "p": 1.0},
]


MINE = yaml.safe_load((EXAMPLES / "conf/augment/mine.yaml").read_text())["transforms"]


class Careless(albumentations.ImageOnlyTransform):
    """Draws from every generator of the process but those that it was given."""

    def __init__(self):
        super().__init__(p=1.0)

    def apply(self, img, **params):
        noise = random.random() + np.random.random() + torch.rand(img.shape).numpy()
        return (img // 2 + 40 * noise).astype(np.uint8)


@pytest.mark.parametrize(
    "transforms", [NESTED, MINE, [{"_target_": f"{__name__}.Careless"}]], ids=["nested", "mine", "careless"]
)
def test_nested_and_own_transforms_draw_the_same_for_any_number_of_workers_and_again_each_epoch(transforms, noise):
    dataset = BatchDataset(np.stack([noise] * 8), np.arange(8, dtype=np.int64), Augmenter(transforms))
    few, many = (record(shuffled(dataset, workers), epochs=3) for workers in (0, 2))
    for one, other in zip(few, many, strict=True):
        assert torch.equal(one[0], other[0])
    drawn = {image.numpy().tobytes() for images, _ in few for image in images}
    assert len(drawn) > 2 * 8  # some may be left as they are, by chance


def test_own_transform_leaves_the_generators_of_the_process_as_they_were(noise):
    def drawn():
        return random.random(), np.random.random(), torch.rand(1).item()

    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = drawn()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    Augmenter([{"_target_": f"{__name__}.Careless"}])(noise, 0)
    assert drawn() == expected


def test_opencv_has_its_threads_back_after_each_image(noise):
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        Augmenter(STUDY)(noise, 0)
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_own_transforms_train_and_have_a_name(train, make_folder):
    transforms = "[{OneOf: {transforms: [{Blur: {}}, {_target_: mytransforms.Wave}]}}, {Blur: {}}, {Blur: {}}]"
    result = train(
        *TINY, "data=folder", f"data.root={make_folder()}", "augment=own", f"augment.transforms={transforms}"
    )
    assert result.status == 0, result.err
    config = check_config(yaml.safe_load((result.folder / "config.yaml").read_text()))
    assert config.augment.title == "OneOf(Blur, Wave)+Blur+Blur"
    assert AugmentConfig(transforms={}).title == "none"


def test_wrong_transform_ends_the_command_with_a_message(make_folder, train):
    result = train(*TINY, "data=folder", f"data.root={make_folder()}", "+augment.transforms.Rotat={limit: [-5, 5]}")
    assert result.status == 2
    assert "augment.transforms.Rotat" in result.err
    assert "Traceback" not in result.err


def test_study_shifts_within_a_tenth_of_the_side():
    augmenter, spot = Augmenter(STUDY), blobs((0, 0, 255))
    shifts = np.array([centre(augmenter(spot, 0, 0, index)) for index in range(300)])
    assert np.abs(shifts).max() <= 0.1 * 120 + 0.7  # half a pixel, and the rounding of gray values
    assert np.abs(shifts).max(axis=0) == pytest.approx([12, 12], abs=1.5)


def test_study_rotates_within_ten_degrees():
    # Two spots of different brightness on a horizontal line: the angle of the line between them is the rotation.
    augmenter, pair = Augmenter(STUDY), blobs((-25, 0, 100), (25, 0, 255))
    angles = []
    for index in range(300):
        image = augmenter(pair, 0, 0, index)
        bright = centre(np.where(image > 110, image, 0))
        both = centre(image)
        across, down = bright - both
        angles.append(np.degrees(np.arctan(down / across)))
    assert 9 < np.abs(angles).max() < 10.7
    assert np.mean(angles) == pytest.approx(0, abs=1.4)  # 4 deviations of the mean of 300 draws


def test_study_flips_half_of_the_images():
    augmenter, left = Augmenter(STUDY), blobs((-30, 0, 255))
    flipped = sum(centre(augmenter(left, 0, epoch, 0))[0] > 0 for epoch in range(400))
    assert 160 <= flipped <= 240  # 4 deviations of 400 fair coins


def test_transforms_draw_independently_of_each_other():
    # A spot at the centre, so that a flip moves it nowhere but turns its shift around: to the right as often as before.
    augmenter, spot = Augmenter(STUDY), blobs((0, 0, 255))
    to_the_right = sum(centre(augmenter(spot, 0, 0, index))[0] > 0 for index in range(400))
    assert 140 <= to_the_right <= 240  # a shift of no pixel, one in 20, is neither


def test_study_repeats_the_nearest_pixel_at_the_border():
    bright = np.full((40, 40, 1), 200, dtype=np.uint8)
    augmenter = Augmenter(STUDY)
    assert all((augmenter(bright, 0, 0, index) == 200).all() for index in range(50))


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_visits_each_training_image_once_in_another_order(workers):
    images = np.arange(11, dtype=np.uint8).reshape(11, 1, 1, 1).repeat(4, axis=1).repeat(4, axis=2)
    dataset = BatchDataset(images, np.arange(11, dtype=np.int64))
    epochs = record(shuffled(dataset, workers), epochs=3)
    orders = [labels.tolist() for _, labels in epochs]
    assert all(sorted(order) == list(range(11)) for order in orders)
    assert len({tuple(order) for order in [list(range(11)), *orders]}) == 4
    assert all(torch.equal(pixels[:, 0, 0, 0].long(), labels) for pixels, labels in epochs)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_augments_again(workers, noise):
    dataset = BatchDataset(np.stack([noise] * 8), np.arange(8, dtype=np.int64), Augmenter(STUDY))
    epochs = record(shuffled(dataset, workers), epochs=3)
    drawn = {image.numpy().tobytes() for images, _ in epochs for image in images}
    assert len(drawn) == 3 * 8


def test_validation_and_test_images_are_never_augmented(make_folder, train):
    counts = {"train": 4, "val": 3, "test": 2}
    overrides = [f"data.root={make_folder(counts=counts)}", "augment=study", "logger.images=0", "epochs=1"]
    result = train(*TINY, "data=folder", *overrides)
    config = check_config(yaml.safe_load((result.folder / "config.yaml").read_text()))
    data = ImageDataModule(load_image_set(config.data, config.image_size), config)
    stored = {split: data.image_set.images[data.image_set.indices(split)] for split in counts}
    for split, loader in {"val": data.val_dataloader(), "test": data.loader("test")}.items():
        assert np.array_equal(torch.cat([images for images, _ in loader]), stored[split])
    trained = torch.cat([images for images, _ in data.train_dataloader()])
    assert not {image.tobytes() for image in stored["train"]} & {image.numpy().tobytes() for image in trained}
