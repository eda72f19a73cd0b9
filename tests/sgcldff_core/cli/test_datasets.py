"""``sgcldff datasets``: what is printed, what is written, and with which exit code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.cli import app as cli
from sgcldff_core.cli import datasets
from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.catalog import CATALOG
from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.download import Download
from sgcldff_core.datasets.history import Provenance, history_of
from sgcldff_core.sample import Box, Raster, Sample

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs ``sgcldff datasets`` and returns its exit code."""
    for console in (datasets.stdout, datasets.stderr):
        monkeypatch.setattr(console, "width", 80)

    def _run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["sgcldff", "datasets", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return int(leaving.value.code or 0)

    return _run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a curated folder with an eosinophil, two touching cells and an odd file name."""
    rows, columns = np.ogrid[:40, :60]
    samples = []
    for name, centres in (("one[bold]", [30]), ("two", [20, 37])):
        labels = np.zeros((40, 60), np.int32)
        for n, x in enumerate(centres, start=1):
            labels[(rows - 20) ** 2 + (columns - x) ** 2 < 81] = n
        samples.append(
            Sample(
                name=name,
                image=Raster.of(np.full((40, 60, 3), len(centres), np.uint8)),
                source="drawn",
                group=name,
                split="train",
                labels=Raster.of(labels),
                nucleus=Raster.of((labels > 0) & (rows > 20)),
                classes={1: "eosinophil"},
                boxes=(Box(0, 0, 5, 5, "platelet"),),
            )
        )
    write_curated(samples, tmp_path / "smears", provenance=Provenance("smears", "drawn"))
    return tmp_path / "smears"


class TestInspect:
    def test_prints_what_there_is(self, run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("inspect", folder) == 0
        lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert {"drawn", "images 2", "scenes 2", "height × width 40 × 60", "with nuclei 2", "in train 2"} <= set(lines)
        assert "■ eosinophil 2 · 2 18 (18–18) 47%" in lines
        assert "class unknown 1 · 1 18 47%" in lines
        assert "platelet · 2 · · ·" in lines
        assert "! few cells in drawn: eosinophil 2; too few to train on, or to give a figure for" in lines

    def test_names_what_cannot_be_used_and_says_so_by_its_exit_code(
        self, run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (folder / "images" / "one[bold].png").write_bytes(b"")
        assert run("inspect", folder) == 1
        out = capsys.readouterr().out
        assert "1 left out as unusable:" in out
        assert "  images/one[bold].png: " in out

    def test_names_all_files_only_when_asked(self, run: Run, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with (folder / "cells.csv").open("a") as table:
            table.writelines(f"two,x{n},\n" for n in range(20))
        assert run("inspect", folder) == 0
        assert "  and 8 more (--all-files names them" in capsys.readouterr().out
        assert run("inspect", folder, "--all-files") == 0
        assert "row 23 is no image" in capsys.readouterr().out

    def test_writes_json(self, run: Run, folder: Path, tmp_path: Path) -> None:
        assert run("inspect", folder, "--json", tmp_path / "new" / "summary.json") == 0
        told = json.loads((tmp_path / "new" / "summary.json").read_text())
        assert (told["images"], told["cells"], told["format"]) == (2, 3, "curated")

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["nowhere"], 1, "nowhere: there is no such file or folder"),
            (["smears", "--format", "yolo"], 2, "there is no data format 'yolo'; known are auto"),
            (["smears/cells.csv"], 1, "no data set was recognised"),
        ],
    )
    def test_refuses_in_one_line(
        self,
        run: Run,
        folder: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
        arguments: list[str],
        code: int,
        message: str,
    ) -> None:
        monkeypatch.chdir(folder.parent)
        assert run("inspect", *arguments) == code
        err = capsys.readouterr().err
        assert err.startswith("sgcldff: ")
        assert message in err
        assert err.count("\n") == 1


class TestConvert:
    def test_writes_and_says_what_it_wrote(
        self, run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("convert", folder, tmp_path / "out", "--to", "coco", "--who", "A. Nalyst") == 0
        assert f"2 images with 3 outlined cells written to {tmp_path / 'out'}" in capsys.readouterr().out
        assert len(list(open_dataset(tmp_path / "out"))) == 2
        assert [h.who for h in history_of(tmp_path / "out")] == ["A. Nalyst"]

    def test_names_what_it_left_out_and_says_so_by_its_exit_code(
        self, run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run("convert", folder, tmp_path / "out", "--to", "zheng") == 1
        out = capsys.readouterr().out
        assert "left out 1: cells touch, or have separate parts" in out
        assert out.rstrip().endswith(": two")
        assert "! boxes have no place in this format: 1 images" in out

    def test_does_not_overwrite_unless_told(
        self, run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        arguments = ("convert", folder, tmp_path / "out", "--to", "coco")
        assert run(*arguments) == 0
        assert run(*arguments) == 1
        assert "the folder exists already" in capsys.readouterr().err
        assert run(*arguments, "--overwrite") == 0

    @pytest.mark.parametrize("arguments", [["--to", "yolo"], ["--to", "coco", "--crop"], []])
    def test_bad_usage_is_2(self, run: Run, folder: Path, tmp_path: Path, arguments: list[str]) -> None:
        assert run("convert", folder, tmp_path / "out", *arguments) == 2
        assert not (tmp_path / "out").exists()


class TestDownload:
    def test_says_how_to_ask_for_all_idb(self, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("download", "all_idb2", "--to", tmp_path) == 1
        assert "on request only: open https://scotti.di.unimi.it/all/" in capsys.readouterr().err

    def test_an_unknown_name_is_bad_usage(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("download", "bcdc") == 2
        assert "known are bccd, lisc" in capsys.readouterr().err

    def test_tells_licence_citation_and_what_nobody_vouches_for(
        self,
        run: Run,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fetched(name: str, to: Path | None, **_: object) -> Download:
            assert to == tmp_path
            return Download(tmp_path / name, 1234, ("https://x/Train.rar",), (tmp_path / name / "Train.rar",))

        monkeypatch.setattr("sgcldff_core.datasets.download.download", fetched)
        assert run("download", "raabin", "--to", tmp_path) == 0
        told = capsys.readouterr()
        assert f"1,234 files in {tmp_path / 'raabin'}" in told.out
        assert CATALOG["raabin"].citation in " ".join(told.out.split())
        assert "nobody publishes a checksum of https://x/Train.rar" in told.err
        assert "Train.rar must be opened with 7-Zip" in told.err

    def test_lists_every_set_with_its_home_in_full(self, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("list") == 0
        out = capsys.readouterr().out
        for name, entry in CATALOG.items():
            assert name in out
            assert entry.homepage in "".join(out.split())  # a long one goes on in the next line
