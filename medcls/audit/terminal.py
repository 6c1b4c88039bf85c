"""The findings of an audit as tables on the terminal."""

from typing import Any

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
    for title, text in summary(findings):
        console.print(f"\n{title}", style="bold")
        console.print(text, soft_wrap=True)
    if findings["copies"]["listed"]:
        console.print()
        console.print(pairs(findings["copies"]["listed"]))
        more = findings["copies"]["pairs"] - SHOWN
        if more > 0:
            console.print(f"and {more} more pairs")


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


def summary(findings: dict[str, Any]) -> list[tuple[str, str]]:
    """Heading and text of each finding."""
    files, copies, leaks, patients = (findings[name] for name in ("files", "copies", "leaks", "patients"))
    sizes = ", ".join(f"{size} ({number})" for size, number in files["sizes"].items())
    kinds = [f"{name or 'unknown'} ({n})" for part in ("formats", "modes") for name, n in files[part].items()]
    told = [("Files", f"{', '.join(kinds)}\n{sizes}{', ...' if files['n_sizes'] > len(files['sizes']) else ''}")]
    if findings["unreadable"]:
        told.append(("Unreadable", shortened([f"{n}   {why}" for n, why in findings["unreadable"].items()])))
    if findings["flat"]:
        told.append(("Of one gray", shortened(findings["flat"])))
    told.append(
        (
            "Copies",
            f"{copies['pairs']} pairs of images show the same picture, {copies['across_splits']} across splits, "
            f"{copies['conflicting']} with different classes{tell_unaligned(copies['unaligned'])}",
        )
    )
    told.append(("Patients", tell_patients(patients)))
    told.append(("Shortcuts", tell_shortcuts(findings["shortcut"])))
    told.append(
        (
            "Leaks",
            f"{len(leaks['training'])} training images are also in validation or test ({leaks['by_copy']} as copies, "
            f"{leaks['by_patient']} by their patients); {leaks['validation_in_test']} of validation are also in test",
        )
    )
    return told


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


def tell_shortcuts(shortcut: dict[str, Any] | None) -> str:
    """How well the files alone tell the class."""
    if shortcut is None:
        return "not looked for: too few images of a class"
    if shortcut["suspicious"]:
        return tell_shortcut(shortcut)
    value, low, high = (shortcut["auroc"][name] for name in ("value", "low", "high"))
    return f"none: from size, format and brightness alone AUROC {value:.2f} [{low:.2f}, {high:.2f}]"


def shortened(lines: list[str]) -> str:
    """The first lines, and how many more there are."""
    more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return "\n".join(lines[:SHOWN] + more)


def pairs(listed: list[dict[str, Any]]) -> Table:
    """The first pairs of copies."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    for name in ("image", "copy", "how", "similarity"):
        table.add_column(name, overflow="fold")
    for pair in listed[:SHOWN]:
        names = (f"{pair[which]['name']} ({pair[which]['split']})" for which in ("first", "second"))
        table.add_row(*names, describe(pair), f"{pair['similarity']:.3f}")
    return table
