"""What is far from smears is flagged and not counted; a fitted rule decides where there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sgcldff_core.cells import UNLIKE_A_SMEAR, counted_cells, differential
from sgcldff_core.explain import EVIDENCE, UNLIKE_THE_STAIN
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.explain_cell import explain_labels
from sgcldff_core.inference.trust import distance_from_smears
from sgcldff_core.model import Model
from sgcldff_core.model.known_smears import KnownSmears, image_look
from sgcldff_core.model.known_stains import KnownStain, KnownStains
from sgcldff_core.model.review_rule import DOUBTS, ReviewRule, RiskScore

Draw = Callable[..., NDArray[np.uint8]]
SHAPE = (150, 210)
CELLS = ((50.0, 60.0, 25.0), (110.0, 150.0, 25.0))


def smears(image: NDArray[np.uint8], diameter: float, away: float = 0.0) -> KnownSmears:
    look = image_look(image, diameter) + away
    return KnownSmears(tuple(look.tolist()), tuple(tuple(r) for r in np.eye(10).tolist()), 1.0, 0.0, -50.0)


def test_an_image_unlike_smears_is_flagged_and_not_counted(stain_reader: Model, draw: Draw) -> None:
    image = draw(SHAPE, *CELLS)
    for away, is_smear in ((0.1, True), (2.0, False)):
        model = replace(stain_reader, known_smears=smears(image, 50, away))
        found = predict_image(image, model, name="field", diameter=50)
        assert found.is_smear == is_smear
        assert found.unlike_smears == pytest.approx(away * np.sqrt(10), abs=0.5)
        assert found.cells["review_reason"].str.startswith(UNLIKE_A_SMEAR).tolist() == [not is_smear] * 2
        assert found.cells["needs_review"].all() or is_smear
        counts = differential(counted_cells(found.cells), model.config.classes, ["field"])
        assert counts["count"].sum() == (4 if is_smear else 0)  # once for the image, once for all
    assert predict_image(image, stain_reader, diameter=50).unlike_smears is None


def test_of_an_almost_empty_field_the_cell_is_judged(stain_reader: Model, draw: Draw) -> None:
    field = draw((600, 600), (300.0, 300.0, 20.0))
    labels = np.zeros((600, 600), np.int32)
    labels[280:321, 280:321] = 1  # centred on (300, 300)
    known = smears(field[250:350, 250:350], 40.0)
    model = replace(stain_reader, known_smears=known)
    assert distance_from_smears(model, field, labels) == pytest.approx(0, abs=0.1)  # focus has a small part
    assert known.distance(field, 40.0) > 1
    assert distance_from_smears(model, field, 0 * labels) == known.distance(field, 40.0)


def test_a_rule_decides_and_the_explanation_agrees(stain_reader: Model, draw: Draw) -> None:
    image = draw(SHAPE, *CELLS)
    plain = predict_image(image, stain_reader, diameter=50)
    assert plain.evidence is not None
    assert list(plain.evidence.columns) == list(EVIDENCE)
    assert plain.evidence["stain"].isna().all()
    zero, one = dict.fromkeys(DOUBTS, 0.0), dict.fromkeys(DOUBTS, 1.0)
    score = RiskScore(zero, one, zero | {"size": 30.0}, -2.0)
    stains = KnownStains((KnownStain("far", (50.0,) * 9, tuple(tuple(r) for r in np.eye(9).tolist())),), 1.0)
    model = replace(stain_reader, known_stains=stains, review=ReviewRule(score, score, 1.0, one))
    found = predict_image(image, model, diameter=50)
    assert found.cells["review_reason"].tolist() == [UNLIKE_THE_STAIN] * 2  # grave, whatever the risk
    assert found.evidence is not None
    risk = score.probability(found.evidence)
    np.testing.assert_allclose(found.cells["saliency_consistency"], (1 - risk) ** 2, atol=1e-6)
    explained = explain_labels(image, found.labels, model, diameter=50)
    assert [cell.reason for cell in explained] == [UNLIKE_THE_STAIN] * 2
