"""``ablate`` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def data(make_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ten images and settings for them."""
    return make_data(tmp_path_factory.mktemp("data"), 10, views=4, side=80, diameter=44)


def _ablate(data: Path, out: Path, *extra: str) -> Result:
    command = ["ablate", str(data / "curated"), "--out", str(out), "--config", str(data / "run.toml"), *extra]
    return CliRunner().invoke(app, command)


@pytest.fixture(scope="module")
def half_done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "ablation"
    done = _ablate(data, out, "--rows", "full,no-saliency")
    assert done.exit_code == 0, done.output
    return out


def test_rows_that_are_trained_are_tabled_and_others_listed(half_done: Path) -> None:
    rows = json.loads((half_done / "ablate.json").read_text())["rows"]
    assert {name: row["finished"] for name, row in rows.items() if row["finished"]} == {"full": 1, "no-saliency": 1}
    # The settings have neither attention blocks nor synthetic smears, so those rows are not there.
    assert len(rows) == 10
    assert set(rows["no-saliency"]["differences"]["synthetic"]) >= {"iou", "accuracy", "macro_f1"}
    assert len(rows["full"]["guidance"][0]["alpha"]) == 4
    assert rows["no-saliency"]["guidance"][0]["alpha"] == []
    assert "0 of 1, not finished" in (half_done / "ablate.md").read_text()
    trained = json.loads((half_done / "no-saliency" / "seed0" / "fold0" / "model.json").read_text())
    assert trained["config"]["gating"] is False


def test_what_is_finished_is_not_trained_again(half_done: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr("sgcldff_core.evaluation.trial.train", refuse)
    (half_done / "ablate.md").unlink()
    done = _ablate(data, half_done, "--rows", "no-saliency", "--rows", "full")
    assert done.exit_code == 0, done.output
    assert (half_done / "ablate.md").is_file()
    assert "skipped: row 'no-swin' changes nothing" in done.output
    done = _ablate(data, half_done, "--table-only", "--paper-seeds", "2")
    assert done.exit_code == 0, done.output
    assert "1 of 2" in done.output


def test_a_network_that_fails_is_named_and_the_rest_goes_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sgcldff_core.evaluation import ablation_run

    real = ablation_run.run_planned

    def fail_once(trial, *args, **kwargs):  # type: ignore[no-untyped-def]
        if trial.row == "full":
            raise DataError("checkpoint", "is damaged")
        return real(trial, *args, **kwargs)

    monkeypatch.setattr(ablation_run, "run_planned", fail_once)
    done = _ablate(data, tmp_path, "--rows", "full,no-suppression", "--few", "4", "--fold", "1")
    assert done.exit_code == 1
    assert "full, seed 0, fold1: checkpoint: is damaged" in done.output
    rows = json.loads((tmp_path / "ablate.json").read_text())["rows"]
    assert (rows["full"]["finished"], rows["no-suppression"]["finished"]) == (0, 1)
    learned = json.loads((tmp_path / "no-suppression/seed0/fold1/model.json").read_text())["training"]
    assert learned["images"]["synthetic"] + learned["validation_images"]["synthetic"] == 4


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--rows", "no-brain"], "unknown row 'no-brain'; known are full"),
        (["--rows", "no-swin"], "row 'no-swin' changes nothing"),
        (["--seeds", "0"], "at least one seed"),
        (["--fold", "5"], "there is no fold 5; they are 0 to 4"),
        (["--few", "4"], "holds an ablation with another few; choose another --out"),
        (["--learn-from", "synthetic"], "--learn-from goes with --judge-on"),
        (["--judge-on", "zheng1"], "no image is of source zheng1; there are synthetic"),
        (["--judge-on", "synthetic", "--fold", "0"], "leave out --folds and --fold"),
    ],
)
def test_what_cannot_be_is_refused(half_done: Path, data: Path, extra: list[str], message: str) -> None:
    before = (half_done / "ablate.json").read_bytes()
    done = _ablate(data, half_done, *extra)
    assert isinstance(done.exception, ConfigError)
    assert message in str(done.exception)
    assert (half_done / "ablate.json").read_bytes() == before
