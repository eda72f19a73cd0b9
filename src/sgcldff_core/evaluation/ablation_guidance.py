"""What saliency does within a trained network: its gates, and what it does once the prior is taken away."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.files import write_json
from sgcldff_core.losses.saliency import activation_map
from sgcldff_core.model import load_model
from sgcldff_core.model.fusion import pool_to
from sgcldff_core.training import prepare, typical_diameters
from sgcldff_core.training.targets import collate
from sgcldff_core.training.validation import validate, whole_view

if TYPE_CHECKING:
    from sgcldff_core.model import SgcldffNetwork
    from sgcldff_core.sample import Sample
    from sgcldff_core.training import PreparedSample

__all__ = ["GUIDANCE", "Guidance", "measure_guidance", "measured_guidance", "read_guidance"]

GUIDANCE = "guidance.json"
"""File in a trial's folder."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """How a network uses the prior, on images that it did not learn from, at the canonical scale.

    Attributes
    ----------
    alpha : tuple of float
        Gate strengths from stride 4 on down, which all start at 0.3; empty without gating.
    channel_weight : float or None
        Norm of the stem's weights on the prior over the mean norm of those on red, green and blue;
        starts at 0. None without a prior channel.
    vote : tuple of float
        Weight of the prior's vote on the mask in logits, which starts at 2.5, and the saliency at which it
        turns, which starts at 0.35; empty without a vote.
    inside : float
        Share of the fused map's activation that is inside the leukocytes, mean over images.
    area : float
        Share of the image that is inside them: what `inside` would be by chance.
    figures, blank_figures : dict of str to float
        IoU of each source, accuracy and macro-F1 of cells pooled by their annotated mask; with the
        prior, and with a prior of zeros.
    """

    alpha: tuple[float, ...]
    channel_weight: float | None
    vote: tuple[float, ...]
    inside: float
    area: float
    figures: dict[str, float]
    blank_figures: dict[str, float]


def measured_guidance(folder: Path, samples: Sequence[Sample]) -> Guidance:
    """Return how the model of a finished trial uses the prior; what is measured already is read back.

    Parameters
    ----------
    folder : Path
        Of the trial; gets `GUIDANCE`.
    samples : sequence of Sample
        The images that the trial judged; those without masks are left out.

    Raises
    ------
    ConfigError
        If none has masks.
    """
    path = folder / GUIDANCE
    if path.is_file():
        return read_guidance(folder)
    model = load_model(str(folder))
    config = model.config
    with_masks = [s for s in samples if s.labels is not None]
    diameters = typical_diameters(with_masks)
    prepared, _ = prepare(with_masks, config.classes, config.canonical_diameter, diameters, config.prior)
    guidance = measure_guidance(model.network, prepared, config.canonical_diameter)
    write_json(path, asdict(guidance))
    return guidance


def read_guidance(folder: Path) -> Guidance:
    """Read what `measured_guidance` left in a trial's folder.

    Parameters
    ----------
    folder : Path
        Of a finished trial.

    Raises
    ------
    FormatError
        If there is nothing, or it is damaged.
    """
    path = folder / GUIDANCE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Guidance(**values | {name: tuple(values[name]) for name in ("alpha", "vote")})
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise FormatError(path, f"cannot be read ({broken})", "delete it, and run the ablation again") from broken


@torch.inference_mode()
def measure_guidance(network: SgcldffNetwork, samples: Sequence[PreparedSample], canonical_diameter: float) -> Guidance:
    """Look into a network while it looks at images.

    Parameters
    ----------
    network : SgcldffNetwork
        Left in the mode in which it came.
    samples : sequence of PreparedSample
        With masks, at least one.
    canonical_diameter : float
        Of the model, in px.

    Returns
    -------
    Guidance
        Means over the images.

    Raises
    ------
    ConfigError
        If there is no image, or one has no masks.
    """
    if not samples:
        raise ConfigError("there is no image with masks to measure guidance on")
    mode = network.training
    network.eval()
    device = network.mean.device
    shares = []
    for sample in samples:
        view = whole_view(sample)
        if view.labels is None:
            raise ConfigError(f"{sample.name} has no masks, so nobody can say what lies inside them; leave it out")
        image, prior = collate([view])
        fused = network(image.to(device), prior.to(device)).fused.cpu()
        # What lies beyond the image counts neither as seen nor as area.
        shown = pool_to(view.inside[None, None].float(), fused)
        seen, cells = activation_map(fused) * shown, pool_to((view.labels > 0)[None, None].float(), fused)
        shares.append(((seen * cells).sum() / seen.sum().clamp_min(1e-6), cells.sum() / shown.sum()))
    network.train(mode)
    inside, area = (float(np.mean(values)) for values in zip(*shares, strict=True))
    blank = [replace(s, prior=np.zeros_like(s.prior)) for s in samples]
    return Guidance(
        alpha=() if network.gate is None else tuple(round(a, 4) for a in network.gate.alpha.tolist()),
        channel_weight=_channel_weight(network),
        vote=() if network.vote is None else (network.vote.beta.item(), network.vote.threshold.item()),
        inside=inside,
        area=area,
        figures=validate(network, samples, canonical_diameter).to_dict(),
        blank_figures=validate(network, blank, canonical_diameter).to_dict(),
    )


def _channel_weight(network: SgcldffNetwork) -> float | None:
    if not network.prior_channel:
        return None
    norms = torch.linalg.vector_norm(network.backbone.get_parameter("stem.0.weight"), dim=(0, 2, 3))
    return float(norms[3] / norms[:3].mean())
