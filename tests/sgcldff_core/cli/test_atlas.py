"""``models atlas``: what it writes beside weights that it leaves alone, and what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner

from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError
from sgcldff_core.model import load_model
from sgcldff_core.model.atlas import ATLAS


def _atlas(model: Path | str, data: Path, out: Path):
    return CliRunner().invoke(app, ["models", "atlas", str(model), str(data), "--out", str(out)])


def test_a_model_gets_an_atlas_without_what_it_held_out(make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data(tmp_path, 16, views=1, side=128, diameter=64) / "curated"
    done = _atlas("leukocytes-small", data, tmp_path / "all")
    assert done.exit_code == 0, done.output
    assert "all: an atlas of" in done.output
    before, after = load_model("leukocytes-small"), load_model(tmp_path / "all")
    assert after.sha256 == before.sha256
    assert after.review == before.review
    assert after.atlas is not None
    description = json.loads((tmp_path / "all" / "model.json").read_text())
    description["training"] |= {"validation_groups": [f"s{i}" for i in range(0, 16, 2)]}
    (tmp_path / "all" / "model.json").write_text(json.dumps(description))
    assert _atlas(tmp_path / "all", data, tmp_path / "half").exit_code == 0
    half = load_model(tmp_path / "half").atlas
    assert half is not None
    assert len(half.classes) < len(after.atlas.classes)


def test_cells_of_one_class_are_no_atlas(make_data: Callable[..., Path], tmp_path: Path) -> None:
    data = make_data(tmp_path, 1, views=1, side=128, diameter=64) / "curated"
    done = _atlas("leukocytes-small", data, tmp_path / "told")
    assert isinstance(done.exception, ConfigError)
    assert "needs cells of two classes" in str(done.exception)
    assert not (tmp_path / "told" / ATLAS).exists()


def test_the_shipped_model_has_an_atlas_of_five_types() -> None:
    atlas = load_model().atlas
    assert atlas is not None
    assert len(set(atlas.classes)) == 5
    assert atlas.right_by_itself > 0.85
