"""medcls preview: what transforms and random augmentation do to one image."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from medcls.cli.page import Option, Page
from medcls.cli.words import Words
from medcls.errors import UserError

if TYPE_CHECKING:
    from medcls.preview.schema import ConfigWithPreview

COLUMNS = 6
PAGE = Page(
    about=(
        "Draw what transforms and augmentation do to an image.\n"
        "transforms.png: scale factors, angles, intensity percentiles. augmentation.png: the\n"
        "image as training sees it, epoch after epoch. Any image that training can read will\n"
        "do; without one, a training image of the data set is drawn."
    ),
    config="preview",
    words="[image] [key=value ...]",
    bare_words=True,
    keys=(
        *("augment", "preview.index", "preview.epochs", "preview.scale", "preview.rotate"),
        *("preview.percentiles", "seed", "image_size", "data", "data.root", "data.channels", "data.window"),
        *("data.manifest", "data.classes", "data.group_pattern", "data.on_unreadable", "data.split.val_fraction"),
        *("data.split.seed", "data.cache_dir", "data.max_pixels"),
    ),
    own_options=[Option(("--folder",), "DIR", "where the pictures go (runs/preview_<image>)")],
    examples=[
        ("photo.jpg augment=study", "the study's augmentation of a photo"),
        ("data=folder data.root=images augment=medical preview.index=3", "of the fourth training image"),
        ("photo.jpg preview.rotate=[-5,5] preview.epochs=11", "other angles, fewer epochs"),
    ],
)


def run(given: Words) -> int:
    """Draw both pictures and say where they are."""
    from medcls.composition.compose import checked
    from medcls.preview.schema import ConfigWithPreview

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    images = [word for word in given.others if names_image(word)]
    if len(images) > 1:
        raise UserError(f"preview: found {len(images)} images ({', '.join(images)}), expected one.")
    overrides = [word for word in given.others if word not in images]
    config = checked(ConfigWithPreview, "preview", overrides, "preview")
    named = given.options.get("folder")
    preview(Path(images[0]) if images else None, config, Path(str(named)) if named else None)
    return 0


def names_image(word: str) -> bool:
    """Whether a word of the command line is meant as the image and not as an override, such as key=value or ~key."""
    return Path(word).is_file() or not ("=" in word or word.startswith("~"))


def preview(path: Path | None, config: "ConfigWithPreview", folder: Path | None) -> None:
    """Draw both pictures of the image at ``path``, or of the data set's, and say where they are."""
    from medcls.preview.contact_sheet import draw_sheet
    from medcls.preview.image import image_of_data_set, image_of_file
    from medcls.preview.tiles import through_epochs, under_fixed_transforms
    from medcls.sources.location import check_outside_images

    shown = image_of_data_set(config) if path is None else image_of_file(path, config)
    folder = folder or Path("runs") / f"preview_{shown.name}"
    check_outside_images("--folder", folder, config.data)
    if path is not None and folder.resolve() == path.resolve().parent:
        raise UserError(f"--folder: {folder} holds the image; nothing is written beside images. Name another folder.")
    fixed = under_fixed_transforms(shown.pixels, config.preview)
    epochs = {"": through_epochs(shown.pixels, config)}
    drawn = f"{shown.title} in training with seed {config.seed}, as image {config.preview.index}: "
    drawn += config.augment.title if config.augment.transforms else "no augmentation"
    folder.mkdir(parents=True, exist_ok=True)
    draw_sheet(fixed, max(map(len, fixed.values())), shown.title, folder / "transforms.png")
    draw_sheet(epochs, COLUMNS, drawn, folder / "augmentation.png")
    for file in ("transforms.png", "augmentation.png"):
        print(folder / file)
