"""See what transforms do to an image: python -m medcls.preview [image] [key=value ...].

Writes transforms.png (scale factors, angles, intensity percentiles) and augmentation.png (the image as training sees it
in one epoch after the other, drawn as training draws it). The image is any that training can read; without one, the
training image preview.index of the data set, simulated where there is none.
Keys are those of train.py (conf/config.yaml) and of conf/preview.yaml, where augment=study is the default.
"""

import argparse
import logging
import sys
from pathlib import Path

from medcls.command import composed, readable_errors, telling_mistakes
from medcls.config.preview import ConfigWithPreview
from medcls.config.schema import check_against
from medcls.errors import UserError

COLUMNS = 6


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m medcls.preview", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="image or key=value")
    parser.add_argument("--folder", type=Path, help="where the pictures go (runs/preview_<image>)")
    options = parser.parse_intermixed_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    images = [word for word in options.words if names_image(word)]
    if len(images) > 1:
        raise UserError(f"found {len(images)} images ({', '.join(images)}), expected one.")
    overrides = [word for word in options.words if word not in images]
    config = check_against(ConfigWithPreview, composed("preview", overrides, config_name="preview"))
    preview(Path(images[0]) if images else None, config, options.folder)


def names_image(word: str) -> bool:
    """Whether a word of the command line is meant as the image and not as an override, such as key=value or ~key."""
    return Path(word).is_file() or not ("=" in word or word.startswith("~"))


def preview(path: Path | None, config: ConfigWithPreview, folder: Path | None) -> None:
    """Draw both pictures of the image at ``path``, or of the data set's, and say where they are."""
    from medcls.preview.contact_sheet import draw_sheet
    from medcls.preview.image import image_of_data_set, image_of_file
    from medcls.preview.tiles import through_epochs, under_fixed_transforms
    from medcls.sources.location import check_outside_images

    shown = image_of_data_set(config) if path is None else image_of_file(path, config)
    folder = folder or Path("runs") / f"preview_{shown.name}"
    check_outside_images("--folder", folder, config.data)
    if path is not None and folder.resolve() == path.resolve().parent:
        raise UserError(f"--folder: {folder} holds the image, and nothing is written beside images. Name another.")
    fixed = under_fixed_transforms(shown.pixels, config.preview)
    epochs = {"": through_epochs(shown.pixels, config)}
    drawn = f"{shown.title} in training with seed {config.seed}, as image {config.preview.index}: "
    drawn += config.augment.title if config.augment.transforms else "no augmentation"
    folder.mkdir(parents=True, exist_ok=True)
    draw_sheet(fixed, max(map(len, fixed.values())), shown.title, folder / "transforms.png")
    draw_sheet(epochs, COLUMNS, drawn, folder / "augmentation.png")
    for file in ("transforms.png", "augmentation.png"):
        print(folder / file)


if __name__ == "__main__":
    with readable_errors(ConfigWithPreview), telling_mistakes():
        main()
