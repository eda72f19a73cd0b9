"""Names that stay where a network's features move."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from sgcldff_core.adaptation.names import drawn_smears, keep_names
from sgcldff_core.adaptation.scoring import Look, look_at_all
from sgcldff_core.inference.classification import classify_cells
from sgcldff_core.inference.forward import run_network
from sgcldff_core.model import Model, load_model


@pytest.fixture(scope="module")
def shipped() -> Model:
    return load_model()


@pytest.fixture(scope="module")
def looks(shipped: Model) -> list[Look]:
    return look_at_all(drawn_smears(6), shipped)


@pytest.fixture(scope="module")
def drifted(shipped: Model) -> Model:
    """Its features have moved, and it calls cells otherwise for that."""
    network = copy.deepcopy(shipped.network)
    noise = torch.Generator().manual_seed(0)
    weight = network.classification.embed[0].weight
    with torch.no_grad():
        weight += 10 * weight.std() * torch.randn(weight.shape, generator=noise)
    return replace(shipped, network=network)


def _logits(model: Model, looks: Sequence[Look]) -> np.ndarray:
    bare = replace(model, atlas=None)
    found = [run_network(model.network, look.view.image, look.view.prior) for look in looks]
    named = [
        classify_cells(bare, look.view.image, maps, look.view.labels) for look, maps in zip(looks, found, strict=True)
    ]
    return np.log(np.concatenate([each.probabilities for each in named]) + 1e-6)


def test_cells_are_named_as_before_and_outlined_as_now(shipped: Model, drifted: Model, looks: list[Look]) -> None:
    kept = keep_names(drifted, [(shipped.network, looks)])
    before, moved, now = (_logits(model, looks) for model in (shipped, drifted, kept))
    assert np.mean(moved.argmax(1) == before.argmax(1)) < 0.9
    assert np.mean(now.argmax(1) == before.argmax(1)) > 0.95
    assert np.abs(now - before).mean() < 0.5 * np.abs(moved - before).mean()
    for name, weight in drifted.network.state_dict().items():
        if not name.startswith("classification.linear"):
            assert torch.equal(weight, kept.network.state_dict()[name]), name


def test_cells_that_were_not_seen_keep_their_names_better(shipped: Model, drifted: Model, looks: list[Look]) -> None:
    kept = keep_names(drifted, [(shipped.network, looks[:4])])
    before, moved, now = (_logits(model, looks[4:]) for model in (shipped, drifted, kept))
    assert np.abs(now - before).mean() < np.abs(moved - before).mean()


def test_the_model_that_drifted_stays_as_it_is(shipped: Model, drifted: Model, looks: list[Look]) -> None:
    weight = drifted.network.classification.linear.weight.clone()
    keep_names(drifted, [(shipped.network, looks)])
    assert torch.equal(weight, drifted.network.classification.linear.weight)


def test_without_a_cell_there_is_nothing_to_keep(shipped: Model, drifted: Model) -> None:
    bare = look_at_all([np.full((80, 80, 3), 230, np.uint8)], shipped)
    assert keep_names(drifted, [(shipped.network, bare)]) is drifted


def test_a_network_with_a_head_of_its_own_is_left_as_it_is(shipped: Model, drifted: Model, looks: list[Look]) -> None:
    network = copy.deepcopy(drifted.network)
    del network.classification  # whoever registered it named cells in another way
    foreign = replace(drifted, network=network)
    assert keep_names(foreign, [(network, looks)]) is foreign


def test_names_are_kept_as_each_of_two_networks_gave_them(shipped: Model, drifted: Model, looks: list[Look]) -> None:
    """As where a change starts from statistics that were moved; one layer can follow two that differ so only so far."""
    other = replace(shipped, network=copy.deepcopy(shipped.network))
    with torch.no_grad():
        other.network.classification.linear.bias[4] += 20  # all are basophils to it
    kept = keep_names(drifted, [(other.network, looks[:3]), (shipped.network, looks[3:])])
    assert (_logits(kept, looks[:3]).argmax(1) == 4).mean() > 0.9
    assert np.mean(_logits(kept, looks[3:]).argmax(1) == _logits(shipped, looks[3:]).argmax(1)) > 0.7


def test_what_did_not_move_is_hardly_moved(shipped: Model, looks: list[Look]) -> None:
    kept = keep_names(shipped, [(shipped.network, looks)])
    moved = kept.network.classification.linear.weight - shipped.network.classification.linear.weight
    assert moved.abs().max() < 1e-3
