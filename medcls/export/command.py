"""From trained nets to the file that is handed over: written only once it gives what the nets give."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from medcls.atomic import write_bytes
from medcls.decision.of_run import decision_of
from medcls.decision.temperature import Temperature, fit_temperature
from medcls.errors import UserError
from medcls.export.formats import FORMATS, traced
from medcls.export.graph import Graph
from medcls.export.parity import check_parity, expected, images_to_compare
from medcls.export.schema import ConfigWithExport
from medcls.predict.deciding import Deciding, deciding, validation_of
from medcls.predict.nets import Ensemble, Net, find_nets
from medcls.predict.new_folder import output_path
from medcls.quoting import typed

log = logging.getLogger(__name__)


def export(config: ConfigWithExport, given: Collection[str]) -> Path:
    """Write the file and return its path; given: keys of the command.

    Raises UserError for a mistake of the user's, a net that cannot be exported, and a file that would not give the
    nets' probabilities; nothing is written then.
    """
    form = FORMATS[config.format]
    form.check()
    ensemble = find_nets(config.run, config.variant, {*config.own_code, *config.allow})
    path = output_path(config.output, f"{ensemble.title}{form.ending}", config.data, ensemble.runs)
    check_output(path, form.ending, config.format)
    how = deciding(ensemble, config.threshold, given, calibrate=False)
    graph = Graph(ensemble, how.threshold.value, temperature_of(ensemble))
    images = images_to_compare(ensemble, config.data.max_pixels)
    size, channels, _ = ensemble.how
    program = traced(graph, (size, size, channels))
    content = form.content(graph, program, metadata_of(ensemble, how, graph))
    wanted = expected(ensemble, how, graph, images.pixels)
    largest = check_parity(form.run(graph, content, images.pixels), wanted, how, images.which)
    path.parent.mkdir(parents=True, exist_ok=True)
    check_output(path, form.ending, config.format)  # again: another process may have written it meanwhile
    write_bytes(path, content)
    log.info("probabilities differ from the run's by at most %.1g on %s", largest, images.which)
    if ensemble.simulated:
        log.warning("SIMULATED: a net was trained on simulated images; its probabilities say nothing about patients.")
    log.info("%s", path)
    return path


def check_output(path: Path, ending: str, form: str) -> None:
    """Raise UserError for a file that exists, or whose ending says another format."""
    if path.suffix != ending:
        raise UserError(f"output: found {path}, expected a file ending in {ending} (format={form}).")
    if path.exists():
        another = typed("output", str(path.with_stem(f"{path.stem}_2")))
        raise UserError(f"output: {path} exists. Remove it, or name another: {another}")


def temperature_of(ensemble: Ensemble) -> Temperature | None:
    """The temperature that the runs' validation images give; None, with a reason in the log, where they give none."""
    runs = ensemble.judged_runs
    try:
        if ensemble.unjudged:
            raise UserError(ensemble.unjudged)
        found = decision_of(runs[0]).temperature if len(runs) == 1 else fit_temperature(validation_of(runs))
    except UserError as error:
        log.info("no calibrated probabilities: %s", error)
        return None
    if found.value is None:
        log.info("no calibrated probabilities: no temperature could be fitted: %s", found.why)
        return None
    if found.saturated:
        log.warning(
            "temperature: do not trust it: %d of %d images have probabilities rounded to 0 and 1",
            found.saturated,
            found.n,
        )
    return found


def metadata_of(ensemble: Ensemble, how: Deciding, graph: Graph) -> dict[str, Any]:
    """What a reader of the file must know of it; plain values, no paths of this machine."""
    first = ensemble.nets[0]
    size, channels, window = ensemble.how
    return {
        "medcls": version("medcls"),
        "classes": list(ensemble.classes),
        "positive": ensemble.positive,
        "image_size": size,
        "channels": channels,
        "window": window,
        "pixels": f"uint8 (N, {size}, {size}, {channels}), as docs/pixels.md of medcls says",
        "outputs": graph.outputs,
        "threshold": graph.threshold,
        "threshold_rule": how.threshold.by,
        "temperature": asdict(graph.temperature) if graph.temperature else None,
        "data": first.run.metrics.get("data") if first.run else None,
        "data_fingerprints": [net.images.get("fingerprint") for net in ensemble.nets],
        "checkpoints_sha256": [net.digest for net in ensemble.nets],
        "simulated": ensemble.simulated,
        "notices": [notice for net in ensemble.nets if (notice := notice_of(net))],
    }


def notice_of(net: Net) -> str:
    """What must be said beside the net's metrics; "" where nothing must."""
    if net.run is None:
        return "a checkpoint outside of its run folder: how it was trained is not known"
    if not net.run.done:
        return f"the run was not finished ({net.run.reason})"
    metrics: Mapping[str, Any] = net.run.metrics
    said = [str(metrics.get("notice") or ""), "not the net of its run's best epoch" if net.unjudged else ""]
    return "; ".join(filter(None, said))
