"""Answers from folders that other commands left on the very nets: images from elsewhere, maps, edited images."""

from medcls.evaluation.metrics import METRICS, title_of
from medcls.report.closing_table import cell
from medcls.sheet.record import Fact, Record
from medcls.sheet.result_facts import has_interval


def external(record: Record) -> Fact | None:
    """Its performance on images from elsewhere."""
    if not record.external:
        return None
    texts = []
    for one in record.external:
        metrics, side = one.metrics, one.metrics["external"]
        patients = f" of {side['n_patients']} patients" if side["n_patients"] else ""
        shown = "; ".join(f"{title_of(name)} {cell(side[name])}" for name in METRICS if has_interval(side, name))
        notice = f" {metrics['notice']}." if metrics["notice"] else " No training image or patient is among them."
        texts.append(f"{metrics['data']}, {side['n']} images{patients}: {shown}.{notice}")
    return Fact(" ".join(texts), tuple(f"{one.name}/metrics.json" for one in record.external))


def unlike(record: Record) -> Fact | None:
    """How many external images are out of the ordinary for the net."""
    if not record.external:
        return None
    texts = []
    for one in record.external:
        odd = ", ".join(f"{count} {remark}" for remark, count in one.summary["out_of_range"].items()) or "none"
        texts.append(
            f"{one.metrics['data']}: of {one.summary['images']} images {len(one.summary['unreadable'])} could not be "
            f"read; out of the ordinary: {odd}."
        )
    return Fact(" ".join(texts), tuple(f"{one.name}/summary.json" for one in record.external))


def explained(record: Record) -> Fact | None:
    """Maps of where the net looks, and whether they pass their checks."""
    if record.maps is None:
        return None
    maps = record.maps
    failed = [check["text"] for check in maps["checks"] if check["failed"]]
    worth = (
        f"They say nothing about this net: {'; '.join(failed)}."
        if failed
        else f"They pass {len(maps['checks'])} checks."
    )
    return Fact(
        f"{maps['method']} maps of {len(maps['images'])} images. {worth}", (f"{record.maps_name}/explain.json",)
    )


def robust(record: Record) -> Fact | None:
    """From which grade of noise, blur, contrast, compression and rotation on metrics are shown to fall."""
    if record.robustness is None:
        return None
    return Fact(record.robustness["answer"], (f"{record.robustness_name}/robustness.json",))
