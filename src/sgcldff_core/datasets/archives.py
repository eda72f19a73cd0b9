"""Unpacking of archives that strangers made: nothing leaves the folder, nothing fills the disk."""

from __future__ import annotations

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO

from sgcldff_core.errors import DownloadError

__all__ = ["unpack"]

_CHUNK = 1 << 20
_MOST_FILES = 200_000
# RuntimeError is how zipfile asks for a password, NotImplementedError how it names an unknown compression.
_DAMAGE = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, RuntimeError)


def unpack(archive: Path | str, folder: Path | str, *, most_bytes: int) -> int:
    """Unpack a zip or tar archive into a folder.

    Only plain files and folders are made. An archive with a link, a device, an absolute path, a
    path through ``..`` or two files of one name is refused: no data set of images needs them.

    Parameters
    ----------
    archive : Path or str
        A zip file, or a tar file (plain, gzip, bzip2 or xz).
    folder : Path or str
        An existing folder; it may hold a part of the files when an error is raised.
    most_bytes : int
        The largest size of all files together, unpacked. Counted while they are written, since
        what an archive says of itself may be a lie.

    Returns
    -------
    int
        The number of files.

    Raises
    ------
    DownloadError
        If the archive is damaged, of another kind, too large, or would reach out of `folder`.
    """
    archive, folder = Path(archive), Path(folder)
    if zipfile.is_zipfile(archive):
        members = _of_zip(archive)
    elif tarfile.is_tarfile(archive):
        members = _of_tar(archive)
    else:
        raise DownloadError(f"{archive}: this is neither a zip nor a tar archive; unpack it with a program of its kind")
    room = min(most_bytes, shutil.disk_usage(folder).free)
    files = 0
    try:
        for name, size, stream in members:
            place = _place(archive, name, folder)
            if stream is None:
                place.mkdir(parents=True, exist_ok=True)
                continue
            files += 1
            if size > room or files > _MOST_FILES:
                raise DownloadError(
                    f"{archive}: unpacked it would take more than {most_bytes:,} bytes, {_MOST_FILES:,} files or the "
                    "free space of the disk; it may be made to fill a disk, so it was not unpacked"
                )
            room -= _copy(stream, place, size)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as err:
        raise DownloadError(f"{archive}: two of its files share one name, {err.filename}; it was not unpacked") from err
    except (*_DAMAGE, OSError) as err:
        if isinstance(err, OSError) and err.errno is not None:
            raise  # the disk's trouble, not the archive's: gzip and bz2 raise OSErrors without a number
        raise DownloadError(f"{archive}: the archive is damaged or locked ({err}); delete it and try again") from err
    return files


def _of_zip(archive: Path) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DownloadError(f"{archive}: {info.filename!r} is a link or a device; it was not unpacked")
            if info.is_dir():
                yield info.filename, 0, None
            else:
                with opened.open(info) as stream:
                    yield info.filename, info.file_size, stream


def _of_tar(archive: Path) -> Iterator[tuple[str, int, IO[bytes] | None]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isdir():
                yield member.name, 0, None
                continue
            stream = opened.extractfile(member) if member.isreg() else None
            if stream is None:
                raise DownloadError(f"{archive}: {member.name!r} is a link or a device; it was not unpacked")
            with stream:
                yield member.name, member.size, stream


def _place(archive: Path, name: str, folder: Path) -> Path:
    # Some archives from Windows have backslashes between folders.
    inside = PurePosixPath(name.replace("\\", "/"))
    windows = PureWindowsPath(name)
    if inside.is_absolute() or windows.drive or windows.root or ".." in inside.parts or "\0" in name:
        raise DownloadError(f"{archive}: {name!r} would be written outside of its folder; the archive was not unpacked")
    return folder / inside


def _copy(stream: IO[bytes], place: Path, size: int) -> int:
    place.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with place.open("xb") as file:
        while chunk := stream.read(min(_CHUNK, size - written + 1)):
            written += len(chunk)
            if written > size:
                raise tarfile.ReadError(f"{place.name} is larger than announced")
            file.write(chunk)
    return written
