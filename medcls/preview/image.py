"""The image to show: a file that the user names, or a training image of the data set."""

from dataclasses import dataclass
from pathlib import Path

from medcls.errors import UserError
from medcls.formats.decode import decode
from medcls.formats.unreadable import UnreadableImage
from medcls.preview.schema import ConfigWithPreview
from medcls.preview.tiles import Pixels
from medcls.sources.load import load_image_set


@dataclass(frozen=True)
class Shown:
    """An image as training sees it, (image_size, image_size, channels), with a name for the folder and a title."""

    name: str
    title: str
    pixels: Pixels


def image_of_file(path: Path, config: ConfigWithPreview) -> Shown:
    """The image at ``path``, decoded as training does. Raises UserError if there is none or it cannot be read."""
    if not path.is_file():
        raise UserError(
            f"{path}: no such file. Expected an image file; without one, a training image of the data set is shown."
        )
    data = config.data
    try:
        pixels = decode(
            path.read_bytes(),
            image_size=config.image_size,
            channels=data.channels,
            max_pixels=data.max_pixels,
            window=data.window,
        )
    except UnreadableImage as error:
        raise UserError(f"{path} cannot be read: {error.reason}.") from error
    return Shown(path.stem, path.name, pixels)


def image_of_data_set(config: ConfigWithPreview) -> Shown:
    """Training image ``preview.index``. Raises UserError as ``load_image_set`` does, or if the index is too large."""
    image_set = load_image_set(config.data, config.image_size)
    training, index = image_set.indices("train"), config.preview.index
    if index >= len(training):
        raise UserError(f"preview.index: found {index}, expected 0 to {len(training) - 1}, one of the training images.")
    simulated = image_set.table.simulated
    title = f"{'SIMULATED ' if simulated else ''}{config.data.title}, {image_set.table.samples[training[index]].name}"
    name = f"{config.data.title}_{index}{'_SIMULATED' if simulated else ''}"
    return Shown(name, title, image_set.images[training[index]])
