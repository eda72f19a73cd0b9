"""``sgcldff explain --sanity``: whether maps depend on weights and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import typer
from rich.table import Table

from sgcldff_core.cli.console import progress_bar, stdout
from sgcldff_core.errors import ConfigError

__all__ = ["check_sanity"]

_SMEARS, _CASCADED = 4, 2  # images that are drawn, and those of them on which weights are randomised


def check_sanity(
    paths: Sequence[Path],
    out: Path | None,
    method: str,
    level: int | None,
    target: str,
    model: str | None,
    device: str,
) -> NoReturn:
    """Randomise weights and labels, show what becomes of the maps, and leave.

    Parameters
    ----------
    paths : sequence of Path
        Images; without any, synthetic smears are drawn. The labels are always those of synthetic smears.
    out : Path or None
        Where to write; nothing is written without it.
    method, target, model, device
        As ``sgcldff explain`` takes them.
    level : int or None
        A stride, None for the fused map.

    Raises
    ------
    typer.Exit
        Always: 0 where the method passes, 1 where it does not.
    ConfigError
        If a setting is unknown, or no cell is found.
    """
    import numpy as np

    from sgcldff_core.datasets import read_rgb
    from sgcldff_core.evaluation.explanation_table import level_name
    from sgcldff_core.evaluation.sanity_labels import check_labels
    from sgcldff_core.evaluation.sanity_report import SanityReport, write_sanity
    from sgcldff_core.evaluation.sanity_weights import INTACT, cascade
    from sgcldff_core.explain import find_method
    from sgcldff_core.inference.device import choose_device
    from sgcldff_core.inference.explain_field import check_method, check_target
    from sgcldff_core.model import load_model
    from sgcldff_core.smear import SmearSettings, make_smear

    check_method(method, level)
    check_target(target)
    loaded = load_model(model, device=choose_device(device))
    settings = SmearSettings(leukocytes=8, diameter=110, touching=0, cut=0, stain="wright")
    with progress_bar() as bar:
        task = bar.add_task("drawing smears", total=None)
        smears = [make_smear(seed, settings) for seed in range(_SMEARS)]
        bar.update(task, description="randomising weights")
        images = [read_rgb(path) for path in paths] or [np.asarray(smear.image) for smear in smears[:_CASCADED]]
        series = [c for image in images for c in cascade(image, loaded, method=method, level=level, target=target)]
        if not series:
            raise ConfigError("no cell was found to explain; name images that show some")
        labels = None
        if target == "class" and {kind for s in smears for kind in s.classes.values()} & set(loaded.config.classes):
            bar.update(task, description="shuffling labels")
            samples = [smear.to_sample(f"smear{seed}") for seed, smear in enumerate(smears)]
            labels = check_labels(samples, loaded, method=method, level=level)
    report = SanityReport(f"{find_method(method).title}, {level_name(level)}, {target}", tuple(series), labels)
    table = Table(title=f"model {loaded.name}, {len(series)} cells: likeness to the intact map", title_justify="left")
    table.add_column("randomised down to")
    table.add_column("rank correlation", justify="right")
    table.add_column("SSIM", justify="right")
    for name, (rank, ssim) in report.depths.items():
        if name != INTACT:
            table.add_row(name, f"{rank:.2f}", f"{ssim:.2f}")
    if labels is not None:
        for name, pairs in (("true labels again", labels.true_labels), ("shuffled labels", labels.shuffled_labels)):
            means = (np.mean([p.rank for p in pairs]), np.mean([p.ssim for p in pairs]))
            table.add_row(name, *(f"{mean:.2f}" for mean in means))
    stdout.print(table)
    stdout.print(f"{report.verdict} {report.caution}".rstrip(), soft_wrap=True)
    if out is not None:
        write_sanity(report, out)
    raise typer.Exit(0 if report.passed else 1)
