"""The findings of an audit as text: for the terminal, the page, the log and the message that stops a run."""

from pathlib import Path
from typing import Any, NamedTuple

from medcls.audit.oddities import FEWEST
from medcls.audit.saved_results import PAGE
from medcls.data.listing import listing
from medcls.evaluation.interval import defined

SHOWN = 20  # pairs, patients or files listed before "and N more"


class Finding(NamedTuple):
    """The result of one check; ``alarming``: it should be dealt with before training."""

    heading: str
    text: str
    alarming: bool = False


def summary(findings: dict[str, Any]) -> list[Finding]:
    """The result of every check, the worst first."""
    copies, leaks, patients = (findings[name] for name in ("copies", "leaks", "patients"))
    checks = [
        Finding(
            "Leaks",
            f"{len(leaks['training'])} training images are also in validation or test ({leaks['by_copy']} as copies, "
            f"{leaks['by_patient']} through their patients); "
            f"{leaks['validation_in_test']} validation images are also in test",
            bool(leaks["training"] or leaks["validation_in_test"]),
        ),
        Finding(
            "Copies",
            copies_text(copies, findings["images"]),
            bool(copies["across_splits"] or copies["conflicting"]),
        ),
        Finding("Patients", patients_text(patients), bool(patients["in_several_splits"])),
        shortcut_finding(findings["shortcut"]),
    ]
    if unreadable := findings["unreadable"]:
        checks.append(Finding("Unreadable", first_lines([f"{n}   {why}" for n, why in unreadable.items()]), True))
    if findings["flat"]:
        checks.append(Finding("Blank (a single gray level)", first_lines(findings["flat"]), True))
    checks += oddities(findings)
    return [*checks, Finding("Files", files_text(findings["files"]))]


def first_sentences(findings: dict[str, Any]) -> list[str]:
    """On leaks, copies, patients and shortcuts a sentence each, which names no image and no patient."""
    return [f"{check.heading}: {check.text.splitlines()[0]}" for check in summary(findings)[:4]]


def files_text(files: dict[str, Any]) -> str:
    """Formats, modes and sizes, with the number of files of each."""
    kinds = [f"{name or 'unknown'} ({n})" for part in ("formats", "modes") for name, n in files[part].items()]
    sizes = ", ".join(f"{size} ({number})" for size, number in files["sizes"].items())
    return f"{', '.join(kinds)}\n{sizes}{', ...' if files['n_sizes'] > len(files['sizes']) else ''}"


def copies_text(copies: dict[str, Any], images: int) -> str:
    """How many images show the same picture, how many perhaps, and what was not looked for."""
    lines = [
        f"{copies['pairs']} pairs of images show the same picture, {copies['across_splits']} across splits, "
        f"{copies['conflicting']} with different classes"
    ]
    if copies["groups"]:
        lines.append(
            f"{copies['pictures']} distinct pictures in {images} files; {len(copies['groups'])} of them several times, "
            f"one {copies['largest_group']} times"
        )
    if copies["doubtful"]:
        lines.append(
            f"{copies['doubtful']} more pairs are alike but may be two pictures of one object, such as neighbouring "
            f"slices of a scan ({copies['doubtful_across_splits']} across splits): look at them; they count as no leak"
        )
    if copies["search"] == "quick":
        lines.append(
            "Not looked for: copies that were cropped, shifted or turned by other angles than quarters "
            "(audit.search=thorough)"
        )
    return "\n".join(lines)


ODDITIES = {
    "companions": ("Not images?", "{} files look like masks, thumbnails or annotations beside images"),
    "several_labels": ("Several labels?", "{} classes read like several labels in one"),
    "small_classes": (
        "Small classes",
        f"{{}} classes have fewer than {FEWEST} images in a split: their metrics say little",
    ),
    "of_one_kind": ("Class by file", "{} classes can be told by the format or size of their files"),
}


def split_title(findings: dict[str, Any], split: str) -> str:
    """Displayed name of a split: its own, except for test images that serve as validation."""
    return "test (as validation)" if split == "val" and findings.get("test_validates") else split


def oddities(findings: dict[str, Any]) -> list[Finding]:
    """What is odd about files and classes, one finding for each kind that there is."""
    found = []
    for name, (heading, text) in ODDITIES.items():
        odd = findings["oddities"][name]
        if name == "small_classes":
            odd = {
                f"{kind}, {split_title(findings, split)}": number
                for split, counts in odd.items()
                for kind, number in counts.items()
            }
        if odd:
            lines = [f"{one}: {why}" for one, why in odd.items()] if isinstance(odd, dict) else list(odd)
            found.append(Finding(heading, f"{text.format(len(lines))}\n{first_lines(lines)}", True))
    return found


