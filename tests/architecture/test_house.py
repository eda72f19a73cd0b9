"""The house around the code: workflows ask for what there is, archives are looked into, forms can be read."""

from __future__ import annotations

import importlib.util
import re
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FORMS = sorted((ROOT / ".github").rglob("*.yml"))


def _check_dist() -> Any:
    spec = importlib.util.spec_from_file_location("check_dist", ROOT / "scripts" / "check_dist.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_forms_and_workflows_can_be_read(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.parent.name == "ISSUE_TEMPLATE" and path.name != "config.yml":
        assert {"name", "description", "body"} <= set(content)
        ids = [item["id"] for item in content["body"] if item["type"] != "markdown"]
        assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_workflows_run_environments_that_there_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    wanted = set(re.findall(r"tox run -e ([\w,]+)$", text, re.MULTILINE))
    wanted |= {name for names in re.findall(r"check: \[([^\]]+)\]", text) for name in names.split(", ")}
    known = ConfigParser()
    known.read(ROOT / "tox.ini")
    assert wanted
    assert {f"testenv:{name}" for name in wanted} <= set(known.sections())


def test_ci_runs_on_three_systems_and_both_bindings() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/checks.yml").read_text(encoding="utf-8"))["jobs"]
    systems = {"ubuntu-latest", "macos-latest", "windows-latest"}
    for job in ("tests", "viewer"):
        assert set(jobs[job]["strategy"]["matrix"]["system"]) == systems
    assert any("pyside6" in step.get("run", "") for step in jobs["viewer"]["steps"])


@pytest.fixture
def built(tmp_path: Path) -> Path:
    check = _check_dist()
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        for name in check.IN_WHEEL:
            wheel.writestr(name, "")
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as source:
        for name in check.IN_SOURCE:
            source.addfile(tarfile.TarInfo(f"a-1/{name}"))
    return tmp_path


def test_archives_that_are_whole_pass(built: Path) -> None:
    assert _check_dist().problems_of(built) == []


def test_archives_that_lack_or_hold_too_much_are_named(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = _check_dist()
    monkeypatch.setattr(check, "IN_WHEEL", {*check.IN_WHEEL, "sgcldff_core/gone.py"})
    monkeypatch.setattr(check, "MOST_BYTES", 10)
    with zipfile.ZipFile(built / "a.whl", "a") as wheel:
        wheel.writestr("tests/test_a.py", "")
        wheel.writestr("sgcldff_core/weights.pt", "")
    found = "\n".join(check.problems_of(built))
    assert "a.whl lacks sgcldff_core/gone.py" in found
    assert "a.whl holds tests/test_a.py, which belongs to no package" in found
    assert "sgcldff_core/weights.pt has no place in an archive" in found
    assert "a.tar.gz has" in found


def test_one_archive_of_each_kind_is_wanted(tmp_path: Path) -> None:
    (problem,) = _check_dist().problems_of(tmp_path)
    assert "holds 0 wheels and 0 source archives" in problem
