"""What a run found, as a data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile

from sgcldff_core.datasets import open_dataset
from sgcldff_core.export.run_folder import read_run
from sgcldff_core.export.run_samples import write_run_as_coco

MakeRun = Callable[..., Path]


def test_a_run_written_as_coco_is_read_back_whole(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run({"a": (5, 1), "b": (0, 0), "c": (2, 0)})
    written = write_run_as_coco(read_run(folder), tmp_path / "coco")
    assert (written.images, written.cells, written.skipped) == (3, 7, ())
    samples = {sample.name: sample for sample in open_dataset(tmp_path / "coco", format="coco")}
    assert set(samples) == {"a", "b", "c"}
    np.testing.assert_array_equal(samples["a"].read_labels(), tifffile.imread(folder / "a_labels.tif"))
    names = ["neutrophil", "lymphocyte", "monocyte"]
    assert samples["a"].classes == {k + 1: names[k % 3] for k in range(5)}
    assert samples["a"].source == "predicted"


def test_an_image_that_is_gone_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run({"a": (1, 0), "b": (1, 0)})
    (tmp_path / "images" / "b.png").unlink()
    written = write_run_as_coco(read_run(folder), tmp_path / "coco")
    assert written.images == 1
    assert [skipped.name for skipped in written.skipped] == ["b"]
