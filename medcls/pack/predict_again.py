"""Images of a pack judged again by its nets, beside what predictions.csv says about them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from medcls.data.listing import listing
from medcls.errors import UserError
from medcls.evaluation.metrics import Metric
from medcls.pack.compared import Number, compared
from medcls.pack.recompute import measured
from medcls.pack.schema import ConfigWithPack, ConfigWithVerify
from medcls.predict.command import batch_size_of
from medcls.predict.judging import device_of, judge_files
from medcls.predict.nets import Ensemble, Net, find_nets
from medcls.predict.shown import own_images, probabilities_of
from medcls.runs.folder import RunFolder
from medcls.runs.run import Run
from medcls.sources.medmnist import file_in
from medcls.sources.paths import ImagePaths

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Images:
    """Where a run's images are, and how to judge them."""

    root: Path
    config: ConfigWithPack | ConfigWithVerify
    allowed: Collection[str]


def predicted_again(run: Run, best: Ensemble, images: Images, own: Sequence[Metric]) -> Iterator[Number]:
    """Probabilities of each split by the net of the best epoch, and the table of the last where its net is packed."""
    own_of: Mapping[str, Sequence[Path] | Pixels]
    if file_in(run.config):
        own_of = of_one_file(run, best.nets[0], images)
    else:
        own_of = {split: files_of(run, split, images) for split in run.predictions}
    for split, predictions in run.predictions.items():
        found = judged(run, best, own_of[split], images)
        off = float(np.abs(found - predictions.probabilities).max())
        yield Number(f"probabilities of {len(found)} {split} images", "as in predictions.csv", "others", off)
    last = RunFolder(run.folder).last
    if last.is_file():
        nets = find_nets([last], None, images.allowed)
        found = judged(run, nets, own_of["val"], images)
        of_last = replace(run.predictions["val"], probabilities=found)
        table = measured(of_last, nets.nets[0].module, own)
        yield from compared(run.metrics["last"]["val"], table, "last val, predicted anew,")


def files_of(run: Run, split: str, images: Images) -> list[Path]:
    """Files of a split's images. Raises UserError where one is missing, or lies elsewhere."""
    where, problems = ImagePaths(images.root, images.config.data.allow_outside_root), []
    names = run.predictions[split].names
    for name in names:
        try:
            where.check(name, "another row")
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise UserError(
            f"data.root: {len(problems)} of {len(names)} {split} images of {run.name} are not below {images.root}:\n"
            f"{listing(problems)}\n  Expected the images that the run was judged on, under the same names."
        )
    return [images.root / name for name in names]


def of_one_file(run: Run, net: Net, images: Images) -> dict[str, Pixels]:
    """Pixels (N, H, W, C) of each split, of MedMNIST's file. Raises UserError where it is missing, or another."""
    config = net.config(images.allowed)
    assert config is not None
    found = own_images(net, config, images.allowed, images.root, "the folder with that file, as it was").images
    at = {sample.name: i for i, sample in enumerate(found.table.samples)}
    return {split: found.images[[at[name] for name in of.names]] for split, of in run.predictions.items()}


def judged(run: Run, nets: Ensemble, paths: Sequence[Path] | Pixels, images: Images) -> NDArray[np.float32]:
    """Probabilities (N, C) in the batches of training. Raises UserError for a file that cannot be read."""
    device, size, net = device_of(images.config.trainer.accelerator), batch_size_of(run.config), nets.nets[0].module
    if isinstance(paths, np.ndarray):
        found = probabilities_of(net.to(device), (paths[i : i + size] for i in range(0, len(paths), size)))
    else:
        settings = {"batch_size": size, "max_pixels": images.config.data.max_pixels}
        with TemporaryDirectory(prefix="medcls_verify_") as parts:
            of_files = judge_files(nets, paths, Path(parts), device=device, **settings)
        if wrong := [f"{path}   {why}" for path, why in zip(paths, of_files.reasons, strict=True) if why]:
            raise UserError(f"data.root: {len(wrong)} of {len(paths)} images cannot be read:\n{listing(wrong)}")
        found = of_files.probabilities[0]
    net.cpu()
    return found
