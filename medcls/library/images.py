"""Images of a configuration: loaded, and audited before anything is trained on them."""

from pathlib import Path
from typing import Any

from medcls.config import Config
from medcls.data.image_set import ImageSet
from medcls.sources.load import load_image_set
from medcls.sources.location import check_outside_images


def load_images(config: Config) -> ImageSet:
    """The images that ``config`` trains on: decoded, resized, with labels, splits and classes.

    ``images``: (N, image_size, image_size, channels) uint8; ``table``: names, labels, splits and patients in the same
    order; ``indices("train")``: positions of a split. Files are decoded once and cached (``data.cache_dir``).
    Raises UserError for a folder that cannot be trained on, and listing all files that cannot be read.

    >>> import medcls
    >>> config = medcls.compose("data=bone", image_size=32, data__simulated__counts={"train": [8, 8], "val": [4, 4]})
    >>> images = medcls.load_images(config)  # there is no folder data/Bone: simulated radiographs
    >>> images.images.shape, images.images.dtype
    ((24, 32, 32, 1), dtype('uint8'))
    >>> images.table.classes
    ('atypical fracture', 'normal fracture')
    >>> images.table.counts()["val"]
    {'atypical fracture': 4, 'normal fracture': 4}
    """
    return load_image_set(config.data, config.image_size)


def audit_images(config: Config, folder: Path | str | None = None, *, show: bool = True) -> dict[str, Any]:
    """Findings on the images of ``config``: copies, leaks across splits, patients in two splits, telling files.

    folder: gets audit.json and audit.html, which shows the copies side by side. show: print the findings.
    Returns the content of audit.json. Files that cannot be read are a finding, not an error.
    Raises UserError for simulated images, which leave nothing to audit.

    >>> import medcls, numpy
    >>> from pathlib import Path
    >>> from PIL import Image
    >>> random, root = numpy.random.default_rng(0), Path("audited")
    >>> for name in ("train/a_1.png", "train/a_2.png", "train/b_1.png", "test/a_3.png", "test/b_2.png"):
    ...     (root / name).parent.mkdir(parents=True, exist_ok=True)
    ...     Image.fromarray(random.integers(0, 256, (64, 64), numpy.uint8)).save(root / name)
    >>> Image.open(root / "train/a_1.png").save(root / "test/a_4.png")  # an image in training and in validation
    >>> findings = medcls.audit_images(medcls.compose("data=folder", data__root=root, image_size=32), show=False)
    >>> findings["copies"]["across_splits"], len(findings["leaks"]["training"])
    (1, 1)
    """
    from medcls.audit import gate  # it brings scikit-learn, which takes seconds to import

    if folder is not None:
        check_outside_images("folder", Path(folder), config.data)
    config = config.model_copy(update={"data": config.data.model_copy(update={"on_unreadable": "skip"})})
    images = load_image_set(config.data, config.image_size)
    audit = gate.audit_images(images, config)
    if show:
        from medcls.audit.console import print_findings

        print_findings(audit.findings)
    if folder is not None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        audit.write(Path(folder))
    return audit.findings
