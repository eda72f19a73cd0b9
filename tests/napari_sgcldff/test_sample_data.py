"""Sample data as napari opens it."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sgcldff.layers import classes_of
from napari_sgcldff.sample_data import curated_example, synthetic_slide
from sgcldff_core.datasets import open_dataset


def test_the_slide_is_lazy_and_its_levels_and_truth_fit_together() -> None:
    (pyramid, _, _), (truth, attributes, _) = synthetic_slide()
    assert pyramid[0].shape == (8192, 8192, 3)
    assert [level.shape[0] for level in pyramid] == [level.shape[0] for level in truth] == [8192, 4096, 2048, 1024, 512]
    assert all(isinstance(level, da.Array) for level in (*pyramid, *truth))
    window = (slice(0, 512), slice(0, 1024))
    found = set(np.unique(np.asarray(truth[0][window]))) - {0}
    assert found
    known = dict(zip(attributes["features"]["index"], attributes["features"]["class"], strict=True))
    assert found <= set(known)
    assert len(set(known.values())) == 5
    far = set(np.unique(np.asarray(truth[4]))) - {0}
    assert far <= set(known)
    assert len(far) > 350


def test_the_curated_example_is_made_once_and_opens_with_labels_and_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path))
    viewer = ViewerModel()
    for data, attributes, kind in curated_example():
        getattr(viewer, f"add_{kind}")(data, **attributes)
    image, labels = viewer.layers[:2]
    assert image.data.shape == (6, 480, 640, 3)
    assert len(classes_of(labels)) > 12
    (folder,) = tmp_path.iterdir()
    assert open_dataset(folder).format == "curated"
    before = (folder / "dataset.json").read_bytes()
    curated_example()
    assert (folder / "dataset.json").read_bytes() == before
