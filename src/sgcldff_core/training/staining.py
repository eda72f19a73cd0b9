"""Colour augmentation: other stains, other lamps, other cameras, other focus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import hed_from_rgb, rgb_from_hed
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

if TYPE_CHECKING:
    from sgcldff_core.training.config import AugmentationConfig

__all__ = ["colour_statistics", "jitter_colours", "take_on_colours"]

_HED_FROM_RGB = torch.from_numpy(hed_from_rgb.astype(np.float32))
_RGB_FROM_HED = torch.from_numpy(rgb_from_hed.astype(np.float32))


def jitter_colours(image: Tensor, rng: np.random.Generator, augmentation: AugmentationConfig) -> Tensor:
    """Vary stain strength, light, camera and focus.

    Parameters
    ----------
    image : Tensor
        (3, H, W) float in [0, 1].
    rng : Generator
        Source of chance.
    augmentation : AugmentationConfig
        How far to go.

    Returns
    -------
    Tensor
        (3, H, W) float in [0, 1].

    References
    ----------
    Tellez et al., Whole-slide mitosis detection in H&E using stain augmentation, IEEE TMI 2018.
    """
    image = _jitter_stains(image, rng, augmentation.stain)
    strength = augmentation.colour
    image = tv.adjust_brightness(image, 1 + rng.uniform(-strength, strength))
    image = tv.adjust_contrast(image, 1 + rng.uniform(-strength, strength))
    image = tv.adjust_saturation(image, 1 + rng.uniform(-1.5 * strength, 1.5 * strength))
    image = _shade(image, rng, 0.5 * strength)
    if rng.random() < augmentation.blur:
        image = tv.gaussian_blur(image, [7, 7], [float(rng.uniform(0.4, 1.5))])
    noise = rng.uniform(0, 0.02) * rng.standard_normal(image.shape)
    return (image + torch.from_numpy(noise).float()).clamp(0, 1)


def colour_statistics(image: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (3, 1, 1) of an image's optical density.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        RGB.
    """
    density = _optical_density(torch.from_numpy(image).permute(2, 0, 1).float() / 255)
    return density.mean((1, 2), keepdim=True), density.std((1, 2), keepdim=True)


def take_on_colours(image: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
    """Match an image's optical density to another's mean and spread.

    Parameters
    ----------
    image : Tensor
        (3, H, W) float in [0, 1].
    statistics : tuple of Tensor
        From `colour_statistics` of the other image.

    References
    ----------
    Reinhard et al., Color transfer between images, IEEE CGA 2001; here in optical density, where
    stains add up.
    """
    density = _optical_density(image)
    mean, std = density.mean((1, 2), keepdim=True), density.std((1, 2), keepdim=True)
    wanted_mean, wanted_std = statistics
    # A view without a cell has little spread: do not blow its noise up.
    matched = (density - mean) * (wanted_std / std.clamp_min(0.05)).clamp(0.5, 2) + wanted_mean
    return torch.exp(-matched).clamp(0, 1)


def _optical_density(image: Tensor) -> Tensor:
    return -torch.log(image.clamp_min(1 / 255))


def _jitter_stains(image: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    density = _optical_density(image).permute(1, 2, 0) @ _HED_FROM_RGB
    factor = torch.from_numpy(rng.uniform(1 - strength, 1 + strength, 3)).float()
    offset = torch.from_numpy(rng.uniform(-strength, strength, 3) * 0.1).float()
    density = (density * factor + offset) @ _RGB_FROM_HED
    return torch.exp(-density.permute(2, 0, 1)).clamp(0, 1)


def _shade(image: Tensor, rng: np.random.Generator, strength: float) -> Tensor:
    height, width = image.shape[1:]
    angle = rng.uniform(0, 2 * math.pi)
    ramp = math.cos(angle) * torch.linspace(-1, 1, height)[:, None] + math.sin(angle) * torch.linspace(-1, 1, width)
    return (image * (1 + rng.uniform(0, strength) * ramp / 2)).clamp(0, 1)
