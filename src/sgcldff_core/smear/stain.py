"""How each structure takes up light under one stain and one camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    fringes : float
        Standard deviation of the distance of red and blue from green, in pixels.
    """

    blur: tuple[float, float] = (0.004, 0.012)
    sharpening: float = 0.3
    noise: tuple[float, float] = (0.8, 2.5)
    vignetting: tuple[float, float] = (0.0, 0.1)
    dust: float = 0.0
    quality: tuple[int, int] = (75, 98)
    fringes: float = 0.18


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
    rim : tuple of float
        Range of the strength of the dark line around red cells.
    edge : tuple of float
        Range of how much denser leukocytes look along their border.
    stacking : float
        Probability that the red cells of a smear lie in stacks rather than side by side.
    artefacts : float
        Share of red cells with a refractile drying artefact.
    residue : float
        Optical density of the lines and veils that dried plasma leaves.
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
    rim: tuple[float, float]
    edge: tuple[float, float]
    stacking: float
    artefacts: float
    residue: float
    camera: Camera

    @property
    def hue(self) -> Vector:
        """The direction from bluer to redder chromatin, as an optical density."""
        return np.array([-1.0, 0.1, 1.0], np.float32) * np.float32(self.chromatin.mean())


_COLOURS = (
    *("erythrocyte", "erythrocyte_rim", "chromatin", "pink", "blue", "grey", "salmon"),
    *("violet", "orange", "indigo", "platelet"),
)


def _as_density(seen: Stain) -> Stain:
    # Colours are written below as they are seen, since that is how they were measured.
    density = {name: -np.log(getattr(seen, name) / seen.background) for name in _COLOURS}
    return replace(seen, **density)


def _rgb(red: float, green: float, blue: float) -> Vector:
    return np.array([red, green, blue], np.float32)


# The colours are medians of nuclei, cytoplasm, red cells and background of public image sets
# (Zheng 1 and 2, BCCD), or, for "wright" and "pink", set between them by eye.
_SEEN: dict[str, Stain] = {
    # A fresh Wright-Giemsa smear on a neutral, well corrected camera.
    "wright": Stain(
        background=_rgb(240, 234, 236), erythrocyte=_rgb(206, 160, 168), erythrocyte_rim=_rgb(190, 140, 150),
        chromatin=_rgb(84, 42, 128), pink=_rgb(216, 184, 204), blue=_rgb(150, 172, 216), grey=_rgb(178, 176, 204),
        salmon=_rgb(222, 176, 186), violet=_rgb(166, 92, 150), orange=_rgb(208, 104, 96), indigo=_rgb(58, 26, 100),
        platelet=_rgb(142, 96, 158), pallor=0.55, fringe=0.08, rim=(0.0, 0.4),
        edge=(0.0, 0.15), stacking=0.15, artefacts=0.02, residue=0.02,
        camera=Camera(vignetting=(0.0, 0.2)),
    ),
    # Eosin prevails: orange red cells, a warm background.
    "pink": Stain(
        background=_rgb(246, 228, 214), erythrocyte=_rgb(224, 156, 134), erythrocyte_rim=_rgb(206, 130, 110),
        chromatin=_rgb(98, 38, 110), pink=_rgb(228, 174, 178), blue=_rgb(158, 160, 190), grey=_rgb(186, 166, 184),
        salmon=_rgb(228, 160, 148), violet=_rgb(186, 90, 124), orange=_rgb(218, 94, 66), indigo=_rgb(66, 26, 84),
        platelet=_rgb(160, 100, 140), pallor=0.5, fringe=0.08, rim=(0.0, 0.4),
        edge=(0.0, 0.15), stacking=0.15, artefacts=0.02, residue=0.02,
        camera=Camera(vignetting=(0.0, 0.2)),
    ),
    # Zheng 1, first half: rapid stain that lyses red cells to ghosts, yellow saturated background.
    "rapid": Stain(
        background=_rgb(266, 260, 154), erythrocyte=_rgb(258, 250, 147), erythrocyte_rim=_rgb(196, 146, 90),
        chromatin=_rgb(108, 18, 80), pink=_rgb(196, 140, 108), blue=_rgb(168, 146, 116), grey=_rgb(188, 154, 120),
        salmon=_rgb(196, 130, 104), violet=_rgb(160, 76, 84), orange=_rgb(170, 92, 76), indigo=_rgb(84, 20, 80),
        platelet=_rgb(160, 120, 88), pallor=0.9, fringe=0.0, rim=(0.2, 0.7),
        edge=(0.1, 0.6), stacking=0.0, artefacts=0.0, residue=0.22,
        camera=Camera((0.008, 0.028), 0.8, (0.6, 2.0), (0.0, 0.05), 0.0, (80, 100)),
    ),
    # Zheng 1, second half: the same microscope overexposed to white.
    "bleached": Stain(
        background=_rgb(285, 282, 284), erythrocyte=_rgb(284, 278, 280), erythrocyte_rim=_rgb(250, 214, 226),
        chromatin=_rgb(86, 12, 118), pink=_rgb(206, 146, 178), blue=_rgb(176, 124, 198), grey=_rgb(186, 138, 184),
        salmon=_rgb(200, 130, 160), violet=_rgb(146, 70, 128), orange=_rgb(174, 84, 112), indigo=_rgb(78, 24, 112),
        platelet=_rgb(180, 120, 170), pallor=0.9, fringe=0.0, rim=(0.1, 0.6),
        edge=(0.1, 0.6), stacking=0.0, artefacts=0.0, residue=0.2,
        camera=Camera((0.008, 0.028), 0.8, (0.6, 2.0), (0.0, 0.0), 0.0, (80, 100)),
    ),
    # Zheng 2: crisp images of a slide scanner, cream background, many red cells.
    "crowded": Stain(
        background=_rgb(251, 225, 200), erythrocyte=_rgb(199, 141, 153), erythrocyte_rim=_rgb(182, 124, 144),
        chromatin=_rgb(74, 30, 128), pink=_rgb(216, 168, 180), blue=_rgb(180, 166, 192), grey=_rgb(190, 164, 186),
        salmon=_rgb(216, 172, 184), violet=_rgb(150, 66, 126), orange=_rgb(180, 94, 128), indigo=_rgb(50, 22, 96),
        platelet=_rgb(110, 66, 136), pallor=0.5, fringe=0.02, rim=(0.0, 0.35),
        edge=(0.0, 0.15), stacking=0.15, artefacts=0.0, residue=0.02,
        camera=Camera((0.002, 0.006), 0.35, (0.6, 1.6), (0.0, 0.02), 0.0, (65, 92)),
    ),
    # BCCD: pale, bluish nuclei brighter in blue than the background, soft analogue-like video.
    "pale": Stain(
        background=_rgb(200, 204, 199), erythrocyte=_rgb(178, 154, 158), erythrocyte_rim=_rgb(160, 138, 152),
        chromatin=_rgb(132, 92, 210), pink=_rgb(184, 165, 195), blue=_rgb(150, 158, 195), grey=_rgb(170, 178, 198),
        salmon=_rgb(186, 156, 176), violet=_rgb(162, 120, 186), orange=_rgb(184, 126, 162), indigo=_rgb(96, 70, 170),
        platelet=_rgb(136, 120, 200), pallor=0.75, fringe=0.09, rim=(0.0, 0.3),
        edge=(0.0, 0.1), stacking=0.7, artefacts=0.12, residue=0.02,
        camera=Camera((0.007, 0.028), 0.6, (1.2, 1.8), (0.0, 0.08), 1.2, (55, 80), 0.5),
    ),
}  # fmt: skip

