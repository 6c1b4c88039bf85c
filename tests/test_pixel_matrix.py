"""Every kind of pixel that files come with: read as independent readers read it and shown by the rule, or refused."""

import collections
import contextlib

import numpy as np
import pytest
from pixels import SIDE, cells
from pixels.comparison import as_array, same

from medcls.formats.budget import Admission
from medcls.formats.decode import UnreadableImage, decode, read


def ours(cell):
    """Samples at full size as the decoder has them before it scales, converts or turns them."""
    with Admission(10**6) as admit:
        image, _ = read(cell.content, "RGB", admit, cell.window)
        assert getattr(image, "inverted", False) == cell.inverted
        return as_array(image)


def read_by_others(cell):
    """Samples by name of reader, of those that can read the file at all; those that it was written of."""
    found = {} if cell.samples is None else {"as written": cell.samples}
    for reader in cell.readers:
        with contextlib.suppress(Exception):
            if (samples := reader(cell.content)) is not None:
                found[reader.__name__] = samples
    return found


def by_the_rule(cell, samples):
    """Gray levels (H, W) or colours (H, W, 3) as docs/pixels.md says, from samples of an independent reader."""
    if samples.dtype == bool:
        samples = samples.astype(np.uint8) * 255
    if cell.shown is not None:
        levels = cell.shown(samples if samples.ndim == 3 else samples.astype(float))
    elif samples.ndim == 3 or samples.dtype == np.uint8:
        levels = (samples >> 8 if samples.dtype == np.uint16 else samples).astype(float)
        if samples.ndim == 3 and samples.shape[2] == 4:
            levels = levels[..., :3] * levels[..., 3:] / 255
    else:
        low, high = np.percentile(samples.astype(float), (0.5, 99.5))
        levels = np.clip((samples.astype(float) - low) / (high - low), 0, 1) * 255
    return 255 - levels if cell.inverted else levels


def verdict(cell):
    """equal, refused, or what is wrong."""
    try:
        samples = ours(cell)
        shown = decode(cell.content, image_size=SIDE, channels=3, window=cell.window).astype(float)
        gray = decode(cell.content, image_size=SIDE, channels=1, window=cell.window)[..., 0].astype(float)
    except UnreadableImage as error:
        return "refused" if cell.refused is not None and (cell.refused in error.reason) else f"refused: {error.reason}"
    except Exception:
        try:
            decode(cell.content, image_size=SIDE, channels=3, window=cell.window)
        except UnreadableImage as error:
            return "refused" if cell.refused in error.reason else f"refused: {error.reason}"
        raise
    references = read_by_others(cell)
    if not references:
        return "read, by no other"
    for name, reference in references.items():
        if not same(samples, reference, cell.within):
            return f"other samples than {name}: {reference.dtype} {reference.shape}"
    first = references.get("as written", next(iter(references.values())))
    levels = by_the_rule(cell, first)
    levels = levels if levels.ndim == 3 else np.stack([levels] * 3, 2)
    if np.abs(shown - levels).max() > cell.within + 1.01:
        return f"shown {np.abs(shown - levels).max():.2f} levels off"
    luminance = levels @ [0.299, 0.587, 0.114]
    if np.abs(gray - luminance).max() > 2 * cell.within + 1.6:
        return f"gray {np.abs(gray - luminance).max():.2f} levels off"
    return "equal"


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: cell.name)
def test_pixels_are_right_or_refused_by_name(cell):
    assert verdict(cell) == ("equal" if not cell.refused and (cell.readers or cell.samples is not None) else "refused")


if __name__ == "__main__":
    print(collections.Counter(verdict(cell) for cell in cells()))
