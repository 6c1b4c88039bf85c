"""Run a grid of jobs and report on them: python sweep.py model=vgg16 data=bone lr=1e-3,1e-4 seed=0,1,2.

python sweep.py experiment=task2_bone [key=value ...]   a sweep of conf/experiment; the same line again goes on with it
python sweep.py ... data.split.folds=5                  every fold of a cross-validation, pooled in the report
python sweep.py ... hydra/launcher=joblib               several jobs at a time; also submitit_local, submitit_slurm, ray
python sweep.py report=<folder>                         only the report, on any folder of runs

Keys are those of train.py (conf/config.yaml); comma-separated values are run in every combination.
"""

import argparse
import logging
import sys

from hydra import initialize_config_dir

from medcls.command import CONF, readable_errors, telling_mistakes
from medcls.config.run_name import register_resolvers
from medcls.process import tune_process


def main() -> int:
    """Exit status: 0 all done, 1 a job failed, 2 a mistake in the command, 128 + signal when stopped by one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    arguments = parser.parse_args().overrides
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    with initialize_config_dir(str(CONF), job_name="sweep", version_base="1.3"):
        from medcls.sweep.run_sweep import sweep  # PyTorch takes seconds to import: not for --help

        return sweep(arguments)


if __name__ == "__main__":
    tune_process()
    register_resolvers()
    with readable_errors(), telling_mistakes():
        sys.exit(main())
