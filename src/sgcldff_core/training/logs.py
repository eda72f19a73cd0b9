"""What a run leaves to look at: a table, curves, and TensorBoard events where that is installed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from sgcldff_core.files import written_atomically

__all__ = ["TrainingLog", "plot_curves", "read_log"]

_COLUMNS = ("step", "epoch", "name", "value")


class TrainingLog:
    """Appends figures to ``log.csv`` in long form, and draws ``curves.png`` after each validation.

    Parameters
    ----------
    folder : Path
        Of the run.
    keep_epochs : int
        Finished epochs of an earlier start to keep; later rows are dropped, as they come again.
    """

    def __init__(self, folder: Path, keep_epochs: int = 0) -> None:
        self.folder = folder
        self.path = folder / "log.csv"
        self.last_step = 0
        self.sums: dict[str, float] = {}
        self.steps = 0
        rows = [r for r in read_log(self.path) if int(r["epoch"]) <= keep_epochs] if keep_epochs else []
        with written_atomically(self.path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        self.board = None
        if find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(folder / "tensorboard"))

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        """Take the losses of one step; their means are written at the end of the epoch.

        Parameters
        ----------
        step : int
            Steps taken since the start of the training, earlier runs included.
        losses : mapping of str to float
            By name of the part.
        """
        self.last_step = step
        self.steps += 1
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def epoch(self, epoch: int, figures: Mapping[str, float] | None) -> None:
        """Write the mean losses of an epoch and the figures of a validation.

        Parameters
        ----------
        epoch : int
            The epoch that ended.
        figures : mapping of str to float, or None
            Of a validation, each in [0, 1]; None where there was none.
        """
        values = {f"loss/{name}": total / self.steps for name, total in self.sums.items()}
        values |= {f"validation/{name}": value for name, value in (figures or {}).items()}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows((self.last_step, epoch, name, f"{v:.6g}") for name, v in values.items())
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, self.last_step)
            self.board.flush()
        self.sums, self.steps = {}, 0
        if figures:
            plot_curves(self.path, self.folder / "curves.png")

    def close(self) -> None:
        """End what was started to write TensorBoard events; the table needs no end."""
        if self.board is not None:
            self.board.close()


def read_log(path: Path) -> list[dict[str, str]]:
    """Return the rows of a ``log.csv``; none if there is no such file.

    Parameters
    ----------
    path : Path
        Written by `TrainingLog`.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def plot_curves(log: Path, target: Path) -> None:
    """Draw losses and validation figures of a ``log.csv`` as two panels of one PNG.

    Parameters
    ----------
    log : Path
        Written by `TrainingLog`.
    target : Path
        The PNG; replaced if it exists.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    series: dict[str, list[tuple[int, float]]] = {}
    for row in read_log(log):
        series.setdefault(row["name"], []).append((int(row["epoch"]), float(row["value"])))
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 2)
    for axes, group, title in zip(panels, ("loss/", "validation/"), ("training loss", "held-out images"), strict=True):
        for name, points in series.items():
            if name.startswith(group):
                epochs, values = zip(*points, strict=True)
                label = name.removeprefix(group).replace("_", " ")
                axes.plot(epochs, values, label=label, linewidth=2 if "total" in name or "score" in name else 1)
        axes.set_title(title, loc="left")
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(fontsize=8, frameon=False, ncols=2)
    panels[0].set_yscale("log")
    lowest = min((v for n, p in series.items() if n.startswith("validation/") for _, v in p), default=0.0)
    panels[1].set_ylim(max(0.0, lowest - 0.05), 1.0)
    with written_atomically(target) as draft:
        figure.savefig(draft, dpi=120)
