"""medcls export: a trained net as one file that needs no medcls."""

import logging
import sys

from medcls.cli.page import Page
from medcls.cli.predict import overrides_of
from medcls.cli.words import Words

PAGE = Page(
    about=(
        "Write trained nets as one file, for ONNX or for PyTorch alone.\n"
        "Pixels in, probabilities and the class out; threshold, temperature and names inside.\n"
        "Nothing is written unless the file gives the probabilities of the run."
    ),
    config="export",
    words="run=<run> [key=value ...]",
    keys=(
        *("run", "variant", "format", "output", "threshold.sensitivity", "threshold.specificity", "threshold.rule"),
        *("threshold.cost", "threshold.value", "threshold.prevalence", "allow"),
    ),
    examples=[
        ("run=runs/<run>", "an ONNX file below runs/"),
        ("run=runs/<run> format=torch output=net.pt2", "a program of torch.export"),
        ("run=runs/<sweep> threshold.sensitivity=0.95", "all seeds of a sweep together, at a threshold by rule"),
    ],
)


def run(given: Words) -> int:
    """Write the file; returns the exit status."""
    from medcls.composition.compose import checked
    from medcls.export.schema import ConfigWithExport, check_keys

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    overrides = overrides_of(given.others)
    config = checked(ConfigWithExport, "export", overrides, "export")
    keys = check_keys(overrides)

    from medcls.export.command import export

    export(config, keys)
    return 0
