"""An atlas is measured on what the model finds of annotated cells, and grows with what is learned afterwards."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.evaluation.atlas_cells import atlas_of, enlarge_atlas
from sgcldff_core.inference import predict_image, windows
from sgcldff_core.model import Model, load_model, save_model
from sgcldff_core.sample import Sample
from sgcldff_core.smear import SmearSettings, make_smear


@pytest.fixture(scope="module")
def model() -> Model:
    return replace(load_model("leukocytes-small"), atlas=None)


@pytest.fixture(scope="module")
def fields() -> list[Sample]:
    """Six fields with three cells each."""
    smear = SmearSettings(height=256, width=256, diameter=64, leukocytes=3, stain="wright", touching=0)
    return [make_smear(i, smear).to_sample(f"s{i}") for i in range(6)]


def test_found_cells_are_kept_under_the_names_that_are_annotated(model: Model, fields: list[Sample]) -> None:
    told: list[tuple[int, int]] = []
    atlas = atlas_of(fields, model, lambda done, total: told.append((done, total)))
    annotated = [name for s in fields for name in (s.classes or {}).values()]
    assert told == [(i, 6) for i in range(6)]
    assert 0.7 * len(annotated) <= len(atlas.classes) <= len(annotated)
    assert set(atlas.classes) <= set(annotated)
    assert (atlas.measures.std(axis=0) > 0).mean() > 0.9


def test_what_has_no_outline_or_no_known_class_is_passed_over(model: Model, fields: list[Sample]) -> None:
    strange = replace(fields[0], classes=dict.fromkeys(fields[0].classes or {}, "blast"))
    bare = replace(fields[1], labels=None, nucleus=None, classes=None)
    published = replace(fields[2], split="test")  # what a data set keeps for judging is in no atlas
    assert atlas_of([strange, bare, published], model).classes == ()


def test_names_come_from_network_and_atlas_together(model: Model, fields: list[Sample]) -> None:
    """An atlas that calls all these cells basophils, but for some that are like none of them."""
    image = fields[0].read_image()
    alone = predict_image(image, model)
    known = atlas_of(fields, model)
    other = replace(known, measures=known.measures + 50, classes=("monocyte",) * len(known.classes))
    misled = replace(known, classes=("basophil",) * len(known.classes)).joined(other)
    both = predict_image(image, replace(model, atlas=misled))
    np.testing.assert_array_equal(both.labels, alone.labels)
    assert (both.cells["prob_basophil"] > alone.cells["prob_basophil"]).all()
    columns = [f"prob_{name}" for name in model.config.classes]
    np.testing.assert_allclose(both.cells[columns].sum(axis=1), 1, atol=1e-4)
    named = both.cells[columns].to_numpy().argmax(axis=1)
    assert both.cells["class"].tolist() == [model.config.classes[k] for k in named]
    assert both.evidence is not None
    np.testing.assert_allclose(both.evidence["confidence"], both.cells["confidence"], atol=1e-4)


def test_a_crowded_field_of_which_few_cells_get_another_name(
    model: Model, fields: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells are explained some at a time; of some none has another name than the network gave it."""
    monkeypatch.setattr(windows.cell_windows, "__kwdefaults__", {"margin": 0.0, "chunk": 1})
    image = fields[0].read_image()
    alone = predict_image(image, model)
    assert len(alone.cells) > 1

    class OneRenamed:
        def opinion(self, _: object, probabilities: np.ndarray, __: object) -> np.ndarray:
            told = probabilities.copy()
            told[0] = np.roll(told[0], 1)
            return told

    both = predict_image(image, replace(model, atlas=OneRenamed()))  # type: ignore[arg-type]
    assert (both.cells["class"] != alone.cells["class"]).tolist() == [True, *[False] * (len(alone.cells) - 1)]


def test_an_atlas_grows_with_what_a_model_that_goes_on_has_learned(
    model: Model, fields: list[Sample], tmp_path: Path
) -> None:
    before = atlas_of(fields[:4], model)
    base = replace(model, atlas=before)
    save_model(base, tmp_path)
    weights = load_model(tmp_path).sha256
    enlarge_atlas(tmp_path, base, fields[4:])
    grown = load_model(tmp_path)
    assert grown.sha256 == weights
    assert grown.atlas is not None
    assert grown.atlas.classes == (*before.classes, *atlas_of(fields[4:], model).classes)
    enlarge_atlas(tmp_path, model, fields)  # a base without an atlas has none to hand on
    assert len(load_model(tmp_path).atlas.classes) == len(grown.atlas.classes)  # type: ignore[union-attr]
