"""What README, CONTRIBUTING and docs show is true: commands and options exist, snippets compile, the cheap ones run."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import typer
from PIL import Image

from sgcldff_core.cells import cell_columns
from sgcldff_core.cli.app import app
from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.catalog import CATALOG
from sgcldff_core.datasets.conversion import WRITERS
from sgcldff_core.datasets.slides import open_slide
from sgcldff_core.saliency import compute_prior, registry
from sgcldff_core.taxonomy import LEUKOCYTES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
_RUNS = "<!-- runs -->"


@dataclass(frozen=True, slots=True)
class Snippet:
    page: Path
    line: int
    language: str
    body: str
    runs: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"


def _snippets() -> Iterator[Snippet]:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for found in _FENCE.finditer(text):
            indent = len(found["indent"])
            body = "".join(line[indent:] or "\n" for line in found["body"].splitlines(keepends=True))
            before = text[: found.start()].rstrip()
            yield Snippet(page, text.count("\n", 0, found.start()) + 1, found["language"], body, before.endswith(_RUNS))


SNIPPETS = list(_snippets())
COMMANDS = [
    (s, line)
    for s in SNIPPETS
    if s.language == "sh"
    for line in s.body.replace("\\\n", " ").splitlines()
    if line.strip()
]
INLINE = [
    (page, code) for page in PAGES for code in re.findall(r"`(sgcldff [^`\n]+)`", page.read_text(encoding="utf-8"))
]


def _of(language: str) -> list[Any]:
    return [pytest.param(s, id=str(s)) for s in SNIPPETS if s.language == language]


def _command(words: list[str]) -> tuple[Any, list[str]]:
    """Return the typer command that words begin with, and what is left of them."""
    command: Any = typer.main.get_command(app)
    context: Any = typer.Context(command, info_name="sgcldff")
    while hasattr(command, "list_commands") and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]!r}; known are {command.list_commands(context)}"
        command, words = found, words[1:]
    return command, words


def _options(command: Any) -> set[str]:
    return {"--help", "-h"} | {option for param in command.params for option in param.opts}


def _refuse_unknown_sgcldff(words: list[str]) -> None:
    command, rest = _command(words)
    if {"--help", "--version"} & set(rest):
        return
    values = command.make_context(command.name, rest).params  # raises for a wrong option, value or number of arguments
    if command.name == "convert":
        assert values["to"] in WRITERS
    if command.name == "download":
        assert values["name"] in CATALOG
    for path in (str(value) for value in values.values() if str(value).startswith("docs/")):
        assert (ROOT / path).is_file(), f"{path} is not there"


def _refuse_unknown_extras(words: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extras in re.findall(r"\[([\w,]+)\]", " ".join(words)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])
    for name in words:
        if name.endswith(".txt"):
            assert (ROOT / name).is_file()


def _refuse_unknown_environment(words: list[str]) -> None:
    known = ConfigParser()
    known.read(ROOT / "tox.ini")
    for name in words[words.index("-e") + 1].split(",") if "-e" in words else ():
        assert f"testenv:{name}" in known


def _refuse_missing_file(words: list[str]) -> None:
    paths = [word for word in words if not word.startswith("-") and ("/" in word or word.endswith(".py"))]
    made = (".venv", "docs/images", "docs/results")
    for path in paths:
        if path.split("/")[0] in {"scripts", "benchmarks", "tests", "docs"} and not path.startswith(made):
            assert (ROOT / path).exists(), f"{path} is not there"


PROGRAMS = {
    "sgcldff": _refuse_unknown_sgcldff,
    "pip": _refuse_unknown_extras,
    "tox": _refuse_unknown_environment,
    "sh": _refuse_missing_file,
    "python": _refuse_missing_file,
    "python3": _refuse_missing_file,
    "pytest": _refuse_missing_file,
    ".": _refuse_missing_file,
    "zensical": _refuse_missing_file,
    **dict.fromkeys(
        ("bioimageio", "dask", "fabric", "git", "lint-imports", "mypy", "napari", "pre-commit", "ruff", "torchrun"),
        lambda words: None,
    ),
}


@pytest.mark.parametrize(
    ("snippet", "line"), [pytest.param(s, line, id=f"{s}-{i}") for i, (s, line) in enumerate(COMMANDS)]
)
def test_a_command_can_be_typed_as_it_stands(snippet: Snippet, line: str) -> None:
    words = shlex.split(line, comments=True)
    for part in " ".join(shlex.quote(word) for word in words).replace("'&&'", "&&").split(" && "):
        program, *rest = [word for word in shlex.split(part) if not re.match(r"[A-Z_]+=", word)]
        assert program in PROGRAMS, f"{snippet}: {program} is not known to this test; teach it what may follow"
        PROGRAMS[program](rest)


@pytest.mark.parametrize(
    ("page", "code"), [pytest.param(p, c, id=f"{p.relative_to(ROOT).as_posix()}-{c}") for p, c in INLINE]
)
def test_a_command_in_the_text_has_these_options(page: Path, code: str) -> None:
    command, rest = _command([word for word in code.split()[1:] if word != "COMMAND"])
    wanted = {word for word in rest if word.startswith("--")}
    assert wanted <= _options(command), f"{page}: {command.name} has no {wanted - _options(command)}"


@pytest.mark.parametrize("snippet", _of("python"))
def test_python_compiles_and_imports_what_there_is(snippet: Snippet) -> None:
    """Without importing it: half of these would load torch."""
    for node in ast.walk(ast.parse(snippet.body)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("sgcldff_core", "napari_sgcldff")):
            missing = {alias.name for alias in node.names} - _names_in(str(node.module))
            assert not missing, f"{snippet}: {node.module} has no {', '.join(missing)}"


def _names_in(module: str) -> set[str]:
    base = ROOT.joinpath("src", *module.split("."))
    path = base.with_suffix(".py") if base.with_suffix(".py").is_file() else base / "__init__.py"
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder like that of the tutorials: ``smears`` with an image, ``results`` as predict leaves them."""
    rng = np.random.default_rng(0)
    labels = np.zeros((48, 64), np.uint16)
    labels[10:30, 20:40] = 1
    for folder in ("smears", "results"):
        (tmp_path / folder).mkdir()
    image = rng.integers(180, 250, (*labels.shape, 3), dtype=np.uint8)
    image[labels > 0] = (120, 60, 160)
    Image.fromarray(image).save(tmp_path / "smears" / "a.png")
    tifffile.imwrite(tmp_path / "results" / "a_labels.tif", labels)
    columns = cell_columns([cell.name for cell in LEUKOCYTES])
    known = {"image": "a", "label": "1", "class": "monocyte", "confidence": "0.6", "needs_review": "True"}
    rows = [columns, [known.get(name, "0") for name in columns]]
    (tmp_path / "results" / "cells.csv").write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    pd.DataFrame([known | {"confidence": 0.6, "needs_review": True}]).to_parquet(
        tmp_path / "results" / "slide_cells.parquet"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("snippet", [pytest.param(s, id=str(s)) for s in SNIPPETS if s.runs])
def test_what_is_marked_to_run_runs(snippet: Snippet, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {"__name__": "snippet"}
    exec(compile(snippet.body, str(snippet), "exec"), found)
    if snippet.page.name == "correct.md":
        (sample,) = open_dataset("curated")
        assert sample.kinds == ("masks", "classes")
        assert sample.classes == {1: "monocyte"}
    if snippet.page.name == "own.md":
        _announce(monkeypatch, "sgcldff_core.datasets.registry", found["SideBySide"])
        tifffile.imwrite(work / "smears" / "x.tif", np.zeros((8, 9, 3), np.uint8), photometric="rgb")
        Image.fromarray(np.ones((8, 9), np.uint8)).save(work / "smears" / "x.cells.png")
        (work / "smears" / "a.png").unlink()
        dataset = open_dataset("smears")
        assert [(s.name, s.kinds) for s in dataset] == [("x", ("masks",))]
        assert dataset.format == "side_by_side"
    if snippet.page.name == "architecture.md":
        _announce(monkeypatch, registry.__name__, found["darkness"])
        assert compute_prior(np.full((2, 3, 3), 51, np.uint8), "darkness") == pytest.approx(0.8)
    if snippet.page.name == "slide.md" and "write_ome_zarr" in snippet.body:
        assert open_slide("slide.ome.zarr").shape == (512, 640)


def _announce(monkeypatch: pytest.MonkeyPatch, module: str, offered: Any) -> None:
    """Let an entry point be found as if a package that has it were installed."""
    point = EntryPoint(name=getattr(offered, "__name__", "it"), value="somewhere:it", group="sgcldff")
    monkeypatch.setattr(EntryPoint, "load", lambda self: offered)
    monkeypatch.setattr(f"{module}.entry_points", lambda group, **query: EntryPoints([point]).select(**query))


@pytest.mark.parametrize("snippet", _of("toml"))
def test_settings_are_settings(snippet: Snippet) -> None:
    values = tomllib.loads(snippet.body)
    if "project" in values:
        return
    classes = {
        "TrainingConfig": {k: v for k, v in values.items() if not isinstance(v, dict)},
        "ModelConfig": values.get("model", {}),
        "LossConfig": values.get("loss", {}),
        "AugmentationConfig": values.get("augmentation", {}),
    }
    for name, given in classes.items():
        assert set(given) <= SETTINGS[name], f"{snippet}: {name} has no {set(given) - SETTINGS[name]}"
    assert set(values) - set(classes["TrainingConfig"]) <= {"model", "loss", "augmentation"}


def _fields_of_settings() -> dict[str, set[str]]:
    """Read them from the sources, since importing them loads torch."""
    modules = ("training/config.py", "model/config.py", "losses/multitask.py")
    nodes = [n for m in modules for n in ast.parse((ROOT / "src/sgcldff_core" / m).read_text(encoding="utf-8")).body]
    return {
        node.name: {n.target.id for n in node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
        for node in nodes
        if isinstance(node, ast.ClassDef)
    }


SETTINGS = _fields_of_settings()


@pytest.mark.parametrize("snippet", _of("json"))
def test_json_is_json(snippet: Snippet) -> None:
    json.loads(snippet.body)
