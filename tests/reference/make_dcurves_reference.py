"""Write ``dcurves.csv``: the net benefit that dcurves computes, of a net and of treating all.

    pip install dcurves==1.1.7
    python tests/reference/make_dcurves_reference.py

dcurves needs lifelines and what that needs, too much to install for every test. Columns of the file: prevalence (that
of the images where empty), threshold, net, treat_all. The images are those of ``images`` below, which the test imports.
"""

import csv
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("dcurves.csv")
THRESHOLDS = np.arange(1, 100) / 100


def images():
    """Labels (200,) and probabilities (200,), overconfident, of two decimals and so with ties at thresholds."""
    rng = np.random.default_rng(5)
    labels = (rng.random(200) < 0.3).astype(int)
    return labels, (1 / (1 + np.exp(-2 * rng.normal(labels * 1.5 - 1, 1)))).round(2)


def main():
    """Write the file."""
    import pandas as pd
    from dcurves import dca

    labels, p = images()
    rows = []
    for prevalence in (None, 0.05, 0.6):
        frame = pd.DataFrame({"outcome": labels, "net": p})
        # At a stated prevalence dcurves counts true positives among the positive images, and weights them.
        found = dca(frame, "outcome", ["net"], thresholds=list(THRESHOLDS), prevalence=prevalence)
        by = {name: of.set_index("threshold")["net_benefit"] for name, of in found.groupby("model")}
        for at in THRESHOLDS:
            rows.append([prevalence or "", at, repr(float(by["net"][at])), repr(float(by["all"][at]))])
    with FILE.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([["prevalence", "threshold", "net", "treat_all"], *rows])


if __name__ == "__main__":
    main()