def patients_text(patients: dict[str, Any]) -> str:
    """How many patients there are, and which are in several splits."""
    if not patients["known"]:
        return "unknown: name them in a manifest, or with data.group_pattern"
    shared = shared_patients(patients["in_several_splits"])
    known, several = patients["known"], patients["with_several_images"]
    text = f"{known}, {several} of them with several images, {len(shared)} in several splits"
    return f"{text}\n{first_lines(shared)}" if shared else text


def shortcut_finding(shortcut: dict[str, Any] | None) -> Finding:
    """How well the files alone predict the class."""
    if shortcut is None:
        return Finding("Shortcuts", "not checked: too few images or patients of a class")
    if shortcut["suspicious"]:
        return Finding("Shortcuts", shortcut_text(shortcut), True)
    return Finding("Shortcuts", f"none: size, format and brightness alone give {auroc_text(shortcut)}")


def shortcut_text(shortcut: dict[str, Any]) -> str:
    """One sentence on how well the files alone predict the class, and which feature does so best."""
    best, alone = next(iter(shortcut["features"].items()), ("none", 0.5))
    return (
        f"the class can be predicted without looking at the picture, {auroc_text(shortcut)}; "
        f"best single feature: {best} ({alone:.2f} alone)"
    )


def auroc_text(shortcut: dict[str, Any]) -> str:
    """AUROC of the files alone, with its interval."""
    value, low, high = (shortcut["auroc"][name] for name in ("value", "low", "high"))
    limits = f"[{low:.2f}, {high:.2f}]" if defined(low) else "(too few for an interval)"
    return f"AUROC {value:.2f} {limits}"


def pairs_text(findings: dict[str, Any]) -> str:
    """The first pairs of copies, one line each, and how many more there are."""
    lines, copies = [], findings["copies"]
    for pair in copies["listed"]:
        first, second = (
            f"{pair[which]['name']} ({split_title(findings, pair[which]['split'])})" for which in ("first", "second")
        )
        lines.append(f"{first} = {second}   {difference_text(pair)}, {pair['similarity']:.3f}")
    return first_lines(lines, copies["pairs"] + copies["doubtful"])


def difference_text(pair: dict[str, Any]) -> str:
    """How the images of a pair differ."""
    parts = [pair["kind"], pair["orientation"], "different classes" if pair["conflicting"] else ""]
    return ", ".join(part for part in parts if part)


def leak_notice(n_leaking: int, *, dropped: bool) -> str:
    """What is shown wherever metrics appear."""
    images = f"{n_leaking} training images" if n_leaking > 1 else "1 training image"
    reason = "copies of held-out images, or images of held-out patients"
    return f"{images} left out: {reason}" if dropped else f"LEAK: {images} used despite leaks: {reason}"


def explain_leaks(findings: dict[str, Any], cached: Path | None) -> str:
    """Message for data that should not be trained on as it is; ``cached``: the folder that holds the page."""
    leaks, patients = findings["leaks"], findings["patients"]["in_several_splits"]
    leaking, number = len(leaks["training"]), sum(findings["counts"]["train"].values())
    lines = [
        f"{findings['root']}: {leaking} of {number} training images, or their patients, are also in validation or test."
    ]
    pairs = [
        pair
        for pair in findings["copies"]["listed"]
        if not pair["doubtful"] and pair["second"]["split"] == "train" != pair["first"]["split"]
    ]
    if leaks["by_copy"]:
        copied = [f"{pair['second']['name']} = {pair['first']['name']}   {difference_text(pair)}" for pair in pairs]
        lines.append(f"{leaks['by_copy']} show the same picture as a held-out image:\n{listing(copied)}")
    if leaks["by_patient"]:
        lines.append(
            f"{leaks['by_patient']} belong to patients in several splits:\n{listing(shared_patients(patients))}"
        )
    if cached is not None:
        lines.append(f"All pairs side by side: {cached / PAGE}")
    lines.append(
        "Train without these images: audit.on_leak=drop\n"
        "  Train with them, and do not trust the metrics: audit.on_leak=warn\n"
        "  Or remove them from the folder"
    )
    return "\n  ".join(lines)


def shared_patients(in_several_splits: dict[str, dict[str, int]]) -> list[str]:
    """Each patient with the number of images in each split."""
    return [f"{name}: {', '.join(f'{n} {s}' for s, n in counts.items())}" for name, counts in in_several_splits.items()]


def first_lines(lines: list[str], count: int | None = None) -> str:
    """The first lines, and how many more there are of ``count`` in all (the number of lines if None)."""
    count = len(lines) if count is None else count
    more = [f"and {count - SHOWN} more"] if count > SHOWN else []
    return "\n".join(lines[:SHOWN] + more)
