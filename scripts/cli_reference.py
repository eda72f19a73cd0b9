"""Write docs/reference/cli.md, every command and option as the program itself tells them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from sgcldff_core.cli.app import app

__all__ = ["PAGE", "reference"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "cli.md"

_HEAD = """\
# Command line

<!-- Written by scripts/cli_reference.py; do not edit. -->

Every command leaves with 0 if all is well, 1 if something failed and was named, 2 for bad usage or settings, 130 when
it is stopped by Ctrl-C. Results go to standard output, everything else to standard error. `sgcldff --version` prints
the version, `sgcldff COMMAND --help` what stands here.
"""


def reference() -> str:
    """Return the page."""
    root = typer.main.get_command(app)
    context: Any = typer.Context(root, info_name="sgcldff")
    return "\n".join([_HEAD, *_sections(root, context, "sgcldff", level=2)])


def _sections(group: Any, context: Any, path: str, level: int) -> list[str]:
    parts = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        full = f"{path} {name}"
        parts.append(f"{'#' * level} {full}\n\n{_told(command.help)}\n")
        if hasattr(command, "list_commands"):
            parts += _sections(command, typer.Context(command, info_name=name, parent=context), full, level + 1)
            continue
        # typer itself adds --help, which needs no row.
        params = [param for param in command.params if param.name != "help"]
        usage = " ".join([full, *(_shape(param) for param in params if _is_required(param)), "[OPTIONS]"])
        parts.append(f"```text\n{usage}\n```\n")
        rows = [f"| {_named(param)} | {_default(param)} | {_cell(param.help or '')} |" for param in params]
        parts.append("\n".join(["| | default | |", "| --- | --- | --- |", *rows]) + "\n")
    return parts


def _told(text: str | None) -> str:
    # Placeholders such as DIR/seed<S> would be taken for HTML, and <stem>_<method>_ for the start of italics.
    without_html = re.sub(r"<(\w+)>", r"&lt;\1&gt;", (text or "").strip())
    return re.sub(r"([_*])", r"\\\1", without_html)


def _cell(text: str) -> str:
    return _told(text).replace("|", r"\|").replace("\n", " ")


def _is_argument(param: Any) -> bool:
    return bool(param.param_type_name == "argument")


def _is_required(param: Any) -> bool:
    return bool(_is_argument(param) or param.required)


def _metavar(param: Any) -> str:
    return str(param.metavar or param.name.upper())


def _shape(param: Any) -> str:
    return _metavar(param) if _is_argument(param) else f"{param.opts[0]} {_metavar(param)}"


def _named(param: Any) -> str:
    if _is_argument(param):
        return f"`{_metavar(param)}`"
    return f"`{param.opts[0]}`" if param.is_flag else f"`{param.opts[0]} {_metavar(param)}`"


def _default(param: Any) -> str:
    if param.required:
        return "required"
    if param.default is None or param.default is False or param.default == ():
        return ""
    return f"`{param.default}`"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
