"""The findings of an audit as tables on the terminal."""

from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from medcls.audit.gate import describe, tell_shortcut

SHOWN = 20  # pairs, patients or files listed before "and N more"


def print_findings(findings: dict[str, Any]) -> None:
    """Print all findings, the first of each long list."""
    # No markup: a bracket in a file name would be read as a style.
    console = Console(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, 80)
    console.print(f"\n{findings['data']}: {findings['images']} images in {findings['root']}\n", style="bold")
    console.print(counts(findings))
    for finding in summary(findings):
        console.print(f"\n{finding.heading}", style="bold red" if finding.alarming else "bold")
        console.print(finding.text, soft_wrap=True)
    if findings["copies"]["listed"]:
        console.print("\nPairs, with the correlation of their details", style="bold")
        console.print(tell_pairs(findings["copies"]), soft_wrap=True)


def counts(findings: dict[str, Any]) -> Table:
    """Images per class and split."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    splits = list(findings["counts"])
    table.add_column("class")
    for split in splits:
        table.add_column(split, justify="right")
    for name in findings["counts"][splits[0]]:
        table.add_row(name, *(str(findings["counts"][split][name]) for split in splits))
    table.add_row("all", *(str(sum(findings["counts"][split].values())) for split in splits), style="bold")
    return table


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


def shortened(lines: list[str], count: int | None = None) -> str:
    """The first lines, and how many more there are of ``count``."""
    count = len(lines) if count is None else count
    more = [f"and {count - SHOWN} more"] if count > SHOWN else []
    return "\n".join(lines[:SHOWN] + more)


def tell_pairs(copies: dict[str, Any]) -> str:
    """The first pairs of copies, a line each, and how many more there are."""
    lines = []
    for pair in copies["listed"]:
        first, second = (f"{pair[which]['name']} ({pair[which]['split']})" for which in ("first", "second"))
        lines.append(f"{first} = {second}   {describe(pair)}, {pair['similarity']:.3f}")
    return shortened(lines, copies["pairs"])
