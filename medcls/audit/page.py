"""The findings of an audit as one self-contained HTML page, copies side by side."""

import base64
import io
from collections import Counter
from functools import partial
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medcls.audit.wording import split_title, summary

PICTURED = 200  # pairs shown with their images, one of each group
SIDE = 256  # pixels per side of an image on the page


def render(findings: dict[str, Any], images: NDArray[np.uint8]) -> str:
    """The page. ``images`` (N, S, S, C): the images that the positions in ``findings`` refer to.

    Names of files and classes may come from a stranger: everything inserted into the page is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("medcls.audit"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    chosen = one_of_each_group(findings["copies"])
    rows = [
        {
            "images": [
                pair[which] | {"uri": data_uri(images[pair[which]["position"]])} for which in ("first", "second")
            ],
            "how": ", ".join(part for part in (pair["kind"], pair["orientation"]) if part),
            "similarity": pair["similarity"],
            "leak": pair["across_splits"],
            "conflicting": pair["conflicting"],
            "doubtful": pair["doubtful"],
        }
        for pair in chosen[:PICTURED]
    ]
    return environment.get_template("audit.html").render(
        findings=findings,
        summary=summary(findings),
        splits=list(findings["counts"]),
        split_title=partial(split_title, findings),
        rows=rows,
        kinds=Counter(pair["kind"] for pair in chosen),
        chosen=len(chosen),
    )


def one_of_each_group(copies: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the pairs listed all doubtful ones and one of each group: the doubtful first, then the least alike."""
    group = {member: number for number, members in enumerate(copies["groups"]) for member in members}
    first: dict[Any, dict[str, Any]] = {}
    for pair in copies["listed"]:
        positions = (pair["first"]["position"], pair["second"]["position"])
        own = positions if pair["doubtful"] else group[positions[0]]
        if own not in first or (not first[own]["across_splits"] and pair["across_splits"]):
            first[own] = pair
    exact = ("same file", "same pixels", "same pixels when resized")
    return sorted(
        first.values(),
        key=lambda pair: (not pair["doubtful"], pair["kind"] in exact, not pair["across_splits"], pair["similarity"]),
    )


def data_uri(image: NDArray[np.uint8]) -> str:
    """An image (S, S, C) as a JPEG in a data URI."""
    content = io.BytesIO()
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(content, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
