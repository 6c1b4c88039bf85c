"""python -m medcls.preview shows what training sees, and what each transform does."""

import shutil

import cv2
import numpy as np
import pytest
from conftest import SCRIPT
from hydra import compose, initialize_config_dir
from PIL import Image
from pydicom.data import get_testdata_file
from scipy.ndimage import affine_transform

from medcls.config import check_config
from medcls.data.datamodule import ImageDataModule
from medcls.formats.decode import decode
from medcls.sources.load import load_image_set

SIDE = 32
SMALL = "data.simulated.counts={train: [3, 3], val: [1, 1]}"
ZOOM = 6  # the smallest integer factor that makes a tile of SIDE wide enough


@pytest.fixture
def preview(command, tmp_path):
    """Run the command with tiny images; its pictures are in tmp_path/pictures."""
    folder = tmp_path / "pictures"
    return lambda *words: command("medcls.preview", f"image_size={SIDE}", f"--folder={folder}", *words)


def training_set(*overrides):
    """What training batches are made of."""
    with initialize_config_dir(str(SCRIPT.parent / "conf"), version_base="1.3"):
        config = check_config(compose("config", [*overrides, f"image_size={SIDE}"]))
    return ImageDataModule(load_image_set(config.data, SIDE), config).training_set()


def find(tile, picture):
    """Upper left corner (y, x) and pixels of the part of a picture that is most like ``tile``."""
    drawn = np.asarray(Image.open(picture).convert("RGB"))
    wanted = np.broadcast_to(tile, (*tile.shape[:2], 3)).repeat(ZOOM, 0).repeat(ZOOM, 1)
    unlike = cv2.matchTemplate(drawn, wanted, cv2.TM_SQDIFF)
    y, x = np.unravel_index(unlike.argmin(), unlike.shape)
    found = drawn[y : y + ZOOM * tile.shape[0], x : x + ZOOM * tile.shape[1]]
    assert (found == found[::ZOOM, ::ZOOM].repeat(ZOOM, 0).repeat(ZOOM, 1)).all()
    return (y, x), found[::ZOOM, ::ZOOM, : tile.shape[2]]


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_are_the_pixels_of_the_batches_of_each_epoch(preview, make_folder, tmp_path, channels):
    data = ["data=folder", f"data.root={make_folder()}", f"data.channels={channels}", "augment=medical", "seed=3"]
    assert preview(*data, "preview.index=5", "preview.epochs=7").status == 0
    batches = training_set(*data)
    places = []
    for epoch in range(7):
        images, _ = batches[epoch, [2, 5]]
        place, found = find(images[1].numpy(), tmp_path / "pictures/augmentation.png")
        np.testing.assert_array_equal(found, images[1])
        places.append(place)
    assert places == sorted(set(places))  # in reading order


def test_image_of_the_users_own_is_augmented_as_the_same_image_in_training(preview, make_folder, tmp_path):
    root = make_folder(layout="tokens")
    data = ["data=folder", f"data.root={root}", "augment=study"]
    assert preview(str(root / "train/b_0.jpg"), "preview.index=6", "preview.epochs=2").status == 0
    images, _ = training_set(*data)[1, [6]]
    _, found = find(images[0].numpy(), tmp_path / "pictures/augmentation.png")
    np.testing.assert_array_equal(found, images[0])


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "dcm"])
def test_image_of_every_format_is_decoded_as_in_training(preview, tmp_path, ending):
    path = tmp_path / f"my = image.{ending}"
    if ending == "dcm":
        shutil.copy(get_testdata_file("CT_small.dcm"), path)
    else:
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)).save(path)
    assert preview(str(path), "preview.epochs=1").status == 0
    pixels = decode(path.read_bytes(), image_size=SIDE, channels=1)
    _, found = find(pixels, tmp_path / "pictures/augmentation.png")
    np.testing.assert_array_equal(found, pixels)


def test_fixed_transforms_are_what_numpy_and_scipy_compute(preview, tmp_path):
    y, x = np.mgrid[:SIDE, :SIDE]
    image = (128 + 90 * np.sin(x / 4) * np.cos(y / 7) + x).clip(0, 255).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "waves.png")
    fixed = ["preview.rotate=[90]", "preview.scale=[1.5,0.5]", "preview.percentiles=[[10,90]]"]
    assert preview(str(tmp_path / "waves.png"), *fixed).status == 0
    picture = tmp_path / "pictures/transforms.png"
    _, turned = find(np.rot90(image)[..., None], picture)
    np.testing.assert_array_equal(turned[..., 0], np.rot90(image))
    low, high = np.percentile(image, (10, 90))
    expected = np.interp(image, (low, high), (0, 255))
    _, stretched = find(np.rint(expected).astype(np.uint8)[..., None], picture)
    np.testing.assert_allclose(stretched[..., 0], expected, atol=0.51)
    for factor in (1.5, 0.5):
        centre = (SIDE - 1) / 2 * (1 - 1 / factor)
        scaled = affine_transform(image.astype(float), [1 / factor] * 2, centre, order=1, mode="nearest")
        _, found = find(np.rint(scaled).astype(np.uint8)[..., None], picture)
        np.testing.assert_allclose(found[..., 0], scaled, atol=2)  # OpenCV's weights are multiples of 1/32


def test_without_an_image_a_simulated_one_is_shown_and_labelled_so(command):
    result = command("medcls.preview", "data=skin", SMALL, f"image_size={SIDE}", "preview.index=4", "preview.epochs=1")
    pictures = [result.folder / f"runs/preview_skin_4_SIMULATED/{n}.png" for n in ("transforms", "augmentation")]
    assert result.out.split() == [str(path.relative_to(result.folder)) for path in pictures]
    images, _ = training_set("data=skin", SMALL)[0, [4]]
    for picture in pictures:
        np.testing.assert_array_equal(find(images[0].numpy(), picture)[1], images[0])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.png"], "gone.png: no such file"),
        (["notes.txt"], "notes.txt cannot be read: not an image"),
        (["image.png", "notes.txt"], "found 2 images (image.png, notes.txt), expected one"),
        (
            ["data=skin", SMALL, "preview.index=6"],
            "preview.index: found 6, expected 0 to 5",
        ),
        (["image.png", "preview.angle=[3]"], "preview.angle: unknown key"),
        (["image.png", "preview.scale=[0]"], "preview.scale.0: found 0, expected greater than 0"),
        (["image.png", "preview.rotate=[]"], "preview.rotate: found [], expected at least 1 item."),
        (["image.png", "preview.percentiles=[[98,2]]"], "preview.percentiles: found [[98, 2]], expected pairs"),
        (["image.png", "augment=medcal"], "Did you mean augment=medical?"),
        (["image.png", "augment.transforms.Affine.rotat=3"], "augment.transforms.Affine"),
        (["image.png", "+augment.transforms.RandomCrop={height: 8, width: 8}"], "turned 32 x 32 x 1 into 8 x 8 x 1"),
        (["image.png", "data=folder", "data.root=images", "--folder=images/new"], "--folder: images/new lies in"),
        (["image.png", "--folder=."], "--folder: . holds the image"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_mistake_ends_with_one_message_and_writes_nothing(preview, tmp_path, words, message):
    working = tmp_path / "working"
    (working / "images").mkdir()
    (working / "notes.txt").write_text("no image")
    Image.new("L", (40, 40)).save(working / "image.png")
    before = sorted(working.rglob("*"))
    result = preview(*words)
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert sorted(working.rglob("*")) == before
    assert not (tmp_path / "pictures").exists()
