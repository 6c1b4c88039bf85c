"""A column of your own in the report of a sweep.

python sweep.py model=lenet data=bone lr=1e-3,1e-4 'columns=[{_target_: mycolumns.epochs_after_best}]'
python sweep.py report=runs/<sweep> 'columns=[{_target_: mycolumns.epochs_after_best}]'
"""

from medcls.runs.run import Run


def epochs_after_best(run: Run) -> float:
    """Epochs that a run trained on after its best one."""
    return len(run.history) - run.metrics["best"]["epoch"]
