"""The images that the nets were trained on and chosen by, where they are still what they were."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcls.config import Config
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.predict.nets import Net
from medcls.sources.load import load_image_set
from medcls.sources.subset import LEAKS, with_part_of_training, without


@dataclass(frozen=True)
class TrainingImages:
    """Images of a net's training and validation, as they were then, and the configuration that they are read by."""

    images: ImageSet
    config: Config


def training_images(
    net: Net, cache_dir: Path, allowed: Collection[str], moved_to: Path | None = None
) -> TrainingImages | str:
    """The images of the net's run; or why they are not available: moved, changed, simulated, or a checkpoint alone.

    moved_to: the folder where they are now; None where they were.
    """
    if net.run is None:
        return "a checkpoint outside of its run folder does not say where they are"
    recorded = net.images
    if recorded.get("simulated"):
        return "they were simulated"
    former = recorded.get("root")
    if moved_to is not None:
        recorded["root"] = str(moved_to)
    if recorded.get("root") and not Path(recorded["root"]).is_dir():
        return f"there is no folder {recorded['root']} any more"
    try:
        config = net.config(allowed)
        assert config is not None
        changes: dict[str, Any] = {"cache_dir": cache_dir, "on_unreadable": "skip"}
        if recorded.get("root"):
            changes["root"] = Path(recorded["root"])
            changes["manifest"] = _manifest(config, recorded, Path(former or recorded["root"]))
        if config.data.medmnist is not None:
            changes["medmnist"] = config.data.medmnist.model_copy(update={"download": False})
        data = config.data.model_copy(update=changes)
        images = load_image_set(data, config.image_size)
        leaks = (recorded.get("audit") or {}).get("leaks") or {}
        if leaks.get("dropped"):
            images = without(images, leaks["training"], LEAKS)
        images = with_part_of_training(images, data.train_fraction, (data.split.seed, config.seed))
    except (UserError, OSError, KeyError) as error:
        return str(error).splitlines()[0].rstrip(".")
    if images.fingerprint != recorded.get("fingerprint"):
        return f"those in {recorded.get('root')} have changed since"
    return TrainingImages(images, config.model_copy(update={"data": data}))


def _manifest(config: Config, recorded: Mapping[str, Any], former: Path) -> Path | None:
    """The manifest where it is now: below the images' folder, as it was below their former one, or where it was.

    recorded: content of data.json with the present root; that of an older run does not say where the manifest lay.
    """
    if (name := config.data.manifest) is None:
        return None
    place = Path(recorded["manifest"]) if "manifest" in recorded else name
    roots = (former, config.data.root or place.parent)
    below = [Path(recorded["root"]) / place.relative_to(root) for root in roots if place.is_relative_to(root)]
    return next((file for file in [*below, place] if file.is_file() and file.is_absolute()), name)
