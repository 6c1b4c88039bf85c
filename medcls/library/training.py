"""Nets and classifiers of a configuration, and runs that leave the same folder as those of the commands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from medcls.config import Config
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.library.configuration import compose, overrides_of, recorded_overrides
from medcls.library.host import as_a_guest, messages
from medcls.library.results import read_run
from medcls.models import build_network
from medcls.run import run
from medcls.runs.folder import RunFolder
from medcls.runs.run import Run
from medcls.training.build import build_classifier as classifier_of
from medcls.training.classifier import Classifier


def build_net(config: Config, n_outputs: int) -> nn.Module:
    """The net of ``config`` with fresh weights from PyTorch's generator.

    It maps images (N, channels, image_size, image_size) in [0, 1] to logits (N, n_outputs).
    Raises UserError when the images are too small for the net.

    >>> import medcls, torch
    >>> net = medcls.build_net(medcls.compose("model=lenet", model__n_base=2, image_size=32), n_outputs=3)
    >>> net(torch.zeros(5, 1, 32, 32)).shape
    torch.Size([5, 3])
    """
    channels, size = config.data.channels, config.image_size
    return build_network(config.model, n_outputs=n_outputs, in_channels=channels, image_size=size)


def build_classifier(config: Config, images: ImageSet) -> Classifier:
    """The LightningModule that ``train`` would begin with: net, loss, optimizer and schedule for these images.

    Its initial weights are drawn from ``config.seed``. It maps images (N, image_size, image_size, channels) of uint8
    to logits. Raises UserError where the configuration does not fit the images.

    >>> import medcls
    >>> config = medcls.compose("model=lenet", model__n_base=2, image_size=32, data__simulated__counts__train=[8, 8])
    >>> classifier = medcls.build_classifier(config, medcls.load_images(config))
    >>> sum(parameter.numel() for parameter in classifier.parameters())
    1129
    """
    with as_a_guest():
        return classifier_of(config, images)


def train(config: Config, folder: Path | str, *, show: bool = True) -> Run:
    """Train one net and leave its run in ``folder``, as ``train.py hydra.run.dir=<folder>`` does.

    show: print messages, a line per epoch and the closing table; else they go to ``train.log`` and to the handlers of
    ``logging`` alone. Returns what ``read_run`` finds in the folder.
    Raises UserError for mistakes of the user's and where the folder holds a run already. An interrupted training raises
    KeyboardInterrupt and can be resumed; one in another thread than the main one cannot be interrupted. All that it
    changes in the process (random generators, threads, warnings, handlers) is as before afterwards, and a second
    training at the same time is refused.

    >>> import medcls
    >>> config = medcls.compose(
    ...     "model=lenet", "data=bone", "logger=none", model__n_base=2, image_size=32, lr=1e-3, epochs=1,
    ...     data__simulated__counts={"train": [8, 8], "val": [4, 4]}, trainer__accelerator="cpu",
    ... )
    >>> run = medcls.train(config, "runs/first", show=False)
    >>> run.state, len(run.history), run.metrics["n_val"], run.metrics["simulated"]
    ('done', 1, 8, True)
    >>> medcls.train(config, "runs/first", show=False)
    Traceback (most recent call last):
    medcls.errors.UserError: runs/first: already holds a run. ...
    """
    if config.resume is not None:
        raise UserError(f"resume: found {config.resume}, expected none for a new run. Use medcls.resume(folder).")
    return _run(config, Path(folder), recorded_overrides(config), show)


def resume(folder: Path | str, *overrides: str, show: bool = True, **keys: Any) -> Run:
    """Train the run in ``folder`` to its end, from its last complete epoch, or, with ``epochs=...``, beyond that end.

    overrides, keys: as for ``compose``; of those that ``train.py resume=<folder>`` takes. Returns and raises as
    ``train``.

    >>> import medcls
    >>> config = medcls.compose(
    ...     "model=lenet", "data=bone", "logger=none", model__n_base=2, image_size=32, lr=1e-3, epochs=1,
    ...     data__simulated__counts={"train": [8, 8], "val": [4, 4]}, trainer__accelerator="cpu",
    ... )
    >>> first = medcls.train(config, "runs/longer", show=False)
    >>> longer = medcls.resume("runs/longer", epochs=2, show=False)
    >>> len(longer.history), longer.history[0] == first.history[0]
    (2, True)
    """
    lines = overrides_of(*overrides, **keys)
    return _run(compose(*lines, resume=Path(folder)), Path(folder), lines, show)


def _run(config: Config, folder: Path, overrides: Sequence[str], show: bool) -> Run:
    new = not (folder / "train.log").exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with as_a_guest(), messages(folder, show):
            run(config, folder, list(overrides), show=show)
    except UserError:
        if new:
            RunFolder(folder).remove_if_not_begun()
        raise
    return read_run(folder)
