"""The page: what it shows, that nothing in it is run, that it stands alone and stays small."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from sgcldff_core.cells import UNLIKE_A_SMEAR
from sgcldff_core.export import report
from sgcldff_core.export.leukocyte_count import read_count
from sgcldff_core.export.report import render_report, write_report
from sgcldff_core.export.run_folder import read_run

MakeRun = Callable[..., Path]

HOSTILE = "<script>alert(1)<script>\"'&"


class Page(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_it_shows_the_count_and_every_flagged_cell(make_run: MakeRun) -> None:
    page = Page(render_report(read_run(make_run({"a": (6, 2), "b": (3, 1)}))))
    assert "Preliminary" in page.text
    rows = re.sub(r"\s+", " ", page.text)
    assert "neutrophil333.312.1 – 64.6" in rows.replace(" – ", " – ").replace("\n", "")
    outlines = [path["d"] for path in page.all("path") if "stroke" in path]
    assert len(outlines) == 3
    assert all(re.fullmatch(r"(M[-\d. L]+Z)+", outline or "") for outline in outlines)
    assert len(page.all("image")) == 6  # crop and evidence of each
    assert page.text.count("touches the border") == 3
    assert page.text.count("mask unstable") == 3


def test_names_from_data_are_only_ever_text(make_run: MakeRun) -> None:
    folder = make_run({HOSTILE: (3, 2), "b": (1, 0)})
    table = (folder / "cells.csv").read_text(encoding="utf-8")
    (folder / "cells.csv").write_text(
        table.replace("touches the border", "<img src=x onerror=alert(2)>"), encoding="utf-8"
    )
    told = (folder / "run.json").read_text(encoding="utf-8")
    told = told.replace('"failures": []', '"failures": [{"file": "<b onclick=x>", "problem": "</style><script>x"}]')
    (folder / "run.json").write_text(told, encoding="utf-8")
    text = render_report(read_run(folder))
    page = Page(text)
    assert len(page.all("script")) == 1
    assert text.count("<script") == 1
    assert text.count("</style>") == 1
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert not [image for image in page.all("img") if not (image["src"] or "").startswith("data:image/jpeg;base64,")]
    assert HOSTILE in page.text
    assert any(attributes.get("data-value") == HOSTILE for _, attributes in page.tags)


def test_it_loads_nothing_and_runs_only_its_own_script(make_run: MakeRun) -> None:
    text = render_report(read_run(make_run({"a": (2, 1)})))
    page = Page(text)
    policy = next(meta["content"] or "" for meta in page.all("meta") if "http-equiv" in meta)
    script = re.search(r"<script>(.*)</script>", text, re.DOTALL)
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy
    addresses = [v or "" for _, a in page.tags for k, v in a.items() if k in {"href", "src", "srcset", "action"}]
    assert addresses
    assert all(address.startswith("data:image/") for address in addresses)
    assert not page.all("link")
    assert "@import" not in text
    assert "url(" not in text


def test_a_field_of_a_hundred_cells_stays_under_five_megabytes(make_run: MakeRun, tmp_path: Path) -> None:
    """All flagged, in noise, which compresses worst."""
    folder = make_run({"a": (100, 100)}, side=150)
    page = write_report(read_run(folder), tmp_path / "report.html")
    assert page.stat().st_size < 5_000_000
    assert page.read_text(encoding="utf-8").count('class="rim"') == 100


def test_a_run_without_maps_or_images_is_told_of_all_the_same(make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run({"a": (2, 1), "b": (2, 1)}, gradcam=False)
    (tmp_path / "images" / "b.png").unlink()
    page = Page(render_report(read_run(folder)))
    assert page.text.count("none written") == 2
    assert page.text.count("no picture") == 1
    assert "The cells of b are shown without pictures" in re.sub(r"\s+", " ", page.text)


def test_an_image_of_another_size_is_not_taken_for_the_one_that_was_predicted(
    make_run: MakeRun, tmp_path: Path
) -> None:
    from PIL import Image

    folder = make_run({"a": (2, 1)})
    Image.new("RGB", (30, 20)).save(tmp_path / "images" / "a.png")
    assert "it is not of the size that it had when it was predicted" in render_report(read_run(folder))


def test_of_very_many_cells_the_most_doubtful_are_shown(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MOST_CELLS", 3)
    page = Page(render_report(read_run(make_run({"a": (9, 9)}))))
    assert "The 3 most doubtful are shown; 6 more are marked in cells.csv." in re.sub(r"\s+", " ", page.text)
    # Consistency rises with the label in this run, while confidence falls.
    assert [svg["aria-label"] for svg in page.all("svg") if "cell " in (svg["aria-label"] or "")] == [
        "cell 1 of a",
        "cell 2 of a",
        "cell 3 of a",
    ]


def test_the_heading_that_is_marked_is_the_one_that_cells_are_sorted_by(make_run: MakeRun) -> None:
    """Of two images whose cells take turns."""
    text = render_report(read_run(make_run({"a": (5, 5), "bb": (3, 3)})))
    table = text[text.index('<table class="sortable cells">') :]
    heads = re.findall(r"<th scope=.*?</th>", table)
    (marked,) = (place for place, head in enumerate(heads) if 'aria-sort="ascending"' in head)
    rows = [re.findall(r'<td class="[\w ]+"(?: data-value="([^"]*)")?[^>]*>', row) for row in table.split("<tr>")[2:]]
    assert [len(row) for row in rows] == [len(heads)] * 8
    shown = [float(row[marked]) for row in rows]
    assert shown == sorted(shown)
    assert len(set(shown)) > 4


def test_cells_of_an_image_that_is_no_smear_are_shown_and_not_counted(make_run: MakeRun) -> None:
    folder = make_run({"a": (6, 2), "photo": (3, 3)})
    table = pd.read_csv(folder / "cells.csv")
    strange = table["image"] == "photo"
    table.loc[strange, "review_reason"] = UNLIKE_A_SMEAR + "; " + table.loc[strange, "review_reason"]
    table.to_csv(folder / "cells.csv", index=False)
    run = read_run(folder)
    assert run.counts() == run.counts("a") == {"neutrophil": 2, "lymphocyte": 2, "monocyte": 2}
    assert run.counts("photo") == {}
    told = re.sub(r"\s+", " ", Page(render_report(run)).text)
    assert "6 leukocytes counted, 3 not counted" in told
    assert "5 of 9" in told
    assert "photo does not look like a stained smear in focus: 3 cells, listed below, are not counted." in told
    assert told.count("cell 1") == told.count("cell 2") == 2  # of either image
    count = read_count(folder)
    assert [row.count for row in count.classes] == [2, 2, 2, 0, 0]
    assert "3 cells in 1 images that do not look like a stained smear in focus are not counted." in count.notes


def test_a_run_without_cells_is_told_of(make_run: MakeRun) -> None:
    page = Page(render_report(read_run(make_run({"a": (0, 0)}))))
    assert "0 leukocytes" in page.text
    assert "None." in page.text
