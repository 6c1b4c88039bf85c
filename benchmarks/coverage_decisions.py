"""Do the intervals of probabilities and decisions cover the truth 95 times in 100? Nets whose true values are known.

python benchmarks/coverage_decisions.py [simulations] [images|patients|uneven ...] [--seed 1]

Nets of normal scores as in coverage.py, whose log-odds are twice as large as they should be and shifted by 0.3, so that
probabilities are out of calibration: slope 0.5. The threshold of PPV and NPV, at a prevalence of 10 %, is fixed before;
that of the sensitivity at a specificity of 0.9 is estimated from the same images; "at a threshold from validation"
fixes it on another sample of the same size, and covers the sensitivity that this threshold truly has.
"""

import argparse
import time
from collections.abc import Iterable, Iterator

import numpy as np
from coverage import (
    AUROCS,
    PREVALENCES,
    SIZES,
    Cell,
    noise,
    note,
    numbered,
    patients_of,
    predictions,
    show,
    show_missing,
)
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.metrics import average_precision_score, brier_score_loss

from medcls.config.schema import ThresholdConfig
from medcls.decision.at_threshold import at_threshold
from medcls.decision.quality import calibration, quality
from medcls.decision.temperature import fit_temperature
from medcls.decision.threshold import choose_threshold
from medcls.runs.predictions import Predictions

N = (60, 96, 200, 1000)
PARTS = ["images", "patients", "uneven"]
SLOPE, SHIFT, LARGE, AT = 2.0, 0.3, 400_000, 0.1  # of log-odds; images that a truth is computed on; prevalence
RULE = dict.fromkeys(ThresholdConfig.model_fields) | {"specificity": 0.9}


def draw(n: int | str, prevalence: float, area: float, rng: np.random.Generator, *, clustered: bool) -> Predictions:
    """Images of patients of one class, with overconfident probabilities."""
    patient, shift = patients_of(n, clustered, rng), np.sqrt(2) * norm.ppf(area)
    positive = (rng.random(patient[-1] + 1) < prevalence)[patient]
    score = noise(patient, rng) + shift * positive
    odds = shift * score - shift**2 / 2 + logit(prevalence)
    p = expit(SLOPE * odds + SHIFT)
    return predictions(positive.astype(int), np.stack([1 - p, p], 1), patient)


def score_at(p: float, prevalence: float, area: float) -> float:
    """The score of an image with probability ``p``."""
    shift = np.sqrt(2) * norm.ppf(area)
    return float(((logit(p) - SHIFT) / SLOPE + shift**2 / 2 - logit(prevalence)) / shift)


def truths(prevalence: float, area: float, seed: int) -> tuple[dict[str, float], float]:
    """True values by name, and the probability at which sensitivity and specificity are alike."""
    shift = np.sqrt(2) * norm.ppf(area)
    right, odds = norm.cdf(shift / 2), AT / (1 - AT)
    large = draw(LARGE, prevalence, area, np.random.default_rng([seed, 7]), clustered=False)
    middle = float(expit(SLOPE * logit(prevalence) + SHIFT))
    return {
        "ppv": float(right * odds / (right * odds + 1 - right)),
        "npv": float(right / (right + (1 - right) * odds)),
        "sensitivity_at_specificity": float(norm.cdf(shift - norm.ppf(0.9))),
        "average_precision": float(average_precision_score(large.labels, large.probabilities[:, 1])),
        "brier": float(brier_score_loss(large.labels, large.probabilities[:, 1])),
        "calibration_slope": 1 / SLOPE,
        "calibration_intercept": calibration(large)[1].value,
        "temperature": fit_temperature(large).value or np.nan,
    }, middle


def cells(situation: str, sims: int, seed: int, *, clustered: bool, sizes: Iterable[int | str] = N) -> Iterator[Cell]:
    """The grid."""
    for prevalence in PREVALENCES:
        for area in AUROCS:
            truth, middle = truths(prevalence, area, seed)
            names = [*truth, "at a threshold from validation"]
            for n in sizes:
                start, called = numbered(n)
                rng = np.random.default_rng([seed, start, int(prevalence * 100), int(area * 1000)])
                of = {name: Cell(situation, name, f"{called}, {prevalence:.0%}, AUROC {area}") for name in names}
                for _ in range(sims):
                    one = draw(n, prevalence, area, rng, clustered=clustered)
                    predicted = (one.probabilities[:, 1] >= middle).astype(int)
                    for name, found in quality(one, predicted, AT).items():
                        note(of[name], (found.low, found.high), truth[name], found.why)
                    fit = fit_temperature(one)
                    limits = (np.nan, np.nan) if fit.low is None or fit.high is None else (fit.low, fit.high)
                    why = fit.why or "fewer than five patients"
                    note(of["temperature"], limits, truth["temperature"], why)
                    note_fixed(
                        of[names[-1]], draw(n, prevalence, area, rng, clustered=clustered), one, prevalence, area
                    )
                yield from of.values()


def note_fixed(cell: Cell, validation: Predictions, test: Predictions, prevalence: float, area: float) -> None:
    """The sensitivity on ``test`` at the threshold that a rule takes on ``validation``."""
    threshold = choose_threshold(validation, ThresholdConfig.model_validate(RULE))
    if threshold.value is None:
        return note(cell, (np.nan, np.nan), np.nan, threshold.why)
    shift = np.sqrt(2) * norm.ppf(area)
    found = at_threshold(test, threshold.decide(test.probabilities, 1), None)["sensitivity"]
    true = float(norm.cdf(shift - score_at(threshold.value, prevalence, area)))
    return note(cell, (found.low, found.high), true, found.why)


def main() -> None:
    """Print a table for each part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("simulations", nargs="?", type=int, default=100)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=PARTS)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    for name in given.parts:
        start, sizes = time.time(), SIZES if name == "uneven" else N
        found = list(cells(name, given.simulations, given.seed, clustered=name != "images", sizes=sizes))
        print(f"\n{name}: {given.simulations} simulations a cell, seed {given.seed}, {time.time() - start:.0f} s\n")
        print("| value | cells | lowest coverage | median | highest | below 0.93, surely | median width | before |")
        print("|---|---|---|---|---|---|---|---|")
        show(found)
        print("\nWithout an interval (share of the simulations):")
        show_missing(found)


if __name__ == "__main__":
    main()
