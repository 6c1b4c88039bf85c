"""Samples of the decoder beside those of other readers."""

import numpy as np

from medcls.formats.gray import Gray


def as_array(image):
    """Samples (H, W) or (H, W, channels) of what the decoder reads, palettes looked up."""
    if isinstance(image, Gray):
        return np.asarray(image.values)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return np.asarray(image.convert({"1": "L", "LA": "RGBA", "YCbCr": "RGB"}.get(image.mode, image.mode)))


def same(found, expected, within):
    """Whether samples are equal; colours of 16 bits are compared by their high byte, which is all that is shown."""
    if expected.ndim == 3 and expected.dtype == np.uint16:
        expected = (expected >> 8).astype(np.uint8)
    if found.shape != expected.shape and found.ndim == 3 and expected.ndim == 3:
        found, expected = found[..., :3], expected[..., :3]
    if found.ndim != expected.ndim:  # a gray picture that one of two readers has as three equal channels
        gray, colour = sorted((found, expected), key=np.ndim)
        found, expected = np.stack([gray] * colour.shape[2], 2)[..., :3], colour[..., :3]
    if found.shape != expected.shape:
        return False
    return np.allclose(
        found.astype(np.longdouble), expected.astype(np.longdouble), rtol=1e-6, atol=within + 1e-9, equal_nan=True
    )
