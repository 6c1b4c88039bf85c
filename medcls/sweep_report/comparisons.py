"""The sections of a sweep's report on its comparisons: what was tested as a table, everything in words."""

import math

from medcls.document.blocks import Block, Item, Items, Note, Section, Table, Text
from medcls.evaluation.metrics import title_of
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.ranking import show_difference
from medcls.sweep_report.verdicts import Verdict, Verdicts, describe, images_of, scope, show_p

_NOTHING = "Nothing is compared: there is one variant, or no comparison was asked for."


def tests_section(sweep: Sweep, verdicts: Verdicts) -> Section | None:
    """What is tested, one row per comparison: the family that p-values are adjusted for."""
    if not verdicts.made:
        return None
    effects = any(verdict.pair.key for verdict in verdicts.made)
    doubted = any(verdict.n_silent for verdict in verdicts.made)
    columns = ("comparison", f"difference in {title_of(sweep.metric)} [95% interval]", "adjusted p", "verdict")
    rows = [(*_row(v), *([f"{v.n_silent} of {v.n_nets}"] if doubted else [])) for v in verdicts.made]
    blocks: list[Block] = [Table((*columns, "nets that say nothing") if doubted else columns, tuple(rows))]
    over = "Each value of a setting vs. the setting's first, averaged over all others. " if effects else ""
    blocks.append(Note(f"{over}{_family(sweep, verdicts)}"))
    return Section("Main effects" if effects else "Tests", tuple(blocks))


def _row(verdict: Verdict) -> tuple[str, ...]:
    p = verdict.comparison.adjusted
    shown = show_p(p) if math.isfinite(p) else "\N{EN DASH}"
    return f"{verdict.b} vs. {verdict.a}", show_difference(verdict), shown, verdict.word


def _family(sweep: Sweep, verdicts: Verdicts) -> str:
    n = verdicts.n_tests
    adjusted = f"p-values are adjusted for these {n} tests (Holm, 1979), intervals are not." if n > 1 else ""
    margin = f" {_margin(sweep.margin, verdicts)}" if sweep.margin else ""
    return f"{adjusted or 'One test, so nothing is adjusted.'}{margin}"


def _margin(margin: float, verdicts: Verdicts) -> str:
    """The margin, and how often designs like these find equal variants equivalent."""
    designs = [verdict.comparison.design for verdict in verdicts.made if verdict.comparison.design]
    found = [design.power_of_equivalence(margin) for design in designs]
    text = f"Equivalence margin: {margin:g}, specified beforehand."
    if not found:
        return text
    often = (
        f"{min(found):.0%}" if f"{min(found):.0%}" == f"{max(found):.0%}" else f"{min(found):.0%} to {max(found):.0%}"
    )
    return f"{text} Of variants without any difference, a design like this finds about {often} equivalent."


def in_words_section(sweep: Sweep, verdicts: Verdicts) -> Section:
    """Every comparison in words: what was tested, then what only describes."""
    blocks: list[Block] = []
    if verdicts.made:
        scopes = {scope(verdict.comparison) for verdict in verdicts.made}
        said = scopes.pop() if len(scopes) == 1 else ""
        images = images_of(sweep, verdicts.split) + (", compared within folds" if sweep.cross_validated else "")
        blocks.append(Text(f"Nets of the best epoch, on {images}. {said}".strip()))
        blocks.append(Items(tuple(describe(verdict, scope_said=bool(said)) for verdict in verdicts.made)))
    elif not verdicts.impossible:
        blocks.append(Text(_NOTHING))
    if verdicts.impossible:
        items = [Item(f"{of.b} vs. {of.a}", "not compared", f"{why}.") for of, why in verdicts.impossible]
        blocks.append(Items(tuple(items)))
    if verdicts.described:
        blocks.append(Text("Not tested: other metrics and pairs; their p-values are not adjusted."))
        items = [describe(verdict, scope_said=True, tested=False) for verdict in verdicts.described]
        blocks.append(Items(tuple(items)))
    if sweep.remark:
        blocks.append(Note(sweep.remark))
    return Section("Comparisons in words", tuple(blocks))
