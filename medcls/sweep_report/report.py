"""The report of a sweep: report.md, report.html, results.csv, pictures, from run folders alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from medcls.config.targets import Target
from medcls.document.paper_tables import write_tables
from medcls.report.run_pictures import draw_run
from medcls.sweep_report.answers import head_of, on_terminal
from medcls.sweep_report.crossvalidation import cross_validate, write_pooled
from medcls.sweep_report.design import read_sweep
from medcls.sweep_report.own_columns import own_columns
from medcls.sweep_report.ranking import rank
from medcls.sweep_report.render import page_of, write_document
from medcls.sweep_report.results_csv import write_results
from medcls.sweep_report.sections import build_sections
from medcls.sweep_report.verdicts import judge


class Report(NamedTuple):
    """Where report.html is, and what it answers, as at most ten lines for the terminal."""

    page: Path
    answers: list[str]


def write_report(folder: Path, columns: Sequence[Target] = ()) -> Report:
    """Report on the runs in ``folder``, which gets report.md, report.html, results.csv, pictures/ and tables/.

    Pictures are there as PNG, SVG and PDF, the tables of the report as CSV and LaTeX. Also pooled.csv where the runs
    are folds of cross-validations, which count as one then; of a single run, its own pictures and what its
    probabilities and its threshold are worth. columns: functions of the user's own (see ``own_columns``); what the
    folder itself names is never run.

    Uses sweep.json where there is one, else the variants that the configurations of the runs differ in. Runs that
    failed, were stopped or left damaged files are listed as such.
    Raises UserError when there is no run, sweep.json is damaged, one of ``columns`` fails, or the disk is full.
    """
    sweep = read_sweep(folder)
    own = own_columns(sweep, columns)
    verdicts = judge(sweep)
    validated = cross_validate(sweep, verdicts.split)
    write_results(sweep, own)
    write_pooled(sweep, validated)
    ranking = rank(sweep, verdicts)
    head = head_of(sweep, verdicts, ranking, validated)
    (folder / "pictures").mkdir(exist_ok=True)
    sections = build_sections(sweep, verdicts, ranking, validated, own)
    if sweep.runs[0].folder == folder and sweep.runs[0].done:  # the report of one run
        from medcls.decision.section import decisions  # logistic regressions, which take a second to import
        from medcls.subgroups.shown import subgroups_section

        run = sweep.runs[0]
        draw_run(run.metrics, run.predictions, run.history, folder / "pictures", vector=True)
        sections.insert(0, decisions(run))
        if found := subgroups_section(run):
            sections.insert(1, found)
    write_tables(sections, folder / "tables")
    page = write_document(folder, page_of(sweep, head), sections)
    return Report(page, on_terminal(sweep, head))
