"""The audit at the start of a run: findings from the cache or made now; leaks stop the run, warn, or are left out."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medcls.atomic import write_json, write_text
from medcls.audit.saved_results import FINDINGS, PAGE, key, load_audit, save_audit
from medcls.audit.wording import copies_text, explain_leaks, leak_notice, oddities, shortcut_text
from medcls.config import Config
from medcls.data.image_set import ImageSet
from medcls.errors import UserError
from medcls.sources.location import cache_folder
from medcls.sources.subset import LEAKS, without

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Audit:
    """``findings``: content of audit.json, plain values; ``page``: content of audit.html; ``cached``: its folder."""

    findings: dict[str, Any]
    page: str
    cached: Path | None

    def write(self, folder: Path) -> None:
        """Write audit.json and audit.html into ``folder``."""
        write_json(folder / FINDINGS, self.findings)
        write_text(folder / PAGE, self.page)


def audited(image_set: ImageSet, config: Config) -> tuple[ImageSet, Audit | None]:
    """The image set with its findings and, with ``audit.on_leak=drop``, without the training images that leak.

    Simulated images are not audited, and none if the audit is switched off. Raises UserError for leaks with
    ``audit.on_leak=stop``, and if a class is left without training images.
    """
    if not config.audit.enabled or image_set.table.simulated:
        return image_set, None
    audit = audit_images(image_set, config)
    findings = audit.findings
    log_findings(findings)
    leaking = findings["leaks"]["training"]
    if leaking and config.audit.on_leak == "stop":
        raise UserError(explain_leaks(findings, audit.cached))
    if not leaking:
        return replace(image_set, audit=findings), audit
    dropped = config.audit.on_leak == "drop"
    findings["leaks"] |= {"dropped": dropped, "notice": leak_notice(len(leaking), dropped=dropped)}
    log.warning("%s", findings["leaks"]["notice"])
    if dropped:
        image_set = without(image_set, leaking, LEAKS)
    return replace(image_set, audit=findings), audit


def audit_images(image_set: ImageSet, config: Config) -> Audit:
    """The audit of an image set, from the cache or made now; whatever is found, nothing is stopped or left out.

    config: the one that the images were loaded with; its section ``audit`` holds the thresholds (the defaults are
    those of conf/audit/default.yaml). Raises UserError for simulated images.
    """
    data, table = config.data, image_set.table
    if table.simulated:
        raise UserError(
            f"data.root: found no folder {data.default_root}, so there is nothing to audit. Name the folder of the "
            "images: data.root=/path/to/images"
        )
    folder = cache_folder(data.cache_dir) / "audit"
    inputs = [
        data.title,
        image_set.fingerprint,
        list(image_set.images.shape),
        list(table.classes),
        [str(table.root.resolve())] if table.root else [],
        dict(image_set.unreadable),
        data.model_dump(mode="json", include={"channels", "window", "max_pixels"}),
        config.audit.model_dump(exclude={"enabled", "on_leak"}),
    ]
    cached = folder / key(inputs)
    if (known := load_audit(cached)) is not None:
        return Audit(*known, cached)

    from medcls.audit.progress import heartbeat

    root = str(table.root or data.target)
    with heartbeat("looking at the images"):
        from medcls.audit.findings import make_findings  # libraries that take seconds to import
        from medcls.audit.page import render

        findings = {"data": data.title, "root": root} | make_findings(image_set, config, folder)
        page = render(findings, image_set.images)
    return Audit(findings, page, cached if save_audit(cached, findings, page) else None)


def log_findings(findings: dict[str, Any]) -> None:
    """Log what should be known before training starts, one line each."""
    copies, shortcut, flat = findings["copies"], findings["shortcut"], findings["flat"]
    if copies["pairs"] or copies["doubtful"]:
        log.info("audit: %s", copies_text(copies, findings["images"]).replace("\n", "; "))
    for finding in oddities(findings):
        log.warning("audit: %s: %s", finding.heading, finding.text.splitlines()[0])
    if flat:
        log.warning("audit: %d images are blank (a single gray level), such as %s", len(flat), flat[0])
    if findings["leaks"]["validation_in_test"]:
        number = findings["leaks"]["validation_in_test"]
        log.warning("audit: %d validation images, or their patients, are also in test", number)
    if shortcut and shortcut["suspicious"]:
        log.warning("audit: %s", shortcut_text(shortcut))
