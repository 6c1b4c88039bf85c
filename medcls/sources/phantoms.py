"""Drawings of the simulated images: one scene each, float32 in about [0, 1], before noise and exposure.

Scenes live in coordinates from -1 to 1, so that a scene is the same at every resolution.
"""

import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.floating[Any]]

SKIN = np.array([0.84, 0.66, 0.56], dtype=np.float32)
MELANIN = np.array([0.30, 0.38, 0.36], dtype=np.float32)  # what pigment absorbs of red, green and blue
N_HARMONICS = 5
ORGANS = 9  # seed of the organs' shapes, not of the images: one whose first nine look different


@lru_cache(maxsize=4)
def grid(side: int) -> tuple[Image, Image]:
    """Coordinates x ``(1, side)`` and y ``(side, 1)`` of the pixel centers, -1 to 1."""
    ticks = (np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1
    return ticks[None, :], ticks[:, None]


def texture(rng: Generator, cells: int, side: int) -> Image:
    """Smooth random field ``(side, side)``, mean 0 and deviation near 1, with ``cells`` independent values a side."""
    values = rng.standard_normal((cells, cells), dtype=np.float32)
    return values if cells == side else np.asarray(cv2.resize(values, (side, side), interpolation=cv2.INTER_CUBIC))


def inside(distance: Image, softness: float = 0.04) -> Image:
    """1 where ``distance`` is positive, 0 where it is negative, a ramp of width ``softness`` between."""
    ramp: Image = np.clip(distance / softness + 0.5, 0, 1)
    return ramp


def silhouette(centre: tuple[float, float], radii: NDArray[np.float64], side: int, softness: float) -> Image:
    """Mask ``(side, side)`` of the closed outline with ``radii`` at equally spaced angles, its edge blurred."""
    angles = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    outline = np.stack([centre[0] + radii * np.cos(angles), centre[1] + radii * np.sin(angles)], axis=1)
    # cv2 takes coordinates in 1/16 pixel and puts integers at pixel centers.
    points = np.round(((outline + 1) / 2 * side - 0.5) * 16).astype(np.int32)
    mask = np.zeros((side, side), dtype=np.float32)
    cv2.fillPoly(mask, [points], (1.0,), shift=4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), softness * side / 2))


def harmonics(amplitudes: NDArray[np.float64], phases: NDArray[np.float64], n_points: int = 96) -> NDArray[np.float64]:
    """Relative deviation ``(n_points,)`` of an outline from a circle: a wave with k periods for each k from 1."""
    angles = np.linspace(0, 2 * np.pi, n_points, endpoint=False)
    orders = np.arange(1, len(amplitudes) + 1)
    waves: NDArray[np.float64] = amplitudes @ np.cos(orders[:, None] * angles + phases[:, None])
    return waves


def skin(rng: Generator, severity: float, side: int) -> Image:
    """Pigmented lesion, RGB ``(side, side, 3)``: round and even at ``severity`` 0 to asymmetric and varied at 1."""
    centre = (rng.normal(0, 0.15), rng.normal(0, 0.15))
    radius = (0.38 + 0.20 * severity) * math.exp(rng.normal(0, 0.2))
    # Low orders make a lesion asymmetric, high orders make its border irregular.
    roughness = (0.03 + 0.13 * severity) * np.array([1, 1, 0.8, 0.6, 0.5, 0.4, 0.35, 0.3])
    outline = harmonics(roughness * rng.rayleigh(0.8, 8), rng.uniform(0, 2 * np.pi, 8))
    border = 0.05 * math.exp(rng.normal(0, 0.3))
    lesion = silhouette(centre, radius * np.maximum(1 + outline, 0.2), side, border)

    depth = (0.75 + 0.45 * severity) * math.exp(rng.normal(0, 0.25))
    variegation = (0.06 + 0.34 * severity) * math.exp(rng.normal(0, 0.3))
    pigment = lesion * np.maximum(depth * (1 + variegation * texture(rng, 7, side)), 0)
    # Blue-white areas: deep pigment absorbs more red than blue.
    blue = 0.12 * severity * lesion * np.maximum(texture(rng, 4, side), 0)
    tone = SKIN * (1 + rng.normal(0, 0.035, 3)) + rng.normal(0, 0.04)
    skin_texture = 0.02 * texture(rng, 24, side)
    planes = [float(tone[i]) + skin_texture - float(MELANIN[i]) * pigment + blue * (i - 1) for i in range(3)]
    image = np.asarray(cv2.merge(planes))
    for _ in range(rng.poisson(2)):
        hair(rng, image)
    return image


