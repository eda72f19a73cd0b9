"""Slow references from captum: what is lost with each part, and gradients along the way from nothing."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.explain.subject import Subject

__all__ = ["integrated_gradients", "occlusion"]

_STEPS = 24  # of the integral
_AT_ONCE = 16  # maps: bounds memory, most of all on the image itself


def occlusion(subject: Subject) -> Tensor:
    """Cover each part of the map in turn, and show how far the score falls.

    The part is a square of ``Subject.patch`` pixels, moved by half of it; a pixel shows the mean
    fall over all parts that covered it. What raises the score when covered counts as nothing.

    Parameters
    ----------
    subject : Subject
        N cells.

    Returns
    -------
    Tensor
        (N, h, w) float, not negative, not scaled.

    Raises
    ------
    ConfigError
        If captum is not installed.

    References
    ----------
    Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014.
    Kokhlikyan et al., Captum, arXiv 2009.07896.
    """
    activation = subject.activation.detach()
    channels, height, width = activation.shape[1:]
    side = min(subject.patch, height, width)
    step = max(1, side // 2)
    with torch.no_grad(), _captums_warnings():
        found = (
            _captum()
            .Occlusion(subject.score)
            .attribute(
                activation,
                sliding_window_shapes=(channels, side, side),
                strides=(channels, step, step),
                baselines=subject.baseline(),
                additional_forward_args=subject.rows(),
                perturbations_per_eval=max(1, _AT_ONCE // len(activation)),
            )
        )
    # One part covers all channels, so that each of them holds the same fall.
    fall: Tensor = found[:, 0].detach().relu()
    return fall


def integrated_gradients(subject: Subject) -> Tensor:
    """Gather gradients on the straight way from the baseline to the map: ``ReLU(sum over k of (A - A') mean g)``.

    Summed over all pixels, what is under the ReLU is the score less the score of the baseline.

    Parameters
    ----------
    subject : Subject
        N cells.

    Returns
    -------
    Tensor
        (N, h, w) float, not negative, not scaled.

    Raises
    ------
    ConfigError
        If captum is not installed.

    References
    ----------
    Sundararajan et al., Axiomatic attribution for deep networks, ICML 2017.
    Kokhlikyan et al., Captum, arXiv 2009.07896.
    """
    activation = subject.activation.detach()
    with torch.enable_grad(), _captums_warnings():
        found: Tensor = (
            _captum()
            .IntegratedGradients(subject.score)
            .attribute(
                activation,
                baselines=subject.baseline(),
                additional_forward_args=subject.rows(),
                n_steps=_STEPS,
                internal_batch_size=max(_AT_ONCE, len(activation)),
            )
        )
    return found.detach().sum(1).to(activation.dtype).relu()


def _captum() -> Any:
    try:
        from captum import attr
    except ImportError as missing:
        raise ConfigError(
            "occlusion and integrated-gradients need the package captum: pip install 'napari-sgcldff[explain]'"
        ) from missing
    return attr


@contextmanager
def _captums_warnings() -> Iterator[None]:
    # It warns of internal batches smaller than the input, which is a note about its own speed.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"captum(\.|$)")
        yield
