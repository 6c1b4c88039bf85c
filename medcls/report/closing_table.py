"""The table that ends a run on the terminal."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from medcls.evaluation.constant import beats
from medcls.evaluation.interval import LEVEL, defined
from medcls.evaluation.metrics import METRICS, own_in, title_of
from medcls.runs.run import validation_images

MOST_CLASSES = 20  # whose counts and metrics are printed
CLASS_COLUMNS = ("auroc", "sensitivity")  # more do not fit 80 columns; metrics.json has them


def print_closing_table(metrics: Mapping[str, Any], folder: Path) -> None:
    """Print the metrics of metrics.json with their intervals, caveats, and the run's folder.

    metrics: the content of metrics.json; "test" may be missing, a value null or NaN.
    """
    # No markup: "[nan, nan]" or a bracket in a class name would be read as a style. Narrower than 80 columns rich cuts
    # numbers off, where the terminal itself only breaks the line.
    console = Console(markup=False, highlight=False, emoji=False)
    console.width = max(console.width, 80)
    console.print()
    console.print(_header(metrics), style="bold")
    for split in metrics.get("per_class", {}):
        console.print(_counts(metrics, split))
    if metrics["simulated"]:
        text = "SIMULATED DATA, drawn by a program: these metrics say nothing about patients."
        console.print(text, style="bold white on red")
    if metrics.get("notice"):
        console.print(metrics["notice"], style="bold red")
    console.print()
    console.print(_table(metrics))
    for split in metrics.get("per_class", {}) if len(metrics["classes"]) > 2 else ():
        console.print()
        console.print(_class_table(metrics, split))
    for remark in _doubts(metrics):
        console.print(f"\n{remark}", style="bold red")
    best = metrics["best"]["epoch"]
    optimistic = f"etrics of epoch {best} are optimistic: it was chosen on these images."
    if metrics.get("test_validates"):
        console.print(
            "\nThere is no validation split: the test images served as one, and no others are left for a test."
        )
        console.print(f"M{optimistic}")
    else:
        console.print(f"\nValidation m{optimistic}")
    if metrics.get("positive_guessed"):
        console.print(f"The positive class is {metrics['positive']}, the last one, since data.positive names none.")
    others = "patients" if metrics.get("n_val_patients") else "images"
    about = f"{LEVEL:.0%} intervals for other {others} drawn like these{_bootstrapped(metrics['best']['val'])}"
    console.print(f"In brackets: {about}.")
    for line in _without_interval(metrics):
        console.print(line)
    if metrics.get("medmnist"):
        official = metrics["medmnist"]
        console.print(f"MedMNIST's own evaluator, test: AUC {official['AUC']:.3f}, ACC {official['ACC']:.3f}.")
    # One line however long, so that it can be copied.
    console.print(f"{folder}", style="bold", soft_wrap=True)


def _doubts(metrics: Mapping[str, Any]) -> Iterator[str]:
    """That the net carries no information about the images, or none beyond the class shares; and what may help."""
    nothing, constant, best = metrics.get("says_nothing"), metrics.get("constant_loss"), metrics["best"]
    advice = "Try another lr, model.batch_norm=true or more epochs."
    if nothing:
        yield f"This net {nothing}: its metrics carry no information. {advice}"
    if constant is not None and not beats(best["val"]["loss"], constant):
        yield (
            f"Epoch {best['epoch']}, the best, is no better than a constant answer: loss {best['val']['loss']:.4f}, "
            f"that of answering the class shares {constant:.4f}.{'' if nothing else f' {advice}'}"
        )


def _header(metrics: Mapping[str, Any]) -> str:
    kind = "2 classes" if len(metrics["classes"]) == 2 else f"{len(metrics['classes'])} classes, macro averages"
    images = validation_images(metrics)
    return f"{metrics['model']} on {metrics['data']}: {metrics['n_val']} {images}, {kind}"


def _counts(metrics: Mapping[str, Any], split: str) -> str:
    """Numbers of images and patients of each class, of many classes the least and the most."""
    rows = metrics["per_class"][split]
    images = "test images" if split == "test" else validation_images(metrics)
    if len(rows) > MOST_CLASSES:
        of_class = [row["images"] for row in rows]
        return f"{images}: {min(of_class)} to {max(of_class)} of each of {len(rows)} classes"
    known = any(row["patients"] is not None for row in rows)
    shown = [f"{row['images']} {row['class']}" + (f" of {row['patients']} patients" if known else "") for row in rows]
    return f"{images}: {', '.join(shown)}"


def _columns(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    columns = {
        f"best epoch {metrics['best']['epoch']}": metrics["best"]["val"],
        f"last epoch {metrics['last']['epoch']}": metrics["last"]["val"],
    }
    return columns | ({"test (best epoch)": metrics["test"]} if metrics.get("test") is not None else {})


def _class_table(metrics: Mapping[str, Any], split: str) -> Table | str:
    """AUROC and sensitivity of each class; of many classes where they stand."""
    rows = metrics["per_class"][split]
    images = "test images" if split == "test" else validation_images(metrics)
    if len(rows) > MOST_CLASSES:
        return f"Metrics of each class on {images}: metrics.json, per_class."
    table = empty_table(f"class, {images}", "images", *(METRICS[name].title for name in CLASS_COLUMNS))
    for row in rows:
        table.add_row(row["class"], str(row["images"]), *(cell(row[name]) for name in CLASS_COLUMNS))
    return table


def empty_table(first: str, *columns: str) -> Table:
    """A table of names and of ``columns`` of numbers."""
    # Three columns of numbers leave 14 of 80 characters to the names, which wrap; the numbers never do.
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    table.add_column(first)
    for name in columns:
        table.add_column(name, no_wrap=True)
    return table


def _table(metrics: Mapping[str, Any]) -> Table:
    columns = _columns(metrics)
    table = empty_table("", *columns)
    for name in [*METRICS, *own_in(metrics["best"]["val"])]:
        table.add_row(row_name(name, metrics["positive"]), *(cell(scored[name]) for scored in columns.values()))
    table.add_row("loss", *(_number(scored["loss"]) for scored in columns.values()))
    return table


def row_name(name: str, positive: str | None) -> str:
    """What the row of a metric is called."""
    named = name in METRICS and METRICS[name].names_positive and positive is not None
    return f"{title_of(name)} ({positive})" if named else title_of(name)


def _without_interval(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Why metrics have no interval, those of one reason together."""
    reasons: dict[str, list[str]] = {}
    for scored in _columns(metrics).values():
        for name in [*METRICS, *own_in(metrics["best"]["val"])]:
            if (why := scored[name].get("why")) and title_of(name) not in reasons.setdefault(why, []):
                reasons[why].append(title_of(name))
    for row in (row for rows in metrics.get("per_class", {}).values() if len(rows) <= MOST_CLASSES for row in rows):
        for name in CLASS_COLUMNS:
            if why := row.get(name, {}).get("why"):
                reasons.setdefault(why, []).append(f"{title_of(name)} of {row['class']}")
    for why, titles in reasons.items():
        yield f"No interval of {', '.join(titles)}: {why}."


def _bootstrapped(scored: Mapping[str, Any]) -> str:
    """That the intervals of the user's own metrics are by a bootstrap, where there are some."""
    own = own_in(scored)
    resamples = {scored[name]["resamples"] for name in own}
    return (
        f" ({', '.join(map(title_of, own))}: {resamples.pop()} resamples of a bootstrap)" if len(resamples) == 1 else ""
    )


def cell(interval: Mapping[str, float | None]) -> str:
    """A value with its interval."""
    value, low, high = (_number(interval[key]) for key in ("value", "low", "high"))
    if value == "undefined" or low == "undefined":
        return value if value == "undefined" else f"{value} [no interval]"
    return f"{value} [{low}, {high}]"


def _number(value: float | None) -> str:
    return f"{value:.3f}" if defined(value) else "undefined"
