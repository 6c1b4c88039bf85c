"""The section of a sweep's report that says how its numbers were computed."""

from medcls.document.blocks import Note, Section
from medcls.evaluation.interval import LEVEL
from medcls.sweep_report.design import Sweep
from medcls.sweep_report.verdicts import Verdicts


def methods(sweep: Sweep, verdicts: Verdicts) -> Section:
    """Tests with their sources, and where the numbers are in full."""
    pooled = " and pooled.csv one per cross-validation" if sweep.cross_validated else ""
    files = f"results.csv has one row per run{pooled}, with these numbers in full."
    texts = [_tests(verdicts, sweep.margin), files] if verdicts.made else [files]
    return Section("How this was computed", tuple(Note(text) for text in texts))


def _tests(verdicts: Verdicts, margin: float | None) -> str:
    pairings = [verdict.comparison.pairing for verdict in verdicts.made]
    texts = []
    if any(pairing.covers_seeds for pairing in pairings):
        texts.append(
            "Obuchowski-Rockette: the seeds of a variant are treated as a sample of seeds and the images as a sample "
            "of images (Obuchowski & Rockette, 1995; Hillis, 2014, for readers nested in tests), with covariances over "
            "images after DeLong et al. (1988) for AUROC, and of the images' correctness for accuracy. Where the seeds "
            "happen to differ so little that an interval would be narrower than one over images alone for these very "
            "nets, the latter is used."
        )
    # The shares are those of benchmarks/aa_nets.py, 200 pairs.
    if any(pairing.covers_seeds and min(len(pairing.a), len(pairing.b)) == 2 for pairing in pairings):
        texts.append(
            "Two seeds are few: of identical variants of small nets, trained on simulated images, 11% were declared "
            "different with two seeds each, 6% with three."
        )
    if not all(pairing.covers_seeds for pairing in pairings):
        texts.append(
            "One seed each: the test of DeLong et al. (1988) for AUROC, McNemar's for accuracy. It tells two nets "
            "apart, not two variants: of small nets that differed in their seed alone, trained on simulated images, "
            "62% of the pairs were declared different."
        )
    if any(pairing.by_patient for pairing in pairings):
        texts.append(
            "Patients as clusters: influences of a patient's images on a metric are summed before variances are taken "
            "(Obuchowski, 1997, for AUROC; Rao & Scott, 1992, for accuracy, with a normal approximation in place of "
            "McNemar's test)."
        )
    texts.append(
        "Each interval and p-value is the more conservative of this method's and that of limits recovered from those "
        "of each net (MOVER: Zou & Donner, 2008), which are valid near 1 too."
    )
    if margin is not None:
        texts.append(
            f"Equivalent: two one-sided tests at 5 % place the difference within {margin:g} (Schuirmann, 1987), a "
            "margin that was specified before the runs."
        )
    texts.append(
        f"A difference is called shown when its p-value, adjusted for the {verdicts.n_tests} tests of this report "
        f"(Holm, 1979), is below {1 - LEVEL:.2f}; intervals hold for one comparison at a time. That no difference is "
        "shown does not mean that there is none: see the smallest difference that the design could have shown."
    )
    return " ".join(texts)
