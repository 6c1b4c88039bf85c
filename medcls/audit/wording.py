"""The findings of an audit in words, for the terminal, the page, the log and the message that stops a run."""

from pathlib import Path
from typing import Any, NamedTuple

from medcls.audit.stored import PAGE
from medcls.data.listing import listing

SHOWN = 20  # pairs, patients or files listed before "and N more"


class Finding(NamedTuple):
    """One thing that was looked for; ``alarming``: what was found should be seen to before training."""

    heading: str
    text: str
    alarming: bool = False


def summary(findings: dict[str, Any]) -> list[Finding]:
    """What was found, in words, the worst first."""
    copies, leaks, patients = (findings[name] for name in ("copies", "leaks", "patients"))
    told = [
        Finding(
            "Leaks",
            f"{len(leaks['training'])} training images are also in validation or test ({leaks['by_copy']} as copies, "
            f"{leaks['by_patient']} by their patients); {leaks['validation_in_test']} of validation are also in test",
            bool(leaks["training"] or leaks["validation_in_test"]),
        ),
        Finding(
            "Copies",
            f"{copies['pairs']} pairs of images show the same picture, {copies['across_splits']} across splits, "
            f"{copies['conflicting']} with different classes{tell_unaligned(copies['unaligned'])}",
            bool(copies["across_splits"] or copies["conflicting"]),
        ),
        Finding("Patients", tell_patients(patients), bool(patients["in_several_splits"])),
        tell_shortcuts(findings["shortcut"]),
    ]
    if unreadable := findings["unreadable"]:
        told.append(Finding("Unreadable", shortened([f"{n}   {why}" for n, why in unreadable.items()]), True))
    if findings["flat"]:
        told.append(Finding("Of one gray", shortened(findings["flat"]), True))
    return [*told, Finding("Files", tell_files(findings["files"]))]


def tell_files(files: dict[str, Any]) -> str:
    """Formats, modes and sizes."""
    kinds = [f"{name or 'unknown'} ({n})" for part in ("formats", "modes") for name, n in files[part].items()]
    sizes = ", ".join(f"{size} ({number})" for size, number in files["sizes"].items())
    return f"{', '.join(kinds)}\n{sizes}{', ...' if files['n_sizes'] > len(files['sizes']) else ''}"


def tell_unaligned(unaligned: int) -> str:
    """That not all pairs were looked at as closely as could be."""
    if not unaligned:
        return ""
    return f"\n{unaligned} more, somewhat alike, were not tried for copies that are shifted: too many"


def tell_patients(patients: dict[str, Any]) -> str:
    """How many patients there are, and which are in several splits."""
    if not patients["known"]:
        return "unknown: name them in a manifest, or by data.group_pattern"
    shared = [
        f"{name}: {', '.join(f'{n} {s}' for s, n in c.items())}" for name, c in patients["in_several_splits"].items()
    ]
    known, several = patients["known"], patients["with_several_images"]
    text = f"{known}, {several} of them with several images, {len(shared)} in several splits"
    return f"{text}\n{shortened(shared)}" if shared else text


def tell_shortcuts(shortcut: dict[str, Any] | None) -> Finding:
    """How well the files alone tell the class."""
    if shortcut is None:
        return Finding("Shortcuts", "not looked for: too few images or patients of a class")
    if shortcut["suspicious"]:
        return Finding("Shortcuts", tell_shortcut(shortcut), True)
    value, low, high = (shortcut["auroc"][name] for name in ("value", "low", "high"))
    text = f"none: from size, format and brightness alone AUROC {value:.2f} [{low:.2f}, {high:.2f}]"
    return Finding("Shortcuts", text)


def tell_shortcut(shortcut: dict[str, Any]) -> str:
    """One sentence on how well the files alone tell the class, and by what."""
    value, low, high = (shortcut["auroc"][name] for name in ("value", "low", "high"))
    best, alone = next(iter(shortcut["features"].items()), ("nothing", 0.5))
    return (
        f"the class can be told without looking at the picture, AUROC {value:.2f} [{low:.2f}, {high:.2f}]; "
        f"most by {best} ({alone:.2f} alone)"
    )


def tell_pairs(copies: dict[str, Any]) -> str:
    """The first pairs of copies, a line each, and how many more there are."""
    lines = []
    for pair in copies["listed"]:
        first, second = (f"{pair[which]['name']} ({pair[which]['split']})" for which in ("first", "second"))
        lines.append(f"{first} = {second}   {describe(pair)}, {pair['similarity']:.3f}")
    return shortened(lines, copies["pairs"])


def describe(pair: dict[str, Any]) -> str:
    """How the images of a pair differ."""
    parts = [pair["kind"], pair["orientation"], "different classes" if pair["conflicting"] else ""]
    return ", ".join(part for part in parts if part)


def notice(n_leaking: int, *, dropped: bool) -> str:
    """What is said wherever figures appear."""
    subject = f"{n_leaking} training images" if n_leaking > 1 else "1 training image"
    if dropped:
        return f"{subject} left out: copies of held-out images, or of held-out patients"
    return f"LEAK: {subject} trained on, copies of held-out images, or of held-out patients"


def explain_leaks(findings: dict[str, Any], kept: Path | None) -> str:
    """Message for data that training should not begin with."""
    leaks, patients = findings["leaks"], findings["patients"]["in_several_splits"]
    leaking, number = len(leaks["training"]), sum(findings["counts"]["train"].values())
    lines = [
        f"{findings['root']}: {leaking} of {number} training images, or their patients, are also in validation or test."
    ]
    pairs = [
        pair for pair in findings["copies"]["listed"] if pair["second"]["split"] == "train" != pair["first"]["split"]
    ]
    if leaks["by_copy"]:
        told = [f"{pair['second']['name']} = {pair['first']['name']}   {describe(pair)}" for pair in pairs]
        lines.append(f"{leaks['by_copy']} show the same picture:\n{listing(told)}")
    if leaks["by_patient"]:
        told = [
            f"{name}: {', '.join(f'{n} {split}' for split, n in found.items())}" for name, found in patients.items()
        ]
        lines.append(f"{leaks['by_patient']} are of patients who are in several splits:\n{listing(told)}")
    if kept is not None:
        lines.append(f"All side by side: {kept / PAGE}")
    lines.append(
        "Train without these training images: audit.on_leak=drop\n"
        "  Train with them, and believe no figure: audit.on_leak=warn\n"
        "  Or remove them from the folder"
    )
    return "\n  ".join(lines)


def shortened(lines: list[str], count: int | None = None) -> str:
    """The first lines, and how many more there are of ``count``."""
    count = len(lines) if count is None else count
    more = [f"and {count - SHOWN} more"] if count > SHOWN else []
    return "\n".join(lines[:SHOWN] + more)
