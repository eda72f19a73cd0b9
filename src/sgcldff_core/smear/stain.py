"""How each structure takes up light under one stain and one camera."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["STAINS", "Camera", "Stain", "draw_stain"]

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Camera:
    """What optics and sensor add.

    Attributes
    ----------
    blur : tuple of float
        Range of the standard deviation of the blur, as a share of the leukocyte's diameter.
    sharpening : float
        Gain of the camera's unsharp mask, which leaves light fringes around cells.
    noise : tuple of float
        Range of the noise's standard deviation, in grey levels.
    vignetting : tuple of float
        Range of the share of light lost in the corners.
    dust : float
        Mean number of rings from dust in an area of ten squared diameters.
    quality : tuple of int
        Range of the JPEG quality; 100 leaves the pixels alone.
    """

    blur: tuple[float, float] = (0.004, 0.012)
    sharpening: float = 0.3
    noise: tuple[float, float] = (0.8, 2.5)
    vignetting: tuple[float, float] = (0.0, 0.1)
    dust: float = 0.0
    quality: tuple[int, int] = (75, 98)


@dataclass(frozen=True, slots=True, eq=False)
class Stain:
    """Optical densities, natural logarithm, (3,) float32 for red, green, blue, at full thickness.

    Attributes
    ----------
    background : ndarray
        Light without any cell, in grey levels; above 255 the camera saturates.
    erythrocyte, erythrocyte_rim : ndarray
        Haemoglobin with eosin, and the dark line at its edge.
    chromatin : ndarray
        The nucleus of a neutrophil; others are paler.
    pink, blue, grey, salmon : ndarray
        Cytoplasm of neutrophils, lymphocytes, monocytes, eosinophils.
    violet, orange, indigo : ndarray
        Granules of neutrophils, eosinophils, basophils.
    platelet : ndarray
        The granular middle of a platelet.
    pallor : float
        How far the centre of red cells is paler, 0 to 1.
    fringe : float
        Optical density of the light line around red cells, as a share of `erythrocyte`.
    artefacts : float
        Share of red cells with a refractile drying artefact.
    camera : Camera
        Optics and sensor that go with it.
    """

    background: Vector
    erythrocyte: Vector
    erythrocyte_rim: Vector
    chromatin: Vector
    pink: Vector
    blue: Vector
    grey: Vector
    salmon: Vector
    violet: Vector
    orange: Vector
    indigo: Vector
    platelet: Vector
    pallor: float
    fringe: float
    artefacts: float
    camera: Camera


_COLOURS = tuple(f.name for f in fields(Stain) if f.name not in ("background", "pallor", "fringe", "artefacts", "camera"))


def _stain(
    background: tuple[float, float, float],
    pallor: float,
    fringe: float,
    artefacts: float,
    camera: Camera,
    **colours: tuple[float, float, float],
) -> Stain:
    # Colours are written as they are seen, since that is how they were measured.
    light = np.asarray(background, np.float32)
    density = {name: -np.log(np.asarray(c, np.float32) / light) for name, c in colours.items()}
    return Stain(light, pallor=pallor, fringe=fringe, artefacts=artefacts, camera=camera, **density)


# The colours are medians of nuclei, cytoplasm, red cells and background of public image sets
# (Zheng 1 and 2, BCCD, ALL-IDB2), or, for "wright" and "pink", set between them by eye.
_KNOWN: dict[str, Stain] = {
    # A fresh Wright-Giemsa smear on a neutral, well corrected camera.
    "wright": _stain(
        (240, 234, 236), 0.55, 0.05, 0.03, Camera(vignetting=(0.0, 0.2)),
        erythrocyte=(206, 156, 160), erythrocyte_rim=(190, 140, 150), chromatin=(84, 42, 128),
        pink=(216, 178, 200), blue=(150, 172, 216), grey=(178, 176, 204), salmon=(222, 176, 186),
        violet=(166, 92, 150), orange=(208, 104, 96), indigo=(58, 26, 100), platelet=(142, 96, 158),
    ),
    # Eosin prevails: orange red cells, a warm background.
    "pink": _stain(
        (246, 228, 214), 0.5, 0.05, 0.03, Camera(vignetting=(0.0, 0.2)),
        erythrocyte=(222, 148, 124), erythrocyte_rim=(206, 130, 110), chromatin=(98, 38, 110),
        pink=(228, 170, 172), blue=(158, 160, 190), grey=(186, 166, 184), salmon=(228, 160, 148),
        violet=(186, 90, 124), orange=(218, 94, 66), indigo=(66, 26, 84), platelet=(160, 100, 140),
    ),
    # Zheng 1, first half: rapid stain that lyses red cells to ghosts, yellow saturated background.
    "rapid": _stain(
        (268, 262, 154), 0.9, 0.0, 0.0,
        Camera((0.008, 0.02), 0.5, (0.6, 2.0), (0.0, 0.05), 0.0, (80, 100)),
        erythrocyte=(246, 228, 132), erythrocyte_rim=(186, 130, 80), chromatin=(108, 18, 80),
        pink=(196, 136, 106), blue=(150, 138, 114), grey=(184, 152, 120), salmon=(190, 112, 98),
        violet=(160, 76, 84), orange=(156, 68, 58), indigo=(84, 20, 80), platelet=(160, 110, 84),
    ),
    # Zheng 1, second half: the same microscope overexposed to white.
    "bleached": _stain(
        (285, 282, 284), 0.9, 0.0, 0.0,
        Camera((0.008, 0.02), 0.5, (0.6, 2.0), (0.0, 0.0), 0.0, (80, 100)),
        erythrocyte=(280, 268, 272), erythrocyte_rim=(250, 214, 226), chromatin=(86, 12, 118),
        pink=(206, 142, 174), blue=(172, 122, 198), grey=(186, 138, 184), salmon=(192, 108, 146),
        violet=(146, 70, 128), orange=(160, 60, 90), indigo=(78, 24, 112), platelet=(180, 120, 170),
    ),
    # Zheng 2: crisp images of a slide scanner, cream background, many red cells.
    "crowded": _stain(
        (253, 228, 202), 0.45, 0.02, 0.0,
        Camera((0.002, 0.006), 0.35, (0.6, 1.6), (0.0, 0.02), 0.0, (85, 98)),
        erythrocyte=(203, 140, 148), erythrocyte_rim=(186, 124, 140), chromatin=(74, 30, 128),
        pink=(222, 172, 180), blue=(184, 176, 196), grey=(196, 178, 188), salmon=(214, 160, 176),
        violet=(150, 66, 126), orange=(176, 84, 116), indigo=(50, 22, 96), platelet=(110, 66, 136),
    ),
    # BCCD: pale, bluish nuclei brighter in blue than the background, soft analogue-like video.
    "pale": _stain(
        (198, 202, 195), 0.5, 0.12, 0.12,
        Camera((0.006, 0.014), 0.6, (1.2, 1.8), (0.0, 0.08), 1.2, (60, 85)),
        erythrocyte=(184, 142, 134), erythrocyte_rim=(170, 128, 132), chromatin=(128, 88, 208),
        pink=(190, 170, 194), blue=(142, 154, 196), grey=(172, 180, 198), salmon=(190, 160, 176),
        violet=(170, 122, 182), orange=(182, 108, 136), indigo=(96, 70, 170), platelet=(136, 120, 200),
    ),
    # ALL-IDB2: dim light, olive background.
    "dim": _stain(
        (160, 158, 148), 0.3, 0.04, 0.02,
        Camera((0.005, 0.012), 0.3, (2.0, 2.6), (0.0, 0.1), 0.0, (75, 90)),
        erythrocyte=(142, 112, 106), erythrocyte_rim=(124, 96, 96), chromatin=(78, 28, 104),
        pink=(154, 128, 140), blue=(112, 116, 146), grey=(122, 118, 138), salmon=(152, 116, 118),
        violet=(126, 60, 92), orange=(146, 72, 66), indigo=(52, 18, 70), platelet=(110, 70, 108),
    ),
}  # fmt: skip

STAINS: tuple[str, ...] = tuple(_KNOWN)
"""Names of the stains and cameras that are known."""


def draw_stain(rng: np.random.Generator, name: str | None) -> Stain:
    """Return one slide's stain: a known one, varied as slides of one laboratory vary.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    name : str or None
        One of `STAINS`; None draws one.

    Returns
    -------
    Stain
        With its own strength, tints and background.
    """
    drawn = STAINS[rng.integers(len(STAINS))]
    known = _KNOWN[drawn if name is None else name]
    strength = rng.normal(1, 0.09)
    tint = rng.normal(1, 0.03, 3)
    varied = {
        key: (getattr(known, key) * tint * strength * max(0.5, rng.normal(1, 0.07)) * rng.normal(1, 0.02, 3)).astype(
            np.float32
        )
        for key in _COLOURS
    }
    light = known.background * rng.normal(1, 0.025) * rng.normal(1, 0.01, 3)
    return replace(
        known, background=light.astype(np.float32), pallor=float(np.clip(rng.normal(known.pallor, 0.12), 0, 1)), **varied
    )
