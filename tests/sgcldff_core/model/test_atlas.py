"""An atlas names cells by those that measure alike, leaves strange ones to the network, and is kept with a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from sgcldff_core.errors import ConfigError, CorruptModelError
from sgcldff_core.model import load_model, save_model
from sgcldff_core.model.atlas import ATLAS, CellAtlas, read_atlas, save_atlas
from sgcldff_core.model.cell_measures import MEASURES

CLASSES = ("monocyte", "lymphocyte", "blast")


def cells(count: int, at: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(at, 1.0, (count, len(MEASURES))).astype(np.float32)


def atlas(monocytes: int = 30, lymphocytes: int = 30) -> CellAtlas:
    names = ("monocyte",) * monocytes + ("lymphocyte",) * lymphocytes
    return CellAtlas(np.concatenate([cells(monocytes, -1.0), cells(lymphocytes, 1.0, 1)]), names)


def unsure(count: int = 1, blast: float = 0.0) -> np.ndarray:
    rest = (1 - blast) / 2
    return np.tile(np.array([[rest, rest, blast]], np.float32), (count, 1))


def test_where_the_network_is_unsure_cells_are_named_by_those_alike() -> None:
    for at, name in ((-1.0, 0), (1.0, 1)):
        told = atlas().opinion(cells(20, at, 7), unsure(20), CLASSES)
        assert (told.argmax(axis=1) == name).all()
        assert told.max(axis=1).min() > 0.6


def test_what_both_say_is_the_logarithmic_mean() -> None:
    asked, network = cells(5, -1.0, 3), np.array([[0.3, 0.7, 0.0]] * 5, np.float32)
    alone = atlas().opinion(asked, unsure(5), CLASSES)[:, :2].astype(float)
    own = alone**2 / (alone**2).sum(axis=1, keepdims=True)  # it had half of the say beside one who had no opinion
    both = np.sqrt(own * network[:, :2])
    np.testing.assert_allclose(
        atlas().opinion(asked, network, CLASSES)[:, :2], both / both.sum(axis=1, keepdims=True), atol=5e-3
    )


def test_the_further_away_a_cell_is_the_less_the_atlas_has_to_say() -> None:
    network = np.array([[0.2, 0.8, 0.0]] * 6, np.float32)
    steps = np.array([0.0, 0.5, 1.0, 1.5, 2.0, 4.0], np.float32)[:, None]
    asked = atlas().measures[:1] - steps * np.sign(atlas().measures.std(axis=0))  # from a monocyte outwards
    told = atlas().opinion(asked, network, CLASSES)[:, 0]
    assert told[0] > 0.5
    named, share = atlas().name(asked)
    np.testing.assert_allclose(named.sum(axis=1), 1)
    assert (share[0], share[-1]) == (0.5, 0.0)
    assert (np.diff(told) <= 1e-3).all()
    assert told[-1] == pytest.approx(0.2, abs=2e-3)


def test_a_cell_unlike_any_keeps_the_name_that_the_network_gave_it() -> None:
    strange, network = cells(20, 0.0) + 500 * np.resize([1, -1], len(MEASURES)), np.array([[0.2, 0.8, 0.0]], np.float32)
    told = atlas().opinion(strange.astype(np.float32), np.repeat(network, 20, 0), CLASSES)
    np.testing.assert_allclose(told, np.repeat(network, 20, 0), atol=2e-3)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.01, 1.0), min_size=3, max_size=3), st.floats(-4, 4))
def test_a_class_that_the_atlas_does_not_know_keeps_its_probability(odds: list[float], at: float) -> None:
    network = np.array([odds], np.float32) / sum(odds)
    told = atlas().opinion(cells(1, at), network, CLASSES)
    assert told.sum() == pytest.approx(1, abs=1e-5)
    assert told[0, 2] == pytest.approx(network[0, 2], abs=1e-6)
    assert (told >= 0).all()


def test_one_class_or_one_cell_of_it_is_no_opinion() -> None:
    network = np.array([[0.2, 0.8, 0.0]], np.float32)
    for known in (atlas(lymphocytes=0), atlas(lymphocytes=1)):
        np.testing.assert_array_equal(known.opinion(cells(1, -1.0), network, CLASSES), network)
    np.testing.assert_array_equal(atlas().opinion(cells(1, -1.0), network, ("a", "b", "c")), network)
    assert atlas().opinion(cells(0, 0.0), network[:0], CLASSES).shape == (0, 3)


def test_what_it_would_say_of_its_own_cells_is_what_it_says_without_them() -> None:
    """The closed form against leaving each out, at the same scale of measures."""
    known = atlas(8, 12)
    known = replace(known, measures=known.measures + cells(20, 0.0, 5))
    scores = known._fitted[2]
    for i in range(20):
        others = [k for k in range(20) if k != i]
        kernel, ridge = _kernel_and_ridge(known)
        wanted = np.eye(2)[known._cells[1]] - 0.5
        weights = np.linalg.solve(kernel[np.ix_(others, others)] + np.diag(ridge[others]), wanted[others])
        np.testing.assert_allclose(kernel[i, others] @ weights, scores[i], atol=1e-8)
    assert 0.5 < known.right_by_itself <= 1


def _kernel_and_ridge(known: CellAtlas) -> tuple[np.ndarray, np.ndarray]:
    from sgcldff_core.model import atlas as module

    cells, numbers = known._cells
    ridge = module._RIDGE * np.sqrt(2 * np.bincount(numbers)[numbers] / len(numbers))
    apart = ((cells[:, None] - cells[None]) ** 2).mean(axis=-1)
    return np.exp(-module._WIDTH * apart), ridge


def test_corrected_cells_count_at_once() -> None:
    asked, network = cells(10, 3.0, 9), np.array([[0.2, 0.45, 0.35]] * 10, np.float32)
    assert (atlas().opinion(asked, network, CLASSES).argmax(axis=1) == 1).all()
    corrected = CellAtlas(cells(6, 3.0, 11), ("blast",) * 6)
    assert (atlas().joined(corrected).opinion(asked, network, CLASSES).argmax(axis=1) == 2).all()


def test_an_atlas_is_kept_with_a_model_and_goes_when_the_model_has_none(tmp_path: Path) -> None:
    model = replace(load_model("leukocytes-small"), atlas=atlas())
    save_model(model, tmp_path / "with")
    found = load_model(tmp_path / "with").atlas
    assert found is not None
    assert found.classes == atlas().classes
    np.testing.assert_allclose(found.measures, atlas().measures, atol=2e-3)
    save_model(replace(model, atlas=None), tmp_path / "with")
    assert load_model(tmp_path / "with").atlas is None


@pytest.mark.parametrize("damage", ["bytes", "version", "count", "width", "infinite", "classes"])
def test_a_damaged_atlas_is_refused(tmp_path: Path, damage: str) -> None:
    save_atlas(atlas(2, 2), tmp_path)
    notes: dict[str, object] = {"version": 1, "classes": ["a", "b"]}
    measures = np.zeros((2, len(MEASURES)), np.float16)
    if damage == "bytes":
        (tmp_path / ATLAS).write_bytes(b"nothing")
    else:
        notes |= {"version": {"version": 2}, "classes": {"classes": None}}.get(damage, {})
        rows = {"count": measures[:1], "width": measures[:, 1:], "infinite": measures + np.float16(np.inf)}
        save_file({"measures": rows.get(damage, measures)}, tmp_path / ATLAS, {"notes": json.dumps(notes)})
    with pytest.raises(CorruptModelError, match=r"atlas\.safetensors: is no atlas of cells .*models atlas"):
        read_atlas(tmp_path)


def test_measures_and_names_fit(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="finite measures"):
        CellAtlas(cells(3, 0.0), ("a", "b"))
    assert read_atlas(tmp_path) is None
