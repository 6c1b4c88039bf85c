"""Results of runs and sweeps as plain lists and mappings; ``pandas.DataFrame(rows)`` takes each table as it is."""

from pathlib import Path
from typing import Any

from medcls.errors import UserError
from medcls.runs.folder import RunFolder
from medcls.runs.predictions import prediction_rows as rows_of
from medcls.runs.run import Run, read_config, seed_and_fold
from medcls.runs.run import read_run as read_any_run
from medcls.sweep.sweep_folder import flat


def read_run(folder: Path | str) -> Run:
    """The run in ``folder``, in whatever state it is.

    ``state``: "done", "stopped", "failed" or "running", and ``reason`` why; ``history``: one row per epoch;
    ``metrics``: the content of metrics.json; ``predictions``: names, labels and probabilities of the best epoch by
    split; ``values``: every key of its configuration. Raises UserError when the folder is not that of a run.

    >>> import medcls
    >>> config = medcls.compose(
    ...     "model=lenet", "data=bone", "logger=none", model__n_base=2, image_size=32, lr=1e-3, epochs=2,
    ...     data__simulated__counts={"train": [8, 8], "val": [4, 4]}, trainer__accelerator="cpu",
    ... )
    >>> _ = medcls.train(config, "runs/read", show=False)
    >>> run = medcls.read_run("runs/read")
    >>> [row["epoch"] for row in run.history], run.values["model.n_base"]
    ([1.0, 2.0], 2)
    >>> run.predictions["val"].probabilities.shape
    (8, 2)
    """
    folder = Path(folder)
    config = read_config(folder)
    if config is None:
        raise UserError(
            f"{folder}: not a run folder (no config.yaml that can be read).\n  Name the folder of a run, such as one "
            "below runs/; of a sweep: medcls.read_sweep(folder)."
        )
    seed, fold = seed_and_fold(config, RunFolder(folder).config)
    return read_any_run(folder, folder.name, folder.name, seed, dict(flat(config)), fold)


def prediction_rows(run: Run) -> list[dict[str, Any]]:
    """One row per validation and test image of a finished run, by the net of its best epoch.

    Columns: sample, split, label, group where patients are known, and p_<class> in [0, 1] for each class.

    >>> import medcls
    >>> config = medcls.compose(
    ...     "model=lenet", "data=bone", "logger=none", model__n_base=2, image_size=32, epochs=1,
    ...     data__simulated__counts={"train": [8, 8], "val": [4, 4]}, trainer__accelerator="cpu",
    ... )
    >>> rows = medcls.prediction_rows(medcls.train(config, "runs/rows", show=False))
    >>> len(rows), list(rows[0])
    (8, ['sample', 'split', 'label', 'p_atypical fracture', 'p_normal fracture'])
    """
    return rows_of(run.metrics["classes"], run.predictions) if run.predictions else []


def read_sweep(folder: Path | str) -> list[dict[str, Any]]:
    """One row per run of a sweep, or of the runs below any folder, by variant, seed and fold.

    Columns: those of results.csv, the varied keys with their values; None where a run has no value. ``run`` is
    its folder below ``folder``. Raises UserError when there is no run.

    >>> import medcls
    >>> for n_base in (2, 4):
    ...     config = medcls.compose(
    ...         "model=lenet", "data=bone", "logger=none", model__n_base=n_base, image_size=32, epochs=1,
    ...         data__simulated__counts={"train": [8, 8], "val": [4, 4]}, trainer__accelerator="cpu",
    ...     )
    ...     _ = medcls.train(config, f"runs/widths/{n_base}", show=False)
    >>> [(row["model.n_base"], row["state"], row["parameters"]) for row in medcls.read_sweep("runs/widths")]
    [(2, 'done', 1129), (4, 'done', 4449)]
    """
    from medcls.sweep_report.design import read_sweep as read  # scipy takes seconds to import
    from medcls.sweep_report.results_csv import result_rows

    sweep = read(Path(folder))
    rows = zip(result_rows(sweep), sweep.runs, strict=True)
    return [{key: None if cell == "" else cell for key, cell in row.items()} | dict(run.values) for row, run in rows]


def compare_runs(a: Run, b: Run, split: str = "val") -> list[dict[str, Any]]:
    """AUROC and accuracy of two finished runs on the images of a split, and whether they differ.

    One row per metric: its value of ``a`` and ``b``, ``difference`` (b - a) with its 95 % interval ``low`` to ``high``,
    ``p`` after Holm over the rows, the name of the test, and a remark that says why there is none, or that both judged
    only some of the images.
    Over images, or patients where these are known; what other seeds would have given, two runs cannot tell: sweep over
    at least three seeds for that.
    Raises UserError for runs that cannot be compared.

    >>> import medcls
    >>> runs = []
    >>> for n_base in (2, 4):
    ...     config = medcls.compose(
    ...         "model=lenet", "data=bone", "logger=none", model__n_base=n_base, image_size=32, epochs=1, lr=1e-2,
    ...         data__simulated__counts={"train": [8, 8], "val": [20, 20]}, trainer__accelerator="cpu",
    ...     )
    ...     runs.append(medcls.train(config, f"runs/compared/{n_base}", show=False))
    >>> [(row["metric"], row["low"] <= row["difference"] <= row["high"]) for row in medcls.compare_runs(*runs)]
    [('auroc', True), ('accuracy', True)]
    """
    from medcls.evaluation.compare import adjust, compare
    from medcls.sweep_report.changed_images import other_images

    for run in (a, b):
        if split not in run.predictions:
            why = f"has predictions of {', '.join(run.predictions)}" if run.done else f"is not done: {run.reason}"
            raise UserError(f"{run.folder}: no predictions of split {split!r}; the run {why}.")
    if why := other_images((a, b)):
        raise UserError(f"{a.folder} and {b.folder} cannot be compared image by image. {why}")
    try:
        found = adjust(compare({a.seed: a.predictions[split]}, {b.seed: b.predictions[split]}))
    except ValueError as error:
        raise UserError(f"{a.folder} and {b.folder} cannot be compared: {error}.") from error
    return [
        {
            "metric": one.metric,
            "a": one.a,
            "b": one.b,
            "difference": one.difference,
            "low": one.low,
            "high": one.high,
            "p": one.adjusted,
            "method": one.method,
            "remark": " ".join(filter(None, [one.why, one.pairing.remark])),
        }
        for one in found
    ]
