"""Pages tell the truth about the code: names and files are there, links lead somewhere, every page can be found."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _code_names() -> Iterator[tuple[Path, str]]:
    """Names and files of the code that pages about it mention."""
    about = {"method", "decisions", "formats"}
    for page in PAGES:
        if page.parent.name in about or page.name in {"architecture.md", "CONTRIBUTING.md"}:
            text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
            for code in dict.fromkeys(re.findall(r"(?<!`)`([^`\n]+)`", text)):
                if re.fullmatch(r"[\w/]+\.py(::\w+)?", code) or (
                    re.fullmatch(r"\w+(\.\w+)+", code) and not code.endswith(FILES) and code[0].isalpha()
                ):
                    yield page, code


FILES = (
    *(".csv", ".ini", ".json", ".jpg", ".md", ".png", ".safetensors", ".sh"),
    *(".tif", ".toml", ".txt", ".xml", ".xyc", ".yaml", ".yml"),
)
ROOMS = {path.stem for path in (ROOT / "src" / "sgcldff_core").iterdir() if path.name[0].isalpha()}


@pytest.mark.parametrize(("page", "code"), [pytest.param(p, c, id=f"{p.stem}-{c}") for p, c in _code_names()])
def test_what_is_said_to_be_in_the_code_is_there(page: Path, code: str) -> None:
    if ".py" in code:
        file, _, name = code.partition("::")
        places = [ROOT / home / file for home in ("", "src", "src/sgcldff_core", "src/napari_sgcldff")]
        (path,) = [place for place in places if place.is_file()][:1] or [None]
        assert path is not None, f"{page}: there is no {file}"
        assert not name or name in _names_of_file(path)
        return
    parts = code.removeprefix("sgcldff_core.").split(".")
    if parts[0] not in ROOMS and not code.startswith(("sgcldff_core", "napari_sgcldff")):
        return  # a setting such as augmentation.synthetic, or another package
    home = ROOT / "src" / ("" if code.startswith("napari_sgcldff") else "sgcldff_core")
    while parts and (home / parts[0]).is_dir():
        home = home / parts.pop(0)
    if parts and (home / f"{parts[0]}.py").is_file():
        home = home / f"{parts.pop(0)}.py"
    known = _names_of_file(home / "__init__.py" if home.is_dir() else home)
    assert not parts or parts[0] in known, f"{page}: {home} has no {parts[0]}"


def _names_of_file(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_to_files_lead_somewhere(page: Path) -> None:
    """GitHub shows these pages as well, and there nothing else would tell."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [t for t in targets if t and "://" not in t and not (page.parent / t).exists()]
    assert missing == []


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n")[1]
    listed = set(re.findall(r"[\w/-]+\.md", text))
    assert listed == {page.relative_to(ROOT / "docs").as_posix() for page in PAGES if (ROOT / "docs") in page.parents}


def test_the_page_of_all_commands_is_what_the_program_says() -> None:
    spec = importlib.util.spec_from_file_location("cli_reference", ROOT / "scripts" / "cli_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.reference(), "run python scripts/cli_reference.py"
