"""``models trust``: what it writes beside weights that it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sgcldff_core.adaptation import known_stains
from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError
from sgcldff_core.model import find_model, load_model
from sgcldff_core.model_folders import MEMORY


def test_a_model_learns_what_it_knows(make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data(tmp_path, 24, views=1) / "curated"
    done = CliRunner().invoke(app, ["models", "trust", "leukocytes-small", str(data), "--out", str(tmp_path / "told")])
    assert done.exit_code == 0, done.output
    before, after = load_model("leukocytes-small"), load_model(tmp_path / "told")
    assert after.sha256 == before.sha256
    assert after.review == before.review
    assert (tmp_path / "told" / MEMORY).is_file()
    assert after.known_stains is not None
    assert after.known_stains != before.known_stains
    assert len(after.known_stains.stains) == 1
    (source,) = known_stains(after)
    assert source == after.known_stains.stains[0].name
    assert known_stains(after)[source].images > 0  # so that another laboratory's can be brought to it
    assert {k: v for k, v in after.training.items() if k != "stains"} == {
        k: v for k, v in before.training.items() if k != "stains"
    }
    assert after.known_smears != before.known_smears
    assert (tmp_path / "told" / "CARD.md").read_bytes() == (find_model("leukocytes-small") / "CARD.md").read_bytes()


def test_the_share_is_a_share(make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data(tmp_path, 1, views=1) / "curated"
    done = CliRunner().invoke(app, ["models", "trust", "leukocytes", str(data), "--out", "x", "--share", "2"])
    assert isinstance(done.exception, ConfigError)
    assert "between 0 and 1" in str(done.exception)


@pytest.mark.parametrize("name", ["leukocytes", "leukocytes-small"])
def test_the_shipped_models_know_and_judge(name: str) -> None:
    model = load_model(name)
    assert model.known_stains is not None
    assert (
        {stain.name for stain in model.known_stains.stains} == {"zheng1", "zheng2", "bccd"} == set(known_stains(model))
    )
    assert model.known_smears is not None
    assert model.review is not None
    assert model.review.fitted_on["share"] == 0.2
    assert (find_model(name) / MEMORY).is_file()