_KNOWN = {name: _as_density(seen) for name, seen in _SEEN.items()}

STAINS: tuple[str, ...] = tuple(_KNOWN)
"""Names of the stains and cameras that are known."""


def draw_stain(rng: np.random.Generator, name: str | None) -> Stain:
    """Return one slide's stain: a known one, varied as slides of one laboratory vary.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    name : str or None
        One of `STAINS`; None draws one, or half of the time something between two of them.

    Returns
    -------
    Stain
        With its own strength, tints and background.
    """
    drawn, other = (_KNOWN[STAINS[i]] for i in rng.integers(len(STAINS), size=2))
    blend = rng.uniform(0, 1) * (rng.random() < 0.5)
    known = _between(drawn, other, blend) if name is None else _KNOWN[name]
    strength = np.clip(rng.normal(1, 0.1), 0.6, 1.4)
    tint = rng.normal(1, 0.025, 3)
    varied = {}
    for name_of_colour in _COLOURS:
        own = max(0.5, rng.normal(1, 0.06)) * rng.normal(1, 0.015, 3)
        varied[name_of_colour] = (getattr(known, name_of_colour) * tint * strength * own).astype(np.float32)
    # Red cells vary most of all, with the thickness of the smear and the time since it was stained.
    thick = (np.clip(rng.lognormal(0, 0.22), 0.55, 1.7) * rng.normal(1, (0.1, 0.02, 0.1))).astype(np.float32)
    varied["erythrocyte"] *= thick
    varied["erythrocyte_rim"] *= thick
    light = known.background * rng.normal(1, 0.025) * rng.normal(1, 0.01, 3)
    return replace(
        known,
        background=light.astype(np.float32),
        pallor=float(np.clip(rng.normal(known.pallor, 0.18), 0, 1)),
        **varied,
    )


def _between(first: Stain, second: Stain, share: float) -> Stain:
    mixed = {n: getattr(first, n) + np.float32(share) * (getattr(second, n) - getattr(first, n)) for n in _COLOURS}
    light = first.background + np.float32(share) * (second.background - first.background)
    return replace(first, background=light, **mixed)
