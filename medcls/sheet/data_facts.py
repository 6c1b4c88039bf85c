"""What a run's files say about its images: where they come from, how they are read, checked and divided."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from medcls.audit.saved_results import FINDINGS
from medcls.audit.wording import files_text, summary
from medcls.runs.run import validation_images
from medcls.sheet.record import Fact, Record
from medcls.subgroups.columns import FILE as SUBGROUPS
from medcls.subgroups.columns import Columns, read_columns

_SPLITS = {"train": "training", "val": "validation", "test": "test"}
_UNREADABLE = {"error": "stops the run", "skip": "is left out"}


def task(record: Record) -> Fact:
    """The classes, and which of two is positive."""
    metrics = record.metrics
    positive = metrics["positive"]
    by_default = " (the last one: none was named)" if metrics.get("positive_guessed") else ""
    of_two = f"; positive: {positive}{by_default}" if positive is not None else ""
    return record.fact(
        f"One of {len(metrics['classes'])} classes: {', '.join(metrics['classes'])}{of_two}.", "metrics.json"
    )


def sources(record: Record) -> Fact:
    """Name, number and kind of the images, and their fingerprint."""
    images, data = record.images, record.config["data"]
    number = sum(sum(count.values()) for count in images["counts"].values())
    parts = ["SIMULATED: drawn by a program, no patients."] if images["simulated"] else []
    listed = "" if data.get("manifest") is None else f" listed in {PurePath(data['manifest']).name}"
    parts.append(
        f"Data set {record.metrics['data']}: {number} images{listed}; fingerprint {images['fingerprint'][:16]}."
    )
    if record.audit is None:
        return record.fact(" ".join(parts), "data.json", "config.yaml")
    parts.append(f"Files: {one_line(files_text(dict(record.audit['files'])))}.")
    return record.fact(" ".join(parts), "data.json", "config.yaml", FINDINGS)


def exclusions(record: Record) -> Fact:
    """Files that were left out, with the reason."""
    images = record.images
    passed = images["passed_over"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in passed.items())
    files = ["data.json"]
    parts = [
        f"{len(images['unreadable'])} files left out as unreadable",
        f"{sum(passed.values())} passed over as no images{f' ({kinds})' if kinds else ''}",
    ]
    if record.audit is not None:
        leaks = record.audit["leaks"]
        dropped = len(leaks["training"]) if leaks.get("dropped") else 0
        parts.append(f"{dropped} training images left out as leaks")
        files.append(FINDINGS)
    return record.fact(f"{'; '.join(parts)}.", *files)


def preprocessing(record: Record) -> Fact:
    """How a file becomes the input of the net."""
    height, width, channels = record.images["shape"]
    colour = {1: "gray", 3: "RGB"}.get(channels, f"{channels} channels")
    text = (
        f"Each image becomes {width} x {height} pixels of 8 bits, {colour}, whatever its sides were, with "
        f"anti-aliasing; values are divided by 255. DICOM: data.window={record.config['data']['window']}."
    )
    return record.fact(text, "data.json", "config.yaml")


def quality(record: Record) -> Fact | None:
    """What the audit found."""
    if record.audit is None:
        return None
    found = [f"{one.heading}: {one_line(one.text)}" for one in summary(dict(record.audit))]
    return record.fact(f"Audited before training. {'. '.join(found)}.", FINDINGS)


def subset(record: Record) -> Fact:
    """Whether all training images were trained on."""
    share = record.config["data"]["train_fraction"]
    of = "All training images" if share == 1 else f"{share:g} of the patients (images where unknown) of each class"
    return record.fact(f"{of} were trained on: {record.metrics['n_train']} images.", "config.yaml", "metrics.json")


def missing(record: Record) -> Fact:
    """What happens to a file that cannot be read, and how many could not."""
    on = record.config["data"]["on_unreadable"]
    number = len(record.images["unreadable"])
    return record.fact(
        f"{number} files could not be read; such a file {_UNREADABLE[on]} (data.on_unreadable={on}). None is imputed.",
        *("data.json", "config.yaml"),
    )


def partition(record: Record) -> Fact:
    """How images came into splits."""
    data, files = record.config["data"], ["config.yaml", "data.json"]
    split = data["split"]
    drawn = f"drawn with seed {split['seed']}, classes in proportion"
    if split["folds"] is not None:
        how = f"Fold {split['fold'] + 1} of {split['folds']}, {drawn}"
    elif (record.run.folder / "split.csv").is_file():
        how = f"Validation: {split['val_fraction']:g} of the images, {drawn}"
    elif record.images["simulated"]:
        how = "Drawn by the simulation"
    else:
        how = f"As the {'data set' if data.get('manifest') is None else 'manifest'} has them"
    if (record.run.folder / "split.csv").is_file():
        files.append("split.csv")
    return record.fact(f"{how}. {'; '.join(_split_counts(record))}.", *files)


def disjoint(record: Record) -> Fact | None:
    """Whether splits share no patients, or only no images; None where copies were not searched for."""
    if (audit := record.audit) is None:
        return None
    patients, files = record.metrics["n_val_patients"], ["metrics.json"]
    level = "Images: no patient is known." if patients is None else "Patients, as far as they are known."
    leaks = audit["leaks"]
    left = "left out" if leaks.get("dropped") else "used nonetheless"
    text = (
        f"{level} {len(audit['patients']['in_several_splits'])} patients in several splits, "
        f"{audit['copies']['across_splits']} pairs of copies across splits; {len(leaks['training'])} training images "
        f"also in validation or test{f', {left}' if leaks['training'] else ''}."
    )
    return record.fact(text, *files, FINDINGS)


def counts(record: Record) -> Fact:
    """Images of each class in each split, and patients where they are known."""
    parts = list(_split_counts(record))
    for split, rows in record.metrics.get("per_class", {}).items():
        of_class = [f"{row['patients']} {row['class']}" for row in rows if row["patients"] is not None]
        parts += [f"patients of {called(record, split)}: {', '.join(of_class)}"] if of_class else []
    return record.fact(f"{'; '.join(parts)}.", "data.json", "metrics.json")


def class_shares(record: Record) -> Fact:
    """Share of each class in each split."""
    parts = []
    for split, of in record.images["counts"].items():
        number = sum(of.values())
        shares = ", ".join(f"{name} {count / number:.1%}" for name, count in of.items()) if number else "no image"
        parts.append(f"{called(record, split)}: {shares}")
    return record.fact(f"{'; '.join(parts)}.", "data.json")


def characteristics(record: Record) -> Fact | None:
    """What else the manifest says about the judged images, by split."""
    parts = []
    for split, found in record.run.predictions.items():
        if (read := read_columns(record.run.folder, found.names)) is None:
            return None
        parts += [f"{called(record, split)}: {text}" for text in _distributions(read[0])]
    return record.fact(f"{'; '.join(parts)}.", SUBGROUPS) if parts else None


def called(record: Record, split: str) -> str:
    """The images of a split, in words."""
    return validation_images(record.metrics) if split == "val" else f"{_SPLITS.get(split, split)} images"


def one_line(text: str) -> str:
    """Lines of a finding one after another."""
    return "; ".join(line.strip() for line in text.splitlines())


def _split_counts(record: Record) -> Iterator[str]:
    for split, of in record.images["counts"].items():
        yield f"{called(record, split)}: {sum(of.values())} ({_numbers(of)})"


def _numbers(of: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in of.items())


def _distributions(columns: Columns) -> Sequence[str]:
    return [
        f"{column} {', '.join(f'{value} {values.count(value)}' for value in sorted(set(values)))}"
        for column, values in columns.items()
    ]
