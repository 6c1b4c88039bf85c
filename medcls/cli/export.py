"""medcls export: a trained net as one file that needs no medcls."""

from medcls.cli.of_runs import all_or_nothing, overrides_of, typed_config
from medcls.cli.page import Page
from medcls.cli.words import Words

PAGE = Page(
    about=(
        "Write trained nets as one file, for ONNX or for PyTorch alone.\n"
        "Pixels in, probabilities and the class out; threshold, temperature and names inside.\n"
        "Nothing is written unless the file reproduces the probabilities of the run."
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
        ("run=runs/<sweep> threshold.sensitivity=0.95", "all seeds together, at a threshold set by a rule"),
    ],
)


def run(given: Words) -> int:
    """Write the file; returns the exit status."""
    from medcls.export.schema import ConfigWithExport, check_keys

    config, keys = typed_config(overrides_of(given.others), "export", ConfigWithExport, check_keys)

    from medcls.export.command import export

    with all_or_nothing():
        export(config, keys)
    return 0
