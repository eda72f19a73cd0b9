"""One synthetic field of view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.sample import Box, Raster, Sample
from sgcldff_core.smear.layout import leukocytes_of
from sgcldff_core.smear.optics import Exposure, expose
from sgcldff_core.smear.scene import paint, slide_stain
from sgcldff_core.smear.settings import SmearSettings
from sgcldff_core.smear.texture import stream
from sgcldff_core.smear.window import Window

__all__ = ["EXPOSURE", "GRAIN", "Smear", "make_smear"]

# First keys of the streams of the light, and of what no two pixels share.
EXPOSURE, GRAIN = 7, 8


@dataclass(frozen=True, slots=True, eq=False)
class Smear:
    """A synthetic smear and the whole truth about it.

    Attributes
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    labels : ndarray
        (H, W) int32 instance labels of the leukocytes, 0 background.
    nucleus : ndarray
        (H, W) bool, the nuclei of the leukocytes.
    classes : dict of int to str
        Canonical class of each label.
    erythrocytes, platelets : tuple of Box
        Boxes in pixels, clipped to the image.
    settings : SmearSettings
        As asked for.
    seed : int
        As asked for.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32]
    nucleus: NDArray[np.bool_]
    classes: dict[int, str]
    erythrocytes: tuple[Box, ...]
    platelets: tuple[Box, ...]
    settings: SmearSettings
    seed: int

    def to_sample(self, name: str) -> Sample:
        """Return the smear as a `Sample` with masks, nuclei, classes and boxes.

        Parameters
        ----------
        name : str
            Unique among the samples it goes with; also its group.

        Returns
        -------
        Sample
            Its pixels are in memory.
        """
        boxes = []
        for label, kind in self.classes.items():
            y, x = np.nonzero(self.labels == label)
            boxes.append(Box(float(y.min()), float(x.min()), float(y.max() + 1), float(x.max() + 1), kind))
        return Sample(
            name=name,
            image=Raster.of(self.image),
            source="synthetic",
            group=name,
            labels=Raster.of(self.labels),
            nucleus=Raster.of(self.nucleus),
            classes=dict(self.classes),
            boxes=(*boxes, *self.erythrocytes, *self.platelets),
            image_class=next(iter(self.classes.values())) if len(self.classes) == 1 else None,
        )


def make_smear(seed: int, settings: SmearSettings = SmearSettings()) -> Smear:  # noqa: B008 (frozen)
    """Draw one synthetic smear; the same seed and settings give the same pixels.

    Parameters
    ----------
    seed : int
        0 or more.
    settings : SmearSettings, optional
        What it is to look like.

    Returns
    -------
    Smear
        The image and its exact labels.

    Raises
    ------
    ConfigError
        If the seed is negative.
    """
    if seed < 0:
        raise ConfigError(f"seed is {seed}; it must be 0 or more")
    window = Window(0, 0, settings.height, settings.width)
    painting = paint(seed, settings, leukocytes_of(seed, settings), window)
    stain = slide_stain(seed, settings)
    exposure = Exposure.draw(stream(seed, EXPOSURE), stain.camera, settings)
    image = expose(stream(seed, GRAIN), painting.density, stain, exposure, settings.diameter)
    return Smear(
        image=image,
        labels=painting.labels,
        nucleus=painting.nucleus,
        classes=painting.classes,
        erythrocytes=painting.erythrocytes,
        platelets=painting.platelets,
        settings=settings,
        seed=seed,
    )
