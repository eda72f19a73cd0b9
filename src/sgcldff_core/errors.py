"""The exceptions that this package raises on purpose.

::

    SgcldffError
    ├── DataError                 something on disk cannot be used
    │   ├── UnreadableImageError  an image file is truncated, empty or of an unknown kind
    │   ├── FormatError           a data set, table or annotation breaks the rules of its format
    │   └── UnknownFormatError    no reader recognises a path
    ├── ModelError                a model cannot be used
    │   ├── ModelNotFoundError    no model of that name or at that path
    │   └── CorruptModelError     weights or description do not fit each other
    ├── ConfigError               a setting is unknown, out of range, or contradicts another
    ├── ClusterError              workers elsewhere cannot be reached, died, or do not fit
    ├── DownloadError             a download failed, or its checksum is wrong
    └── CancelledError            the caller asked to stop

Every message says what is wrong, with which file, and what to do about it.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CancelledError",
    "ClusterError",
    "ConfigError",
    "CorruptModelError",
    "DataError",
    "DownloadError",
    "FormatError",
    "ModelError",
    "ModelNotFoundError",
    "SgcldffError",
    "UnknownFormatError",
    "UnreadableImageError",
]


class SgcldffError(Exception):
    """Root of everything that this package raises on purpose."""


class DataError(SgcldffError):
    """Something on disk cannot be used.

    Parameters
    ----------
    path : Path or str
        The file or folder at fault.
    problem : str
        What is wrong with it.
    remedy : str, optional
        What the user can do about it.
    """

    def __init__(self, path: Path | str, problem: str, remedy: str = "") -> None:
        self.path = Path(path)
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{path}: {problem}" + (f"; {remedy}" if remedy else ""))

    def __reduce__(self) -> tuple[type[DataError], tuple[Path, str, str]]:
        # The default would rebuild from the joined message alone and fail in another process.
        return type(self), (self.path, self.problem, self.remedy)


class UnreadableImageError(DataError):
    """An image file is truncated, empty or of an unknown kind."""


class FormatError(DataError):
    """A data set, table or annotation breaks the rules of its format."""


class UnknownFormatError(DataError):
    """No reader recognises a path."""


class ModelError(SgcldffError):
    """A model cannot be used."""


class ModelNotFoundError(ModelError):
    """There is no model of that name or at that path."""


class CorruptModelError(ModelError):
    """Weights and description of a model do not fit each other, or are damaged."""


class ConfigError(SgcldffError, ValueError):
    """A setting is unknown, out of range, or contradicts another."""


class ClusterError(SgcldffError):
    """Workers of a cluster cannot be reached, died, or do not fit this process."""


class DownloadError(SgcldffError):
    """A download failed, or what came is not what was announced."""


class CancelledError(SgcldffError):
    """The caller asked to stop."""