def hair(rng: Generator, image: Image) -> None:
    """Draw one dark curved hair into an RGB ``image``."""
    side = len(image)
    start, end = rng.uniform(-1.2, 1.2, (2, 2))
    middle = (start + end) / 2 + rng.normal(0, 0.2, 2)
    t = np.linspace(0, 1, 16)[:, None]
    curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
    points = np.round((curve + 1) / 2 * side * 16).astype(np.int32)
    cv2.polylines(image, [points], False, (0.25, 0.18, 0.15), max(1, round(side / 128)), cv2.LINE_AA, shift=4)


def bone(rng: Generator, severity: float, side: int) -> Image:
    """Fractured femoral shaft ``(side, side)``: long oblique fracture at ``severity`` 0, atypical fracture at 1.

    Atypical: transverse, with thick cortices and a beak on the lateral one (Shane et al., 2014).
    """
    x, y = grid(side)
    tilt, lateral = rng.normal(0, 0.1), 1 if rng.random() < 0.5 else -1
    v = math.cos(tilt) * y + math.sin(tilt) * x - rng.normal(0, 0.25)  # along the shaft, 0 at the fracture
    u = math.cos(tilt) * x - math.sin(tilt) * y - rng.normal(0, 0.12) - rng.normal(0, 0.08) * v**2  # across it
    flesh = inside(rng.normal(0.8, 0.1) - np.abs(u), 0.3) * (0.16 + 0.03 * texture(rng, 6, side))

    slope = max(rng.normal(1.5 - 1.5 * severity, 0.2), 0.0) * (1 if rng.random() < 0.5 else -1)
    jag = (0.08 - 0.06 * severity) * rng.rayleigh(0.8)
    beyond = v - slope * u - jag * np.sin(rng.uniform(15, 30) * u + rng.uniform(0, 6))  # > 0 in the distal fragment
    u = u + inside(beyond) * rng.normal(0, 0.03 + 0.12 * (1 - severity))

    width = 0.27 * math.exp(rng.normal(0, 0.12)) * (1 + 0.12 * v**2)
    cortex = (0.06 + 0.075 * severity) * math.exp(rng.normal(0, 0.2))
    beak = 0.10 * severity * math.exp(rng.normal(0, 0.3)) * np.exp(-((v / 0.16) ** 2)) * (lateral * u > 0)
    shaft = inside(width + beak - np.abs(u))
    canal = inside(width - cortex - 0.5 * beak - np.abs(u))
    gap = np.exp(-((beyond / (0.03 * math.exp(rng.normal(0, 0.3)))) ** 2))
    density, trabeculae = rng.normal(0.62, 0.06), 0.05 * texture(rng, 40, side)
    return 0.06 + flesh + shaft * (density + trabeculae - 0.34 * canal) * (1 - 0.75 * gap)


def organ(label: int) -> NDArray[np.float64]:
    """Shape of the organ of class ``label``: log size, position, density, then harmonics as cosines and sines."""
    rng = np.random.default_rng([ORGANS, label])
    size, position, density = rng.normal(-0.8, 0.2, 1), rng.normal(0, 0.15, 2), rng.uniform(0.25, 0.6, 1)
    waves = rng.normal(0, 1, 2 * N_HARMONICS) * np.repeat([0.06, 0.24, 0.15, 0.08, 0.04], 2)
    return np.concatenate([size, position, density, waves])


def xray(rng: Generator, shape: NDArray[np.float64], side: int) -> Image:
    """Organ of a ``shape`` (see ``organ``) before ribs and soft tissue, ``(side, side)``."""
    scatter = np.array([0.12, 0.06, 0.06, 0.06, *np.repeat([0.03, 0.04, 0.03, 0.02, 0.015], 2)])
    size, dx, dy, density, *waves = (shape + rng.normal(0, 1, len(shape)) * scatter).tolist()
    cosines, sines = np.array(waves).reshape(N_HARMONICS, 2).T
    turn = rng.normal(0, 0.12) * np.arange(1, N_HARMONICS + 1)
    outline = harmonics(np.hypot(cosines, sines), np.arctan2(-sines, cosines) + turn)
    mask = silhouette((dx, dy), math.exp(size) * np.maximum(1 + outline, 0.15), side, 0.05)

    x, y = grid(side)
    body = inside(0.9 - np.hypot(x * rng.normal(1.0, 0.08), y * rng.normal(0.85, 0.08)), 0.3)
    ribs = np.sin(rng.uniform(12, 18) * (y + rng.normal(0.3, 0.1) * x**2) + rng.uniform(0, 6))
    spine = inside(0.09 - np.abs(x - rng.normal(0, 0.05)), 0.06)
    tissue = 0.22 + 0.05 * texture(rng, 5, side) + 0.03 * ribs + 0.12 * spine
    image: Image = 0.05 + body * tissue + mask * density * (1 + 0.08 * texture(rng, 12, side))
    return image
