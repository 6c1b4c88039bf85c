"""The report of a sweep: report.md, report.html, results.csv, pictures, from run folders alone."""

from pathlib import Path

from medcls.report.sweep.crossvalidation import cross_validate, write_pooled
from medcls.report.sweep.design import read_sweep
from medcls.report.sweep.render import write_document
from medcls.report.sweep.results import write_results
from medcls.report.sweep.sections import build_sections
from medcls.report.sweep.verdicts import judge


def write_report(folder: Path) -> Path:
    """Report on the runs in ``folder``, which gets report.md, report.html, results.csv and pictures/.

    Also pooled.csv where the runs are folds of cross-validations, which count as one then.

    Uses sweep.json where there is one, else the variants that the configurations of the runs differ in. Runs that
    failed, were stopped or left damaged files are listed as such. Returns the path of report.html.
    Raises UserError when there is no run, sweep.json is damaged, or the disk is full.
    """
    sweep = read_sweep(folder)
    (folder / "pictures").mkdir(exist_ok=True)
    validated = cross_validate(sweep)
    write_results(sweep)
    write_pooled(sweep, validated)
    return write_document(sweep, build_sections(sweep, judge(sweep), validated))


__all__ = ["write_report"]
