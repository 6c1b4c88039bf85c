"""medcls sweep: many runs that answer one question, and their report."""

import logging

from medcls.cli.page import Page
from medcls.cli.train import PAGE as TRAIN
from medcls.cli.words import Words
from medcls.conf_folder import CONF

OF_A_SINGLE_RUN = ("resume", "hydra.run.dir")
SWEEP = ("sweep.compare", "sweep.metric", "sweep.margin", "sweep.jobs")
PAGE = Page(
    about=(
        "Run many jobs that answer one question, and report on them.\n"
        "Comma-separated values are run in every combination. Re-run the same command to\n"
        "resume what was interrupted and retry what failed; what is finished is skipped."
    ),
    keys=(*(key for key in TRAIN.keys if key not in OF_A_SINGLE_RUN), "experiment", *SWEEP, "hydra.sweep.dir"),
    examples=[
        ("model=vgg16 data=bone lr=1e-4,1e-5 model.n_base=8,16 seed=0,1,2", "a grid, three seeds each"),
        ("experiment=task2_bone epochs=3", "a sweep of conf/experiment, shorter"),
        ("model=lenet,alexnet data.split.folds=5", "every fold of a cross-validation, pooled in the report"),
        ("... sweep.jobs=2", "two jobs at a time; on clusters: hydra/launcher=submitit_slurm or ray"),
        ("report=<folder>", "only the report, on any folder of runs; several, with commas between, side by side"),
    ],
)


def run(given: Words) -> int:
    """Exit status: 0 all done, 1 a job failed. Raises UserError for a mistake, Stopped when stopped by a signal."""
    if any(word.startswith("report=") for word in given.others):
        from medcls.cli.report import run as report

        return report(given)
    from hydra import initialize_config_dir

    from medcls.composition.compose import VERSION, prepare_hydra, readable_composition

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    prepare_hydra()
    with readable_composition(given.others), initialize_config_dir(str(CONF), job_name="sweep", version_base=VERSION):
        from medcls.sweep.run_sweep import sweep

        return sweep(given.others)
