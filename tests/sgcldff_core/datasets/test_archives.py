"""Archives that try to get out, to fill the disk, or that are simply broken."""

from __future__ import annotations

import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from sgcldff_core.datasets.archives import unpack
from sgcldff_core.errors import DownloadError

LIMIT = 100_000
Maker = Callable[[Path, str, bytes], Path]


def make_zip(folder: Path, name: str, body: bytes) -> Path:
    file = folder / "made.zip"
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), body, zipfile.ZIP_DEFLATED)
    return file


def make_tar(folder: Path, name: str, body: bytes, suffix: str = "") -> Path:
    file = folder / f"made.tar{suffix}"
    with tarfile.open(file, f"w{suffix.replace('.', ':')}") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(body)
        archive.addfile(info, io.BytesIO(body))
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in" / "here"
    made.mkdir(parents=True)
    return made


def outside(tmp_path: Path, folder: Path) -> list[str]:
    return [p.name for p in tmp_path.rglob("*") if p.is_file() and folder not in p.parents and "made" not in p.name]


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_unpacks_tar_files(tmp_path: Path, folder: Path, suffix: str) -> None:
    assert unpack(make_tar(tmp_path, "LISC Database/1.bmp", b"cell", suffix), folder, most_bytes=LIMIT) == 1
    assert (folder / "LISC Database" / "1.bmp").read_bytes() == b"cell"


def test_makes_the_folders_of_a_tar_file(tmp_path: Path, folder: Path) -> None:
    with tarfile.open(tmp_path / "made.tar", "w") as archive:
        info = tarfile.TarInfo("empty")
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    assert unpack(tmp_path / "made.tar", folder, most_bytes=LIMIT) == 0
    assert (folder / "empty").is_dir()


def test_unpacks_zip_files_with_folders_and_backslashes(tmp_path: Path, folder: Path) -> None:
    make_zip(tmp_path, "empty/", b"")
    archive = make_zip(tmp_path, "Dataset 1\\001.bmp", b"cell")
    assert unpack(archive, folder, most_bytes=LIMIT) == 1
    assert (folder / "Dataset 1" / "001.bmp").read_bytes() == b"cell"
    assert (folder / "empty").is_dir()


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil", "C:evil", "\\\\host\\evil", "\\evil"]
)
def test_refuses_a_path_that_leads_out(tmp_path: Path, folder: Path, make: Maker, name: str) -> None:
    with pytest.raises(DownloadError, match="outside of its folder"):
        unpack(make(tmp_path, name, b"!"), folder, most_bytes=LIMIT)
    assert outside(tmp_path, folder) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_refuses_links_and_devices_of_tar(tmp_path: Path, folder: Path, kind: bytes) -> None:
    (tmp_path / "secret").write_text("secret")
    with tarfile.open(tmp_path / "made.tar", "w") as archive:
        info = tarfile.TarInfo("door")
        info.type, info.linkname = kind, "../../secret"
        archive.addfile(info)
    with pytest.raises(DownloadError, match="'door' is a link or a device"):
        unpack(tmp_path / "made.tar", folder, most_bytes=LIMIT)
    assert list(folder.iterdir()) == []


def test_refuses_links_of_zip(tmp_path: Path, folder: Path) -> None:
    info = zipfile.ZipInfo("door")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "made.zip", "w") as archive:
        archive.writestr(info, "../../secret")
    with pytest.raises(DownloadError, match="'door' is a link or a device"):
        unpack(tmp_path / "made.zip", folder, most_bytes=LIMIT)


@pytest.mark.parametrize("make", [make_zip, lambda *args: make_tar(*args, ".gz")])
def test_refuses_a_bomb_before_it_bursts(tmp_path: Path, folder: Path, make: Maker) -> None:
    archive = make(tmp_path, "bomb", bytes(LIMIT + 1))
    assert archive.stat().st_size < 2000
    with pytest.raises(DownloadError, match=f"more than {LIMIT:,} bytes"):
        unpack(archive, folder, most_bytes=LIMIT)
    assert list(folder.iterdir()) == []


def test_counts_all_files_together(tmp_path: Path, folder: Path) -> None:
    for i in range(3):
        archive = make_zip(tmp_path, f"{i}", bytes(LIMIT // 2))
    with pytest.raises(DownloadError, match="may be made to fill a disk"):
        unpack(archive, folder, most_bytes=LIMIT)


def test_a_zip_that_lies_about_a_size_stays_within_what_it_says(tmp_path: Path, folder: Path) -> None:
    archive = make_zip(tmp_path, "bomb", bytes(LIMIT * 10))
    true, lie = (LIMIT * 10).to_bytes(4, "little"), (10).to_bytes(4, "little")
    archive.write_bytes(archive.read_bytes().replace(true, lie))
    with pytest.raises(DownloadError, match="damaged"):
        unpack(archive, folder, most_bytes=LIMIT)
    assert sum(p.stat().st_size for p in folder.iterdir()) <= 10


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_refuses_two_files_of_one_name(tmp_path: Path, folder: Path) -> None:
    make_zip(tmp_path, "a", b"1")
    with pytest.raises(DownloadError, match="two of its files share one name"):
        unpack(make_zip(tmp_path, "a", b"2"), folder, most_bytes=LIMIT)


@pytest.mark.parametrize("suffix", ["", ".gz", ".bz2", ".xz"])
def test_says_that_a_tar_is_damaged(tmp_path: Path, folder: Path, suffix: str) -> None:
    archive = make_tar(tmp_path, "a", random.Random(0).randbytes(5000), suffix)
    archive.write_bytes(archive.read_bytes()[:2000])
    with pytest.raises(DownloadError, match=r"damaged or locked .* delete it|neither a zip nor a tar"):
        unpack(archive, folder, most_bytes=LIMIT)


def test_says_that_a_zip_is_damaged(tmp_path: Path, folder: Path) -> None:
    archive = make_zip(tmp_path, "a", random.Random(0).randbytes(5000))
    body = bytearray(archive.read_bytes())
    body[200] ^= 0xFF
    archive.write_bytes(body)
    with pytest.raises(DownloadError, match=r"made\.zip: the archive is damaged"):
        unpack(archive, folder, most_bytes=LIMIT)


def test_says_that_it_cannot_open_this_kind(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "Train.rar").write_bytes(b"Rar!\x1a\x07\x00")
    with pytest.raises(DownloadError, match=r"Train\.rar: this is neither a zip nor a tar archive"):
        unpack(tmp_path / "Train.rar", folder, most_bytes=LIMIT)
