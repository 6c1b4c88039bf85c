"""Packing: one file, written only once nothing in it names this machine, and only after it was verified."""

import logging
from collections.abc import Sequence
from pathlib import Path

from medcls.atomic import writing
from medcls.data.listing import listing
from medcls.errors import UserError
from medcls.pack.archive import Opened, opened, write_archive
from medcls.pack.check import Part, check
from medcls.pack.collect import Source, collect, find_sources, roots_of
from medcls.pack.compared import Number
from medcls.pack.last_epoch import last_predictions
from medcls.pack.layout import MANIFEST, is_text
from medcls.pack.schema import ConfigWithPack
from medcls.pack.strip import Machine, Stripper, strings_in
from medcls.predict.new_folder import output_path
from medcls.quoting import typed
from medcls.runs.checkpoint import read_checkpoint
from medcls.runs.reading import digest_of

log = logging.getLogger(__name__)
SAME = 1e-6


def pack(config: ConfigWithPack) -> Path:
    """Write the file and return its path.

    Raises UserError for a mistake of the user's, a name of this machine that stays, and images that the net does not
    judge as in predictions.csv; nothing is written then.
    """
    if config.images and not config.nets:
        raise UserError("nets: found false beside images=true, expected true: images are packed for the nets to judge.")
    sources = find_sources(config.run)
    runs = [run for source in sources for run in source.runs]
    path = output_path(config.output, f"{title_of(sources)}.zip", config.data, runs)
    check_output(path)
    roots = sorted(set(roots_of(sources).values()))
    machine = Machine([*roots, *(str(source.folder.absolute()) for source in sources)], config.keep)
    finished, allowed = [run for source in sources for run in source.finished], {*config.own_code, *config.allow}
    last = {run.folder: of for run in finished if (of := last_predictions(run, allowed, SAME)) is not None}
    found = collect(sources, Stripper(machine, roots), nets=config.nets, images=config.images, last=last)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as file:
        write_archive(file, found.entries, found.images)
        file.flush()
        with opened(Path(file.name)) as packed:
            check_names_nothing(packed, machine)
            tell_differences(list(check(packed, config, None)))
        digest = digest_of(Path(file.name))
        check_output(path)  # again: another process may have written it meanwhile
    say_what_is_inside(sources, len(found.entries), nets=config.nets, images=config.images)
    log.info("SHA-256 %s", digest)
    log.info("%s", path)
    return path


def title_of(sources: Sequence[Source]) -> str:
    """A name for the file."""
    name = sources[0].name + (f"_and_{len(sources) - 1}_more" if len(sources) > 1 else "")
    return name + "_SIMULATED" * (simulated(sources) and "SIMULATED" not in name)


def simulated(sources: Sequence[Source]) -> bool:
    """Whether a net was trained on simulated images."""
    return any(run.simulated for source in sources for run in source.finished)


def check_output(path: Path) -> None:
    """Raise UserError for a file that exists, or is not called a zip file."""
    if path.suffix != ".zip":
        raise UserError(f"output: found {path}, expected a file ending in .zip.")
    if path.exists():
        another = typed("output", str(path.with_stem(f"{path.stem}_2")))
        raise UserError(f"output: {path} exists. Remove it, or name another: {another}")


def check_names_nothing(finished: Opened, machine: Machine) -> None:
    """Raise UserError where a file of the finished pack names this machine, its user, or a folder of theirs."""
    found = []
    for name in (*finished.manifest["files"], MANIFEST):
        file = finished.folder / name
        if is_text(name):
            wrong = machine.found_in(file.read_text(encoding="utf-8"))
        else:
            texts = strings_in(read_checkpoint(file)) if name.endswith(".ckpt") else ()
            wrong = next(filter(None, map(machine.found_in, texts)), "") or machine.found_among(file.read_bytes())
        if wrong := wrong or machine.found_in(name):
            found.append(f"{name}   {wrong}")
    if found:
        raise UserError(
            f"pack: {len(found)} files name this machine, its user or a folder of theirs; nothing was written:\n"
            f"{listing(found)}\n  Rename what is called so. A name, not a folder, that means something else there may "
            "stay: keep=[<name>]"
        )


def tell_differences(parts: Sequence[Part]) -> None:
    """Warn where this version of medcls computes other numbers. Raises UserError where the images have changed."""
    other = [(part, one) for part in parts for one in part.numbers if not one.why and not one.same(SAME)]
    if images := [f"{part.name}: {one.where}" for part, one in other if is_of_images(one)]:
        raise UserError(
            f"images: the nets judge them differently than in predictions.csv:\n{listing(images)}\n"
            "  They have changed since, or were judged on another kind of machine. Leave them out: images=false"
        )
    if other:
        lines = listing([f"{part.name}: {one.where}" for part, one in other])
        log.warning(
            "%d numbers now differ from those of the run, and medcls verify will report them:\n%s", len(other), lines
        )


def is_of_images(number: Number) -> bool:
    """Whether it is how far probabilities are from those of predictions.csv."""
    return number.where.startswith("probabilities")


def say_what_is_inside(sources: Sequence[Source], files: int, *, nets: bool, images: bool) -> None:
    """Say what was packed, and what about patients is in it."""
    runs = sum(len(source.finished) for source in sources)
    log.info("%d files of %d finished runs, none of which names anything of this machine", files, runs)
    for source in sources:
        if left := [run.name for run in source.runs if not run.done]:
            log.warning("%s: %d runs are not finished and are packed without their nets", source.folder, len(left))
    if not nets:
        log.info(
            "the nets are left out: the table follows from the predictions, but no file of the pack gives these again"
        )
    if images:
        log.warning("the images are the original files: headers of DICOM and EXIF may name patients")
    log.info("names of images are as they are, patients are numbered: see docs/pack.md before you share it")
    if simulated(sources):
        log.warning("SIMULATED: a net was trained on simulated images; its metrics say nothing about patients.")
