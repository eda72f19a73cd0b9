"""Explanations of the shipped model on synthetic smears: figures, deletion and insertion, sanity, tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.explanation_figures import ImageExplanations, Row, measure_sample, parse_rows
from sgcldff_core.evaluation.explanation_table import explanation_json, explanation_markdown, row_means
from sgcldff_core.evaluation.faithfulness import CellOnTrial, measure_faithfulness
from sgcldff_core.evaluation.map_similarity import compare_maps
from sgcldff_core.evaluation.sanity_labels import check_labels
from sgcldff_core.evaluation.sanity_report import SanityReport
from sgcldff_core.evaluation.sanity_weights import INTACT, CellSeries, blocks_from_head, cascade, shuffle_weights
from sgcldff_core.model import Model, load_model
from sgcldff_core.sample import Sample
from sgcldff_core.smear import SmearSettings, make_smear

SMEAR = SmearSettings(height=200, width=240, diameter=70, leukocytes=3, touching=0, cut=0, stain="wright")
CROP = SmearSettings(height=110, width=110, diameter=60, leukocytes=1, centred=True, cut=0, stain="wright")


@pytest.fixture(scope="module")
def shipped() -> Model:
    return load_model()


@pytest.fixture(scope="module")
def smears() -> list[Sample]:
    return [make_smear(seed, SMEAR).to_sample(f"s{seed}") for seed in range(5)]


PRIOR, OUTLINE, HIRESCAM = (Row(name, None, "class", False) for name in ("prior", "outline", "hirescam"))


@pytest.fixture(scope="module")
def measured(shipped: Model) -> ImageExplanations:
    sample = make_smear(4, CROP).to_sample("crop")
    return measure_sample(sample, shipped, [Row("even"), PRIOR, OUTLINE, Row("gradcam"), HIRESCAM])


def test_every_found_cell_has_figures(shipped: Model, smears: list[Sample]) -> None:
    labels = smears[0].read_labels()
    assert labels is not None
    found = measure_sample(smears[0], shipped, [PRIOR, HIRESCAM])
    for cells in found.cells.values():
        assert len(cells) + found.missed == len(np.unique(labels)) - 1
        assert len(cells) >= 2
        assert all(cell.true == (smears[0].classes or {})[cell.label] for cell in cells)


def test_controls_are_where_they_must_be(measured: ImageExplanations) -> None:
    """An even map is at chance; the outline as found is nearly all inside the annotated one."""
    even, outline = (row_means(measured.cells[row]) for row in (Row("even"), OUTLINE))
    assert even["energy"] == pytest.approx(even["chance"])
    assert even["gain"] == pytest.approx(0, abs=1e-9)
    assert outline["energy"] > 0.9
    assert outline["iou"] > 0.8
    assert row_means(measured.cells[PRIOR])["cc"] == pytest.approx(1)


def test_the_shipped_model_looks_at_its_cells(measured: ImageExplanations) -> None:
    found = row_means(measured.cells[Row("gradcam")])
    assert found["gain"] > 0.7
    assert found["pointing"] == 1


def test_what_grad_cam_shows_first_matters_more_than_pixels_at_random(measured: ImageExplanations) -> None:
    even, shown = (row_means(measured.cells[Row(name)]) for name in ("even", "gradcam"))
    assert shown["deletion"] < even["deletion"]
    assert "deletion" not in row_means(measured.cells[HIRESCAM])


def test_tables_say_which_energies_could_not_fail(measured: ImageExplanations) -> None:
    rows = list(measured.cells)
    text = explanation_markdown([measured], rows)
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert lines["HiResCAM"].split("|")[4].strip().startswith("(")
    assert not lines["Grad-CAM"].split("|")[4].strip().startswith("(")
    content = explanation_json([measured], rows)["summary"]["synthetic"]
    assert [row["confined"] for row in content["rows"]] == [False, False, True, False, True]
    low, high = content["rows"][3]["energy_interval"]
    assert low <= content["rows"][3]["energy"] <= high


def test_rows_of_methods_and_levels() -> None:
    rows = parse_rows(["even", "gradcam", "gradcam"], [None, 16])
    assert rows == (Row("even"), Row("gradcam"), Row("gradcam", 16))


def test_a_sample_without_outlines_is_refused(shipped: Model, smears: list[Sample]) -> None:
    with pytest.raises(ConfigError, match="s0 has no outlined cells"):
        measure_sample(replace(smears[0], labels=None), shipped, [Row("even")])


class Counter(CellOnTrial):
    """Its class depends on nothing but the share of red pixels in the middle."""

    def probabilities(self, images: list[np.ndarray]) -> np.ndarray:
        return np.array([(image[8:12, 8:12, 0] == 200).mean() for image in images])


def test_deletion_and_insertion_by_hand(shipped: Model) -> None:
    """16 of 400 pixels count; a map that shows them first loses all in the first step, and wins all in it."""
    image = np.full((20, 20, 3), 10, np.uint8)
    image[8:12, 8:12] = 200
    nothing = torch.zeros(5, 5)
    place = (slice(0, 20), slice(0, 20))
    trial = Counter(shipped, image, nothing, nothing, 0, place, np.zeros(3, np.uint8))
    shown = (image[..., 0] == 200).astype(float)
    best = measure_faithfulness(trial, shown, steps=10)
    assert best.deletion == pytest.approx(0.05)  # from 1 to 0 over the first tenth
    assert best.insertion == pytest.approx(0.95)
    worst = measure_faithfulness(trial, 1 - shown, steps=10)
    assert worst.deletion == pytest.approx(0.95)
    assert worst.insertion == pytest.approx(0.05)


def test_similarity_counts_the_cell_alone() -> None:
    one = np.random.default_rng(0).random((9, 9))
    cell = np.zeros((9, 9), bool)
    cell[3:6, 3:6] = True
    same = compare_maps(one, one, cell)
    assert (same.rank, same.ssim) == (pytest.approx(1), pytest.approx(1))
    other = np.where(cell, 1 - one, one)
    assert compare_maps(one, other, cell).rank == pytest.approx(-1)
    assert compare_maps(one, np.zeros((9, 9)), cell).rank == 0
    assert compare_maps(one, one, np.zeros((9, 9), bool)).rank == 0


def test_shuffling_keeps_how_large_weights_are() -> None:
    layer = torch.nn.Linear(20, 10)
    before = layer.weight.detach().clone()
    shuffle_weights([layer], 0)
    assert not torch.equal(layer.weight, before)
    torch.testing.assert_close(layer.weight.detach().flatten().sort()[0], before.flatten().sort()[0])


def test_blocks_cover_everything_but_the_other_head(shipped: Model) -> None:
    network = shipped.network
    blocks = blocks_from_head(network, "class")
    assert list(blocks) == ["class head", "fusion", "gates", "stride 32", "stride 16", "stride 8", "stride 4", "stem"]
    covered = {id(p) for modules in blocks.values() for m in modules for p in m.parameters()}
    left = {name.split(".")[0] for name, p in network.named_parameters() if id(p) not in covered}
    assert left == {"segmentation"}


@pytest.fixture(scope="module")
def series(shipped: Model, smears: list[Sample]) -> tuple[CellSeries, ...]:
    return tuple(cell for sample in smears[:1] for cell in cascade(sample.read_image(), shipped))


def test_the_shipped_model_passes_the_sanity_checks(shipped: Model, series: tuple[CellSeries, ...]) -> None:
    """Labels are taught on as many cells as the command takes: a dozen would be learned in any of many ways."""
    settings = SmearSettings(leukocytes=8, diameter=110, touching=0, cut=0, stain="wright")
    fields = [make_smear(seed, settings).to_sample(f"field{seed}") for seed in range(4)]
    before = {name: value.clone() for name, value in shipped.network.state_dict().items()}
    report = SanityReport("Grad-CAM", series, check_labels(fields, shipped))
    assert all(torch.equal(value, before[name]) for name, value in shipped.network.state_dict().items())
    assert report.passed, report.to_dict()
    assert report.verdict == "Grad-CAM: passes; its maps are of what the network learned."
    assert report.depths[INTACT] == (pytest.approx(1), pytest.approx(1))
    assert report.labels is not None
    assert min(report.labels.fitted) >= 0.95
    assert "| both true labels |" in report.to_markdown()


def test_a_method_that_ignores_the_head_is_found_out(shipped: Model, smears: list[Sample]) -> None:
    cells = tuple(cascade(smears[0].read_image(), shipped, method="eigencam"))
    report = SanityReport("Eigen-CAM", cells, None)
    assert not report.passed
    assert report.verdict == "Eigen-CAM: fails; its maps do not change with the weights of the class head."


def test_a_verdict_on_one_cell_says_that_it_may_be_chance(series: tuple[CellSeries, ...]) -> None:
    one = SanityReport("Grad-CAM", series[:1], None)
    assert one.caution.startswith("This rests on 1 cell; with fewer than 8")
    assert f"{one.verdict} {one.caution}" in one.to_markdown()
    assert not SanityReport("Grad-CAM", (series * 8)[:8], None).caution


def test_too_few_cells_to_learn_from(shipped: Model, smears: list[Sample]) -> None:
    with pytest.raises(ConfigError, match="too few to learn from"):
        check_labels(smears[:1], shipped)
