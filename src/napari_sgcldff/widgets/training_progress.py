"""How a training goes: curves, a few images as the model sees them now, the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_sgcldff.widgets.curve_chart import Curve, CurveChart
from napari_sgcldff.widgets.outline_pictures import ANNOTATED, FOUND, PictureGrid, outlined_pixmap

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_sgcldff.training_run import TrainingRun

__all__ = ["TrainingProgress"]

_LOSS, _IOU, _ACCURACY = (230, 159, 0), (86, 180, 233), (0, 158, 115)  # from the palette of Okabe and Ito
_MOST_POINTS = 300


class TrainingProgress(QWidget):
    """Curves of loss, outlines and classes, and pictures of held-out images.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose theme it follows.
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.loss = CurveChart(viewer, "Training loss")
        self.figures = CurveChart(viewer, "Held-out images", shares=True)
        self.legend = QLabel(
            f"Held-out images now: <span style='color:{_hex(ANNOTATED)}'>▬</span> annotated "
            f"<span style='color:{_hex(FOUND)}'>▬</span> found"
        )
        self.legend.hide()
        self.pictures = PictureGrid(3, 96)
        self.time_left = QLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        for widget in (self.loss, self.figures, self.time_left, self.legend, self.pictures):
            layout.addWidget(widget)
        layout.addStretch()
        self._drawn: object = None
        self.show_run(None)

    def show_run(self, run: TrainingRun | None) -> None:
        """Draw where a run is, or nothing; quick where nothing is new.

        Parameters
        ----------
        run : TrainingRun or None
            It may be training in another thread.
        """
        losses = list(run.losses) if run else []
        figures = list(run.figures) if run else []
        epochs = run.epochs if run else 1
        self.loss.show_curves([Curve("loss", _LOSS, _thinned(losses))], epochs)
        iou = [(float(e), _mean_iou(f)) for e, f in figures if _mean_iou(f) is not None]
        right = [(float(e), f["accuracy"]) for e, f in figures if "accuracy" in f]
        self.figures.show_curves([Curve("outline IoU", _IOU, iou), Curve("right class", _ACCURACY, right)], epochs)
        left = run.seconds_left if run else None
        self.time_left.setText("" if not left else f"About {_spoken(left)} left" + (", paused" if run.paused else ""))
        outlined = run.outlined if run else ()
        if outlined is not self._drawn:
            self._drawn = outlined
            self.legend.setVisible(bool(outlined))
            self.pictures.show_pictures([(outlined_pixmap(o.image, o.annotated, o.found), "") for o in outlined])


def _mean_iou(figures: dict[str, float]) -> float | None:
    values = [value for name, value in figures.items() if name.startswith("iou_")]
    return sum(values) / len(values) if values else None


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Average neighbours, so that a long run does not cost more to draw than a short one."""
    size = -(-len(points) // _MOST_POINTS)
    if size < 2:
        return points
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _spoken(seconds: float) -> str:
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
