"""The README keeps its word: what it says to type is there, and CI types it too."""

from __future__ import annotations

import re
from pathlib import Path

from sgcldff_core.cli.app import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


def _commands(block: str) -> list[str]:
    return [line.split("#")[0].strip() for line in block.splitlines() if line.strip()]


def test_it_opens_with_one_command_for_the_main_job_and_one_for_the_tests() -> None:
    assert _commands(BLOCKS[0]) == ["sh scripts/demo.sh", "sh scripts/test.sh"]
    for command in _commands(BLOCKS[0]):
        assert (ROOT / command.split()[1]).is_file()


def test_ci_runs_the_command_for_the_tests_and_nothing_else() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    lines = [line for line in script.splitlines() if line and not line.startswith(("#", "set ", "cd "))]
    assert lines == [f"exec {_commands(BLOCKS[0])[1]}"]


def test_every_command_that_it_shows_exists() -> None:
    shown = {line.split()[1] for block in BLOCKS for line in _commands(block) if line.startswith("sgcldff ")}
    assert shown - {"--help"} <= set(COMMANDS)
