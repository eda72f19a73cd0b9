"""The rows of the ablation: the whole recipe, and the recipe without one of its parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from sgcldff_core.training import TrainingConfig

__all__ = ["FULL", "PAPER_ROWS", "ROWS", "AblationRow", "choose_rows", "row_config"]


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One row of the table.

    Attributes
    ----------
    name : str
        As the command line and folders spell it.
    title : str
        As tables show it.
    explanation : str
        One line: what is switched off, and what that leaves.
    change : callable
        From the settings of the whole recipe to those of this row; it changes nothing else.
    """

    name: str
    title: str
    explanation: str
    change: Callable[[TrainingConfig], TrainingConfig]


def _full(config: TrainingConfig) -> TrainingConfig:
    return config


def _no_prior_channel(config: TrainingConfig) -> TrainingConfig:
    return replace(config, model=replace(config.model, prior_channel=False))


def _no_gating(config: TrainingConfig) -> TrainingConfig:
    return replace(config, model=replace(config.model, gating=False))


def _no_vote(config: TrainingConfig) -> TrainingConfig:
    return replace(config, model=replace(config.model, prior_vote=False))


def _no_saliency(config: TrainingConfig) -> TrainingConfig:
    return _no_suppression(_no_alignment(_no_vote(_no_gating(_no_prior_channel(config)))))


def _no_fusion(config: TrainingConfig) -> TrainingConfig:
    return replace(config, model=replace(config.model, fusion=False))


def _no_alignment(config: TrainingConfig) -> TrainingConfig:
    return replace(config, loss=replace(config.loss, alignment=0.0, cam=0.0))


def _no_suppression(config: TrainingConfig) -> TrainingConfig:
    return replace(config, loss=replace(config.loss, suppression=0.0))


def _plain_cross_entropy(config: TrainingConfig) -> TrainingConfig:
    # Without a balance the outlines of rare classes weigh no more either, see ViewStream. How often
    # each data set is shown has nothing to do with classes and stays; so does label smoothing.
    return replace(config, class_power=0.0, loss=replace(config.loss, balance="none"))


def _no_swin(config: TrainingConfig) -> TrainingConfig:
    return replace(config, model=replace(config.model, swin=False))


def _random_start(config: TrainingConfig) -> TrainingConfig:
    # Weights drawn at random have no batch statistics worth keeping, and nothing to go gently on.
    if config.start == "random":
        return config
    return replace(config, start="random", backbone_rate=1.0, model=replace(config.model, frozen_statistics=False))


def _no_synthetic(config: TrainingConfig) -> TrainingConfig:
    return replace(config, synthetic_images=0, augmentation=replace(config.augmentation, synthetic=0.0))


FULL = "full"
"""Name of the row that all others are held against."""

ROWS: Mapping[str, AblationRow] = {
    row.name: row
    for row in (
        AblationRow(FULL, "full", "The recipe as given; all other rows differ from it in one thing.", _full),
        AblationRow(
            "no-prior-channel",
            "no prior channel",
            "The stem sees three channels; gates and saliency losses stay.",
            _no_prior_channel,
        ),
        AblationRow(
            "no-gating",
            "no gating",
            "No level is lifted where the prior is salient, and channel attention takes a plain mean.",
            _no_gating,
        ),
        AblationRow(
            "no-vote",
            "no vote of the prior",
            "The prior is not added to the logits of the leukocyte mask; channel, gates and saliency losses stay.",
            _no_vote,
        ),
        AblationRow(
            "no-saliency",
            "no saliency at all",
            "No prior channel, no gating, no vote, no alignment, no background suppression. "
            "Cells that have a box and no mask are still outlined after the prior.",
            _no_saliency,
        ),
        AblationRow(
            "no-fusion",
            "no fusion",
            "Only the deepest level goes on, through a plain top-down decoder.",
            _no_fusion,
        ),
        AblationRow(
            "no-alignment",
            "no alignment",
            "Neither the activation map nor the class-activation map is drawn to the cells.",
            _no_alignment,
        ),
        AblationRow(
            "no-suppression",
            "no background suppression",
            "Activation outside the cells costs nothing.",
            _no_suppression,
        ),
        AblationRow(
            "plain-cross-entropy",
            "plain cross-entropy",
            "Rare classes weigh no more in the loss or in outlines, and are shown and pasted no more often.",
            _plain_cross_entropy,
        ),
        AblationRow("no-swin", "no Swin", "No attention blocks at strides 16 and 32.", _no_swin),
        AblationRow(
            "random-start",
            "random start",
            "No ImageNet weights; the encoder learns at the full rate, with batch statistics of its own.",
            _random_start,
        ),
        AblationRow("no-synthetic", "no synthetic smears", "Real images only.", _no_synthetic),
    )
}
"""All rows by name, in the order of the table."""

PAPER_ROWS = (FULL, "no-saliency", "no-fusion")
"""The rows that the paper has too."""


def row_config(name: str, config: TrainingConfig) -> TrainingConfig:
    """Return the settings of one row.

    Parameters
    ----------
    name : str
        A key of `ROWS`.
    config : TrainingConfig
        The whole recipe.

    Returns
    -------
    TrainingConfig
        The same but for what the row switches off.

    Raises
    ------
    ConfigError
        If there is no such row, if it would change nothing, or if it changes the architecture of a
        recipe that starts from a trained model's weights.
    """
    if name not in ROWS:
        raise ConfigError(f"unknown row {name!r}; known are {', '.join(ROWS)}")
    changed = ROWS[name].change(config)
    if name != FULL and changed == config:
        raise ConfigError(f"row {name!r} changes nothing: the settings do without that part already")
    if config.start not in ("imagenet", "random") and changed.start == config.start and changed.model != config.model:
        raise ConfigError(
            f"row {name!r} changes the architecture, so the weights of {config.start} do not fit; "
            "ablate a recipe with start = 'imagenet'"
        )
    return changed


def choose_rows(names: Sequence[str], config: TrainingConfig) -> tuple[list[str], dict[str, str]]:
    """Return the rows to run.

    Parameters
    ----------
    names : sequence of str
        Rows asked for, each of which must be possible; all that are possible where it is empty.
    config : TrainingConfig
        The whole recipe.

    Returns
    -------
    rows : list of str
        In the order of `ROWS`.
    skipped : dict of str to str
        Row to why it is left out, where nothing was asked for by name.

    Raises
    ------
    ConfigError
        As `row_config`, for a row asked for by name.
    """
    if names:
        for name in names:
            row_config(name, config)
        return [name for name in ROWS if name in names], {}
    skipped = {}
    for name in ROWS:
        try:
            row_config(name, config)
        except ConfigError as refused:
            skipped[name] = str(refused)
    return [name for name in ROWS if name not in skipped], skipped
