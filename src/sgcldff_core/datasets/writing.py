"""What all writers of data sets share: what they are told, and what they report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sgcldff_core.datasets.pixels import Pixels, pixels_of
from sgcldff_core.errors import ConfigError, DataError
from sgcldff_core.taxonomy import ALL_CLASSES

if TYPE_CHECKING:
    from sgcldff_core.datasets.history import Provenance
    from sgcldff_core.sample import Sample

__all__ = [
    "Skipped",
    "Tally",
    "Writer",
    "Written",
    "checked_names",
    "in_order",
    "known_of",
]


@dataclass(frozen=True, slots=True)
class Skipped:
    """An image, or a cell of it, that was not written.

    Attributes
    ----------
    name : str
        Name of the sample.
    reason : str
        Why, and what could be done about it.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer wrote.

    Attributes
    ----------
    folder : Path
        Where it is.
    images : int
        Number of images written.
    cells : int
        Number of outlined cells written.
    skipped : tuple of Skipped
        What was left out.
    lost : tuple of str
        What was written without a part that the format cannot express, in sentences.
    """

    folder: Path
    images: int
    cells: int
    skipped: tuple[Skipped, ...] = ()
    lost: tuple[str, ...] = ()


class Writer(Protocol):
    """The signature of every writer."""

    def __call__(
        self, samples: Iterable[Sample], folder: Path, *, provenance: Provenance, overwrite: bool = False
    ) -> Written:
        """Write samples as a data set that appears in `folder` whole or not at all.

        Parameters
        ----------
        samples : iterable of Sample
            Read one by one; a sample that cannot be read is skipped and named.
        folder : Path
            The folder to make.
        provenance : Provenance
            Recorded in the data set.
        overwrite : bool, default False
            Whether a data set of the same format that is already in `folder` is replaced.

        Returns
        -------
        Written

        Raises
        ------
        DataError
            If `folder` may not be written, or not a single sample could be.
        ConfigError
            If a name is no file name, or appears twice.
        """
        ...


def checked_names(samples: Iterable[Sample]) -> Iterator[Sample]:
    """Pass samples on whose names can be file names side by side.

    Parameters
    ----------
    samples : iterable of Sample
        The samples.

    Yields
    ------
    Sample

    Raises
    ------
    ConfigError
        If a name is no file name, or two differ in nothing but the case of letters.
    """
    seen: dict[str, str] = {}
    for sample in samples:
        name = sample.name
        if not name.isprintable() or name[:1] in ("", ".") or set(name) & set('/\\:*?"<>|'):
            raise ConfigError(f"the sample name {name!r} cannot be a file name; rename the sample")
        if name.casefold() in seen:
            raise ConfigError(f"two samples are named {seen[name.casefold()]!r} and {name!r}; rename one")
        seen[name.casefold()] = name
        yield sample


def in_order(classes: Iterable[str]) -> tuple[str, ...]:
    """Return classes without repetition: the known ones in this package's order, then a user's own by name.

    Parameters
    ----------
    classes : iterable of str
        Names, repeated at will.
    """
    known = [c.name for c in ALL_CLASSES]
    found = set(classes)
    return (*(c for c in known if c in found), *sorted(found.difference(known)))


def known_of(sample: Sample, pixels: Pixels) -> dict[str, Any]:
    """Return what is known of a sample besides its pixels and cells, as it stands in JSON.

    Parameters
    ----------
    sample : Sample
        The sample.
    pixels : Pixels
        Its pixels.

    Returns
    -------
    dict
        ``height``, ``width``, ``source``, ``group``, ``split``, ``image_class``, ``boxes`` as
        (y0, x0, y1, x1, kind) and ``points`` as (y, x, kind); None is unknown.
    """
    height, width = pixels.image.shape[:2]
    return {
        "height": height,
        "width": width,
        "source": sample.source,
        "group": sample.group,
        "split": sample.split,
        "image_class": sample.image_class,
        "boxes": None if sample.boxes is None else [[b.y0, b.x0, b.y1, b.x1, b.kind] for b in sample.boxes],
        "points": None if sample.points is None else [[p.y, p.x, p.kind] for p in sample.points],
    }


@dataclass(slots=True)
class Tally:
    """Counts while a writer writes.

    Attributes
    ----------
    images, cells : int
        As in `Written`.
    skipped : list of Skipped
        As in `Written`.
    """

    images: int = 0
    cells: int = 0
    skipped: list[Skipped] = field(default_factory=list)

    def readable(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, Pixels]]:
        """Yield each sample with its pixels; those that cannot be read are skipped and named.

        Parameters
        ----------
        samples : iterable of Sample
            Read one at a time.
        """
        for sample in checked_names(samples):
            try:
                pixels = pixels_of(sample)
            except DataError as error:
                self.skipped.append(Skipped(sample.name, str(error)))
                continue
            yield sample, pixels

    def written(self, folder: Path, lost: Iterable[str] = ()) -> Written:
        """Return the result, or refuse an empty one.

        Parameters
        ----------
        folder : Path
            Where the data set is to lie.
        lost : iterable of str, optional
            In words, what the format has no place for.
        """
        if not self.images:
            first = (
                f"; the first of {len(self.skipped)} that were left out: {self.skipped[0].reason}"
                if self.skipped
                else ""
            )
            raise DataError(folder, f"there was nothing to write{first}")
        return Written(folder, self.images, self.cells, tuple(self.skipped), tuple(lost))
