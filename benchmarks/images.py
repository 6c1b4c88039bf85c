"""The images on which training and start-up are timed: simulated skin lesions as colour JPEG files."""

from pathlib import Path

import numpy as np
from contenders.job import IMAGE_SIZE, Arrays
from PIL import Image

from medcls.config.data import SplitConfig
from medcls.sources.cache import load_images
from medcls.sources.image_folder import scan_folder
from medcls.sources.simulated import simulated_images, simulated_table

FILE_SIZE = 256


def prepare(data: Path, n_train: int, n_val: int) -> None:
    """Write images/{train,val}/<class>/*.jpg, our cache of them and arrays.npz below ``data``."""
    root = data / "images"
    counts = {"train": [n_train // 2, n_train - n_train // 2], "val": [n_val // 2, n_val - n_val // 2]}
    simulated = simulated_table("skin", ("Mel", "Nev"), counts)
    pixels = simulated_images(simulated, kind="skin", image_size=FILE_SIZE, channels=3)
    for sample, image in zip(simulated.samples, pixels, strict=True):
        path = root / sample.split / simulated.classes[sample.label] / f"{Path(sample.name).stem}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path, quality=90)

    table = scan_folder(root, None, split=SplitConfig(val_fraction=0.2, seed=0, folds=None, fold=0, inner_val=True))
    names = [sample.name for sample in table.samples]
    images = load_images(root, names, image_size=IMAGE_SIZE, channels=1, cache_dir=cache_folder(data)).images
    labels = np.array([sample.label for sample in table.samples], np.int64)
    train, val = (np.array([sample.split == split for sample in table.samples]) for split in ("train", "val"))
    arrays = Arrays(images[train], labels[train], images[val], labels[val])
    np.savez(data / "arrays.npz", **arrays._asdict())


def cache_folder(data: Path) -> Path:
    """Folder of our cache of the images."""
    return data / "cache"
