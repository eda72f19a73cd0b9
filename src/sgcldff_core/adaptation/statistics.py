"""Batch statistics moved to another stain: what a normalisation layer takes for usual.

The encoder keeps its ImageNet statistics through training, so those are neither what it sees of the
source nor of the target. Where images of the source are at hand, the *difference* between both is
what the layers are shifted by: on the source itself the shift is nothing. Without them the
statistics of the target take the place of the old ones, as published.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from sgcldff_core.adaptation.spread import spread_evenly
from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.forward import evaluating

if TYPE_CHECKING:
    from sgcldff_core.inference.field import FieldView
    from sgcldff_core.model import SgcldffNetwork

__all__ = ["Moments", "Windows", "activation_moments", "cell_windows", "normalisation_layers", "with_statistics"]

Moments = Mapping[str, tuple[Tensor, Tensor]]
"""Mean and variance (C,) of what enters each layer, by the layer's name."""

Windows = tuple[Tensor, Tensor]
"""Images (B, 3, S, S) in [0, 1] and priors (B, 1, S, S)."""

_SIDE = 128
_MOST = 48  # windows: more move no figure, and have to fit into memory at once
_LARGEST_RATIO = 9.0  # of variances; beyond, a channel was next to silent in one of the two


def normalisation_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers that hold batch statistics, by name.

    Parameters
    ----------
    network : nn.Module
        Any network.

    Returns
    -------
    dict of str to nn.Module
        In the order of the network; layers that keep no running mean are left out.
    """
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None
    }


def cell_windows(views: Sequence[FieldView], fill: Tensor) -> Windows:
    """Cut a window around every cell, so that the share of background is the same everywhere.

    Parameters
    ----------
    views : sequence of FieldView
        Fields at the canonical scale; one without cells is cut where its prior is highest.
    fill : Tensor
        (1, 3, 1, 1) colour beyond the image.

    Returns
    -------
    Windows
        At most 48, spread evenly over the fields.

    Raises
    ------
    ConfigError
        If there are no fields.
    """
    places = [(view, *centre) for view in views for centre in _centres(view)]
    if not places:
        raise ConfigError("there is no image to measure statistics on")
    chosen = spread_evenly(len(places), _MOST)
    images = fill.cpu().repeat(len(chosen), 1, _SIDE, _SIDE)
    priors = torch.zeros(len(chosen), 1, _SIDE, _SIDE)
    for number, place in enumerate(chosen):
        view, y, x = places[place]
        height, width = view.prior.shape
        top, left = round(y) - _SIDE // 2, round(x) - _SIDE // 2
        rows, columns = slice(max(0, top), min(height, top + _SIDE)), slice(max(0, left), min(width, left + _SIDE))
        into = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        images[number, :, *into] = torch.tensor(view.image[rows, columns]).permute(2, 0, 1).float() / 255
        priors[number, 0, *into] = torch.tensor(view.prior[rows, columns])
    return images, priors


def activation_moments(network: SgcldffNetwork, windows: Windows) -> Moments:
    """Return what enters each layer that holds batch statistics.

    Parameters
    ----------
    network : SgcldffNetwork
        Is run over all windows, and left in the mode that it was in.
    windows : Windows
        What it looks at.

    Returns
    -------
    Moments
        Mean and variance of each channel, (C,) float32 each, by name of the layer.
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def measure(name: str, layer: nn.Module, entering: Tensor) -> None:
        found[name] = _moments(entering)

    _pass(network, windows, measure)
    return found


def with_statistics(
    network: SgcldffNetwork, windows: Windows, weight: float, source: Moments | None = None
) -> SgcldffNetwork:
    """Return a copy of a network whose batch statistics are moved towards those of other images.

    Each layer is moved before the next is measured, in one pass over all windows together.

    Parameters
    ----------
    network : SgcldffNetwork
        Stays as it is.
    windows : Windows
        Of the target.
    weight : float
        How far, 0 not at all to 1 entirely.
    source : Moments, optional
        From `activation_moments` of windows of the source with the same network.

    Raises
    ------
    ConfigError
        If the network has no batch statistics, or the weight is out of range.

    References
    ----------
    Schneider et al., Improving robustness against common corruptions by covariate shift adaptation,
    NeurIPS 2020. Li et al., Adaptive batch normalization, Pattern Recognition 80 (2018).
    """
    if not 0 <= weight <= 1:
        raise ConfigError(f"the weight of the target's statistics is between 0 and 1, got {weight}")
    if not normalisation_layers(network):
        raise ConfigError("this network has no batch statistics that could be re-estimated")
    moved = copy.deepcopy(network)

    def move(name: str, layer: nn.Module, entering: Tensor) -> None:
        mean, variance = layer.get_buffer("running_mean"), layer.get_buffer("running_var")
        old_mean, old_variance = (mean.clone(), variance.clone()) if source is None else source[name]
        new_mean, new_variance = _moments(entering)
        ratio = (new_variance.clamp_min(1e-8) / old_variance.clamp_min(1e-8)).clamp(1 / _LARGEST_RATIO, _LARGEST_RATIO)
        mean += weight * (new_mean - old_mean)
        variance *= ratio**weight

    _pass(moved, windows, move)
    return moved


def _pass(network: SgcldffNetwork, windows: Windows, visit: Callable[[str, nn.Module, Tensor], None]) -> None:
    device = network.mean.device
    images, priors = (part.to(device) for part in windows)
    layers = normalisation_layers(network)
    hooks = [
        layer.register_forward_pre_hook(lambda module, entering, name=name: visit(name, module, entering[0]))
        for name, layer in layers.items()
    ]
    try:
        with torch.no_grad(), evaluating(network):
            network(images, priors)
    finally:
        for hook in hooks:
            hook.remove()


def _moments(entering: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(entering.float(), dim=(0, 2, 3), correction=0)
    return mean, variance


def _centres(view: FieldView) -> list[tuple[float, float]]:
    if view.labels.any():
        found = ndimage.center_of_mass(view.labels > 0, view.labels, np.arange(1, view.labels.max() + 1))
        return [(float(y), float(x)) for y, x in found]
    smooth = ndimage.gaussian_filter(view.prior, 10)
    y, x = np.unravel_index(int(smooth.argmax()), smooth.shape)
    return [(float(y), float(x))]
