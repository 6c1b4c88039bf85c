"""The findings of an audit as tables on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from medcls.audit.wording import pairs_text, split_title, summary


def print_findings(findings: dict[str, Any]) -> None:
    """Print all findings, long lists shortened."""
    # No markup: brackets in a file name would be read as a style.
    console = Console(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, 80)
    console.print(f"\n{findings['data']}: {findings['images']} images in {findings['root']}\n", style="bold")
    console.print(counts(findings))
    for finding in summary(findings):
        console.print(f"\n{finding.heading}", style="bold red" if finding.alarming else "bold")
        console.print(finding.text, soft_wrap=True)
    if findings["copies"]["listed"]:
        console.print("\nPairs, with the correlation of their detail", style="bold")
        console.print(pairs_text(findings), soft_wrap=True)


def counts(findings: dict[str, Any]) -> Table:
    """Number of images per class and split."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    splits = list(findings["counts"])
    table.add_column("class")
    for split in splits:
        table.add_column(split_title(findings, split), justify="right")
    for name in findings["counts"][splits[0]]:
        table.add_row(name, *(str(findings["counts"][split][name]) for split in splits))
    table.add_row("all", *(str(sum(findings["counts"][split].values())) for split in splits), style="bold")
    return table
