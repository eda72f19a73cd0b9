"""The plugin with the model that ships, in a process of its own: napari draws first, torch is loaded after."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

from sgcldff_core.cells import cell_columns
from sgcldff_core.taxonomy import LEUKOCYTES

SCRIPT = """
    import json, sys, time
    import napari, numpy as np
    from qtpy.QtWidgets import QApplication
    from napari_sgcldff.layers import KEY

    def draw_until(done, seconds):
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            QApplication.processEvents()
            time.sleep(0.01)

    viewer = napari.Viewer(show=True)
    viewer.open_sample("napari-sgcldff", "synthetic_field")
    draw_until(lambda: False, 1)
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Segment cells")
    assert "torch" not in sys.modules
    widget.explain.setChecked(True)
    widget.panel.run_button.click()
    draw_until(widget.panel.run_button.isEnabled, 300)
    draw_until(lambda: False, 1)
    truth = viewer.layers["synthetic field truth"].data > 0
    cells = viewer.layers["synthetic field WBC"]
    found = cells.data > 0
    print(json.dumps({
        "layers": [layer.name for layer in viewer.layers],
        "columns": list(cells.features.columns),
        "run": cells.metadata[KEY],
        "iou": float((truth & found).sum() / (truth | found).sum()),
        "message": widget.panel.message.text(),
    }))
    viewer.close()
"""


def test_the_synthetic_field_is_segmented_by_the_shipped_model(qapp: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    field = "synthetic field"
    assert said["layers"] == [field, f"{field} truth", f"{field} saliency", f"{field} Grad-CAM", f"{field} WBC"]
    assert said["columns"] == ["index", *cell_columns([c.name for c in LEUKOCYTES])]
    assert said["run"]["model"] == "leukocytes"
    assert len(said["run"]["sha256"]) == 64
    assert said["iou"] > 0.5, said["message"]
