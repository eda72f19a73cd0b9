"""Walk through the plugin as a person would, and take the pictures that the documentation shows.

Opens napari, goes through open, segment, explain, correct, train and export, and saves a screenshot of
each station::

    sh scripts/on-screen.sh python docs/tour.py --out tour                       # a real field where there is one
    sh scripts/on-screen.sh python docs/tour.py --out tour --field smear.jpg     # a field of one's own
    sh scripts/on-screen.sh python docs/tour.py --out docs/images --synthetic    # a synthetic field

Real fields are looked for in the folder named by ``SGCLDFF_DATA``, or else ``../shared/data``. Pictures of others'
images do not belong into the repository, so the documentation shows the synthetic field. What the tour saves, a model
and a curated folder, goes to a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = (1400, 900)
PATIENCE = 600  # s


class Tour:
    """One walk, in one viewer.

    Parameters
    ----------
    out : Path
        Folder of the pictures.
    folder : Path
        For what is saved on the way.
    quick : bool
        Train for one epoch only.
    """

    def __init__(self, out: Path, folder: Path, *, quick: bool) -> None:
        import napari

        self.out, self.folder, self.quick = out, folder, quick
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*SIZE)

    def walk(self, field: Path | None) -> None:
        """Go through all stations."""
        self.open(field)
        self.segment()
        self.explain()
        self.correct()
        self.export()
        self.train()

    def open(self, field: Path | None) -> None:
        """Open a field: an image file, or the sample data."""
        if field is None:
            self.viewer.open_sample("napari-sgcldff", "synthetic_field")
            for layer in [layer for layer in self.viewer.layers if layer.name != self.image.name]:
                self.viewer.layers.remove(layer)  # the cells that were drawn: the model is to find them
        else:
            self.viewer.open(field)
        self.viewer.reset_view()
        self.picture("open")

    def segment(self) -> None:
        """Find, outline and name the cells."""
        widget = self.dock("Segment cells")
        widget.explain.setChecked(True)
        self.click(widget.panel)
        self.picture("segment")

    def explain(self) -> None:
        """Ask why a cell has its name."""
        from napari_sgcldff.session import session_of

        cells = self.cells
        doubtful = cells.features.sort_values("confidence")["label"]
        widget = self.dock("Explain cells")
        session_of(self.viewer).label = int(doubtful.iloc[0])
        self.wait(lambda: not widget.panel.running)
        self.picture("explain")

    def correct(self) -> None:
        """Give a cell another class, take that back, and accept cells one after the other."""
        widget = self.dock("Correct cells")
        for layer in self.viewer.layers:
            if layer.name.endswith("Grad-CAM"):
                layer.visible = False
        self.click(widget.panel)
        self.wait(lambda: widget.correction is not None)
        correction = widget.correction
        correction.next_cell()
        correction.name_cell(widget.palette_.classes[3])
        correction.undo()
        for _ in range(3):
            correction.accept()
        self.settle()
        self.picture("correct")
        widget.finish()
        self.wait(lambda: widget.correction is None)

    def export(self) -> None:
        """Save the cells as a curated folder, and as COCO."""
        both = [self.image, self.cells]
        self.viewer.layers.selection = set(both)
        for name in ("smear.curated", "coco.json"):
            written = self.viewer.layers.save(str(self.folder / name), selected=True, plugin="napari-sgcldff")
            if not written:
                raise RuntimeError(f"nothing was written to {name}")
            print("saved", *written)  # noqa: T201

    def train(self) -> None:
        """Let the model learn from the corrected cells, and compare before with after."""
        from napari_sgcldff.sample_data import curated_example

        widget = self.dock("Train a model")
        widget.sources.add_pair(self.image, self.cells)
        curated_example()  # some fields that somebody has curated, to learn from and to hold out
        widget.sources.add_path(str(next(self.folder.rglob("curated-example-*"))))
        widget.settings.epochs.setValue(2 if self.quick else 8)
        epochs = widget.settings.epochs.value()
        widget.panel.run_button.click()
        curves = widget.progress.figures
        self.wait(lambda: any(len(c.points) >= min(epochs, 4) for c in curves.curves) or not widget.panel.running)
        self.picture("train")
        self.wait(lambda: not widget.panel.running and widget.before_after.isVisible())
        widget.name.setText("corrected")
        widget.save_button.click()
        self.picture("before-after")

    @property
    def image(self) -> Any:
        """The field."""
        return next(layer for layer in self.viewer.layers if getattr(layer, "rgb", False))

    @property
    def cells(self) -> Any:
        """What was found in it."""
        return self.viewer.layers[f"{self.image.name} WBC"]

    def dock(self, name: str) -> Any:
        """Open a widget as the menu does, and close the one before."""
        for shown in list(self.viewer.window.dock_widgets):
            self.viewer.window.remove_dock_widget(self.viewer.window.dock_widgets[shown])
        _, widget = self.viewer.window.add_plugin_dock_widget("napari-sgcldff", name)
        self.settle()
        return widget

    def click(self, panel: Any) -> None:
        """Press a panel's button and wait until its task is over."""
        if not panel.run_button.isEnabled():
            raise RuntimeError(f"{panel.run_button.text()} is disabled: {panel.run_button.toolTip()}")
        panel.run_button.click()
        self.wait(lambda: not panel.running)

    def wait(self, done: Callable[[], bool]) -> None:
        """Let the window live until something is done."""
        end = time.monotonic() + PATIENCE
        while not done():
            if time.monotonic() > end:
                raise TimeoutError(f"the tour waited for {PATIENCE} s in vain")
            self.settle(0.05)

    def settle(self, seconds: float = 0.5) -> None:
        """Let the window draw what is pending."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.01)

    def picture(self, name: str) -> None:
        """Save what is to be seen."""
        self.settle(1.0)
        file = self.out / f"tour-{name}.png"
        self.viewer.screenshot(str(file), canvas_only=False, flash=False)
        print("took", file, flush=True)  # noqa: T201


def real_field() -> Path | None:
    """Return a field of BCCD, None where it is not there."""
    data = Path(os.environ.get("SGCLDFF_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    return next(iter(sorted((data / "bccd").glob("**/BloodImage_00004.jpg"))), None)


def main() -> int:
    """Take the tour."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--field", type=Path, help="image of a smear; by default a real one where there is one")
    which.add_argument("--synthetic", action="store_true", help="draw a field")
    parser.add_argument("--quick", action="store_true", help="train for one epoch only")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sgcldff-tour-") as folder:
        # What is remembered and saved on the way is not to be found in the user's own folders.
        os.environ |= dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), folder)
        tour = Tour(options.out, Path(folder), quick=options.quick)
        try:
            tour.walk(None if options.synthetic else options.field or real_field())
        finally:
            tour.viewer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
