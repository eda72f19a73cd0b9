"""Downloads from a server on this machine that breaks off, lies and changes its mind."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from sgcldff_core.datasets.catalog import CATALOG, Asset, PublicDataset
from sgcldff_core.datasets.download import Download, download
from sgcldff_core.datasets.ledger import Ledger
from sgcldff_core.datasets.transfer import fetch
from sgcldff_core.errors import ConfigError, DataError, DownloadError

BODY = bytes(range(256)) * 4000  # about 1 MB, so that it comes in several chunks
SUM = hashlib.sha256(BODY).hexdigest()


@dataclass
class Site:
    """What the server serves, how it misbehaves, and what was asked of it."""

    files: dict[str, bytes] = field(default_factory=dict)
    breaks: list[int] = field(default_factory=list)  # bytes after which the next replies hang up
    refusals: list[int] = field(default_factory=list)  # status codes of the next replies
    ranges: bool = True
    etag: str | None = '"first"'
    asked: list[str | None] = field(default_factory=list)  # the Range of each request
    url: str = ""


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            served.asked.append(wanted)
            body = served.files.get(self.path.removeprefix("/"))
            if served.refusals or body is None:
                self.send_error(served.refusals.pop(0) if served.refusals else 404)
                return
            start = 0
            if wanted and served.ranges and self.headers.get("If-Range") in (None, served.etag):
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_error(416)
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            if served.etag:
                self.send_header("ETag", served.etag)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            stop = start + served.breaks.pop(0) if served.breaks else None
            with suppress(ConnectionError):  # the client hangs up on what it does not want
                self.wfile.write(body[start:stop])

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def get(site: Site, folder: Path, sha256: str | None = SUM, **more: object) -> bytes:
    site.files.setdefault("cells.bin", BODY)
    fetch(site.url + "cells.bin", folder / "cells.bin", sha256=sha256, pauses=(0.0,), **more)
    return (folder / "cells.bin").read_bytes()


class TestFetch:
    def test_goes_on_where_it_broke_off(self, site: Site, tmp_path: Path) -> None:
        site.breaks = [300_000, 500_000]
        assert get(site, tmp_path) == BODY
        # What the server had sent may still have been on the way when it hung up: not to the byte.
        starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in site.asked[1:] if asked]
        assert len(starts) == 2
        assert 0 < starts[0] <= 300_000 < starts[1] <= starts[0] + 500_000
        assert [p.name for p in tmp_path.iterdir()] == ["cells.bin"]

    def test_goes_on_in_another_process_that_only_finds_the_part(self, site: Site, tmp_path: Path) -> None:
        site.breaks = [300_000, 0, 0, 0]
        with pytest.raises(DownloadError, match=r"broke off.*bytes are kept.*try again"):
            get(site, tmp_path)
        kept = (tmp_path / "cells.bin.part").stat().st_size
        site.breaks = []
        assert get(site, tmp_path) == BODY
        assert site.asked[-1] == f"bytes={kept}-"

    def test_starts_anew_where_the_file_was_changed_meanwhile(self, site: Site, tmp_path: Path) -> None:
        site.files["cells.bin"] = b"x" * 900_000
        site.breaks = [300_000, 0, 0, 0]
        with pytest.raises(DownloadError):
            get(site, tmp_path)
        site.files["cells.bin"], site.etag, site.breaks = BODY, '"second"', []
        assert get(site, tmp_path, sha256=None) == BODY

    def test_starts_anew_where_neither_a_tag_nor_a_checksum_could_tell_a_change(
        self, site: Site, tmp_path: Path
    ) -> None:
        site.etag = None
        site.breaks = [300_000]
        assert get(site, tmp_path, sha256=None) == BODY
        assert site.asked == [None, None]

    def test_takes_the_whole_from_a_server_that_knows_no_ranges(self, site: Site, tmp_path: Path) -> None:
        site.ranges = False
        site.breaks = [300_000]
        assert get(site, tmp_path) == BODY

    def test_drops_a_part_that_is_longer_than_the_file_has_become(self, site: Site, tmp_path: Path) -> None:
        site.breaks = [500_000, 0, 0]
        with pytest.raises(DownloadError):
            get(site, tmp_path)
        short = BODY[:1000]
        site.files["cells.bin"], site.breaks = short, []
        assert get(site, tmp_path, sha256=hashlib.sha256(short).hexdigest()) == short

    def test_waits_for_a_server_that_is_busy(self, site: Site, tmp_path: Path) -> None:
        site.refusals = [503]
        assert get(site, tmp_path) == BODY

    def test_refuses_a_wrong_checksum_and_keeps_nothing(self, site: Site, tmp_path: Path) -> None:
        site.files["cells.bin"] = BODY[:-1] + b"!"
        with pytest.raises(DownloadError, match=rf"wrong checksum.*{SUM} \(as published\).*try again"):
            get(site, tmp_path)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("announced", [len(BODY) - 1, len(BODY) + 1])
    def test_refuses_a_wrong_size(self, site: Site, tmp_path: Path, announced: int) -> None:
        with pytest.raises(DownloadError, match=f"must have {announced:,} bytes"):
            get(site, tmp_path, size=announced)
        assert list(tmp_path.iterdir()) == []

    def test_says_that_there_is_no_such_file(self, site: Site, tmp_path: Path) -> None:
        with pytest.raises(DownloadError, match=r"nothing\.zip: the server answers 404"):
            fetch(site.url + "nothing.zip", tmp_path / "nothing.zip", sha256=None, pauses=())

    def test_says_that_there_is_no_server(self, site: Site, tmp_path: Path) -> None:
        with pytest.raises(DownloadError, match="cannot be reached, or hung up"):
            fetch("http://127.0.0.1:1/cells.bin", tmp_path / "cells.bin", sha256=None, pauses=())

    def test_tells_how_far_it_is(self, site: Site, tmp_path: Path) -> None:
        told: list[tuple[int, int | None]] = []
        get(site, tmp_path, progress=lambda here, there: told.append((here, there)))
        assert told[-1] == (len(BODY), len(BODY))
        assert told == sorted(told)


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in files.items():
            archive.writestr(name.replace("__", "/"), body)
    return buffer.getvalue()


def catalog(
    site: Site, *assets: str, sha256: str | None = None, most_bytes: int = 2_000_000
) -> dict[str, PublicDataset]:
    made = tuple(Asset(site.url + file, file, sha256) for file in assets)
    return {"smears": PublicDataset("Smears", "two cells", "http://h", "MIT", "A. Uthor", made, most_bytes=most_bytes)}


class TestDownload:
    @pytest.fixture
    def ledger(self, tmp_path: Path) -> Ledger:
        return Ledger(tmp_path / "state" / "checksums.json")

    def run(self, site: Site, folder: Path, ledger: Ledger, *assets: str, **more: object) -> Download:
        entries = catalog(site, *assets)
        return download("smears", folder, catalog=entries, ledger=ledger, pauses=(), **more)

    def test_unpacks_into_a_folder_of_its_own(self, site: Site, tmp_path: Path, ledger: Ledger) -> None:
        site.files["a.zip"] = zipped(images__1=b"cell", images__2=b"")
        got = self.run(site, tmp_path / "data", ledger, "a.zip")
        assert (got.folder / "images" / "1").read_bytes() == b"cell"
        assert (got.folder, got.files, got.left_packed) == (tmp_path / "data" / "smears", 2, ())
        assert got.first_seen == (site.url + "a.zip",)
        note = (got.folder / "sgcldff-source.txt").read_text()
        assert "MIT" in note
        assert f"{hashlib.sha256(site.files['a.zip']).hexdigest()} (as first seen here" in note
        assert [p.name for p in (tmp_path / "data").iterdir()] == ["smears"]

    def test_leaves_a_rar_packed_and_says_so(self, site: Site, tmp_path: Path, ledger: Ledger) -> None:
        site.files |= {"a.zip": zipped(one=b"1"), "b.rar": b"Rar!"}
        got = self.run(site, tmp_path, ledger, "a.zip", "b.rar")
        assert got.left_packed == (tmp_path / "smears" / "b.rar",)
        assert got.left_packed[0].read_bytes() == b"Rar!"

    def test_trusts_on_first_use_and_refuses_a_change(self, site: Site, tmp_path: Path, ledger: Ledger) -> None:
        site.files["a.zip"] = zipped(one=b"1")
        self.run(site, tmp_path / "x", ledger, "a.zip")
        assert self.run(site, tmp_path / "y", ledger, "a.zip").first_seen == ()
        site.files["a.zip"] = zipped(one=b"2")
        with pytest.raises(DownloadError, match=r"wrong checksum.*noted at the first download on .*checksums\.json"):
            self.run(site, tmp_path / "z", ledger, "a.zip")
        assert not (tmp_path / "z" / "smears").exists()

    def test_does_not_trust_what_could_not_be_unpacked(self, site: Site, tmp_path: Path, ledger: Ledger) -> None:
        site.files["a.zip"] = zipped(**{"..__evil": b"1"})
        with pytest.raises(DownloadError, match="outside of its folder"):
            self.run(site, tmp_path / "data", ledger, "a.zip")
        assert ledger.known(site.url + "a.zip") is None
        assert not (tmp_path / "data" / "smears").exists()
        assert not (tmp_path / "evil").exists()

    def test_refuses_a_bomb(self, site: Site, tmp_path: Path, ledger: Ledger) -> None:
        site.files["a.zip"] = zipped(one=BODY, two=BODY)
        with pytest.raises(DownloadError, match="more than 2,000,000 bytes"):
            self.run(site, tmp_path, ledger, "a.zip")
        assert not (tmp_path / "smears").exists()

    def test_goes_on_with_what_a_broken_run_left(self, site: Site, tmp_path: Path, ledger: Ledger) -> None:
        site.files |= {"a.zip": zipped(one=b"1"), "b.zip": zipped(two=BODY)}
        site.breaks = [10_000, 300_000, 0]
        with pytest.raises(DownloadError, match="bytes are kept"):
            self.run(site, tmp_path, ledger, "a.zip", "b.zip")
        assert self.run(site, tmp_path, ledger, "a.zip", "b.zip").files == 2
        assert site.asked[:2] == [None, None]
        assert site.asked[2] is not None
        assert site.asked[2:] == [site.asked[2]] * 2

    def test_replaces_an_earlier_download_only_when_told(self, site: Site, tmp_path: Path, ledger: Ledger) -> None:
        site.files["a.zip"] = zipped(one=b"1")
        self.run(site, tmp_path, ledger, "a.zip")
        with pytest.raises(DataError, match="exists already"):
            self.run(site, tmp_path, ledger, "a.zip")
        assert self.run(site, tmp_path, ledger, "a.zip", overwrite=True).files == 1

    def test_a_damaged_ledger_is_no_reason_to_trust(self, site: Site, tmp_path: Path, ledger: Ledger) -> None:
        site.files["a.zip"] = zipped(one=b"1")
        ledger.file.parent.mkdir()
        ledger.file.write_text(json.dumps({site.url + "a.zip": {"sha256": "0" * 63, "size": 1, "seen": ""}}))
        with pytest.raises(DownloadError, match=r"checksums\.json: the list of checksums is damaged"):
            self.run(site, tmp_path, ledger, "a.zip")

    @pytest.mark.parametrize("name", ["all_idb1", "all_idb2"])
    def test_says_how_to_ask_for_what_is_not_given_out(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DownloadError, match=r"on request only: open https://scotti\.di\.unimi\.it/all/.*sign"):
            download(name, tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_names_what_there_is(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no data set 'bcdc' to download; known are bccd, lisc, zheng, raabin"):
            download("bcdc", tmp_path)


@pytest.mark.parametrize("name", CATALOG)
def test_every_entry_can_be_cited_and_had(name: str) -> None:
    entry = CATALOG[name]
    assert all((entry.title, entry.contents, entry.homepage.startswith("http"), entry.licence, entry.citation))
    assert bool(entry.assets) != bool(entry.request)
    for asset in entry.assets:
        assert asset.sha256 is None or len(asset.sha256) == 64
        # What nobody vouches for should at least not be open to anybody on the way.
        assert asset.url.startswith("https://") or "plain http" in entry.remark
