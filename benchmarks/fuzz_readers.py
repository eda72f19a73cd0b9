"""Throw damaged files at every reader: no crash, no hang, no flood of memory, every refusal a clear error.

Small data sets of each format are put together from real images (zheng/, bccd/, all_idb2/ where they are found in the
folder given) and from drawn smears, and one file of one of them is damaged at a time: bits flipped, numbers replaced by
large ones, parts cut out, doubled or swapped, text edited. Then everything in the data set is read.

Run: python benchmarks/fuzz_readers.py ../shared/data --rounds 3000
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image
from rich.console import Console

from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.coco_writer import write_coco
from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Change, Provenance
from sgcldff_core.datasets.zheng_writer import write_zheng
from sgcldff_core.errors import SgcldffError
from sgcldff_core.smear import SmearSettings, make_samples

stdout, stderr = Console(highlight=False), Console(stderr=True, highlight=False)

SECONDS = 20  # of the processor, for one data set of two or three images; by the clock, ten times that
MEMORY = 3_000_000_000  # bytes of address space beyond what the program has at the start


def main() -> int:
    """Run, print a table, and return how many rounds went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, held + MEMORY))
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGPROF, _too_long)
    outcomes: Counter[tuple[str, str]] = Counter()
    slowest, faults = ("", 0.0), 0
    with tempfile.TemporaryDirectory() as temporary:
        sets = _data_sets(arguments.data, Path(temporary) / "whole")
        for number in range(arguments.rounds):
            rng = random.Random(f"{arguments.seed}-{number}")
            name = rng.choice(sorted(sets))
            copy = Path(temporary) / "copy"
            shutil.copytree(sets[name], copy)
            damaged = _damage(rng, copy)
            clock = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.alarm(10 * SECONDS)
            try:
                outcome = _read_all(copy)
            except (Exception, _TooLong):  # noqa: BLE001 - whatever is raised is what is looked for
                outcome, faults = "FAULT", faults + 1
                _say(f"round {number}, {name}, {damaged}:\n{traceback.format_exc()}", stderr)
            finally:
                signal.alarm(0)
                signal.setitimer(signal.ITIMER_PROF, 0)
            slowest = max(
                slowest, (f"round {number}, {name}, {damaged}", time.process_time() - clock), key=lambda s: s[1]
            )
            outcomes[name, outcome] += 1
            shutil.rmtree(copy)
    columns = ("read", "read, with problems named", "refused", "FAULT")
    _say("| data set | " + " | ".join(columns) + " |\n| --- |" + " --- |" * len(columns))
    for name in sorted(sets):
        _say(f"| {name} | " + " | ".join(str(outcomes[name, column]) for column in columns) + " |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _say(f"\n{arguments.rounds} rounds, {faults} faults; slowest {slowest[1]:.1f} s ({slowest[0]}); peak {peak:.0f} MB")
    return faults


class _TooLong(BaseException):
    """No `Exception`, so that nobody on the way takes it for damage of the file."""


def _say(text: str, console: Console = stdout) -> None:
    console.print(text, markup=False, soft_wrap=True)


def _too_long(number: int, frame: object) -> None:
    raise _TooLong(f"still reading after {SECONDS} s")


def _read_all(folder: Path) -> str:
    """Read everything in a data set; return how that went."""
    refused = False
    try:
        dataset = open_dataset(folder)
        for sample in dataset:
            for read in (sample.read_image, sample.read_labels, sample.read_nucleus):
                try:
                    read()
                except SgcldffError as error:
                    refused = True
                    _expect_clear(error)
    except SgcldffError as error:
        _expect_clear(error)
        return "refused"
    return "read, with problems named" if refused or len(dataset.report) else "read"


def _expect_clear(error: SgcldffError) -> None:
    if len(str(error)) < 15 or "Traceback" in str(error):
        raise AssertionError(f"this says nothing to a user: {error!r}") from error


def _damage(rng: random.Random, folder: Path) -> str:
    """Damage one file, the small ones that describe the others as often as images."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kinds = sorted({path.suffix for path in files})
    kind = rng.choice(kinds)
    path = rng.choice([path for path in files if path.suffix == kind])
    raw = bytearray(path.read_bytes())
    text = kind in {".csv", ".json", ".txt", ".xml", ".xyc"}
    for _ in range(rng.choice([1, 1, 2, 5])):
        if raw:
            rng.choice(_TEXT_DAMAGE if text and rng.random() < 0.7 else _DAMAGE)(rng, raw)
    path.write_bytes(raw)
    return f"{path.relative_to(folder)}"


def _place(rng: random.Random, raw: bytearray) -> int:
    # Headers are at the beginning, and of TIFF and PNG also at the end.
    size = len(raw)
    return rng.choice([rng.randrange(size), rng.randrange(min(size, 64)), size - 1 - rng.randrange(min(size, 300))])


def _flip(rng: random.Random, raw: bytearray) -> None:
    raw[_place(rng, raw)] ^= 1 << rng.randrange(8)


def _large(rng: random.Random, raw: bytearray) -> None:
    at, size = _place(rng, raw), rng.choice([1, 2, 4, 8])
    value = rng.choice([2 ** (8 * size) - 1, 2 ** (8 * size - 1), 0, 1, rng.randrange(2 ** (8 * size))])
    raw[at : at + size] = value.to_bytes(size, rng.choice(["little", "big"]))


def _truncate(rng: random.Random, raw: bytearray) -> None:
    del raw[_place(rng, raw) :]


def _cut(rng: random.Random, raw: bytearray) -> None:
    at = _place(rng, raw)
    del raw[at : at + rng.randrange(1, 200)]


def _double(rng: random.Random, raw: bytearray) -> None:
    at = _place(rng, raw)
    raw[at:at] = raw[at : at + rng.randrange(1, 200)]


def _swap(rng: random.Random, raw: bytearray) -> None:
    one, other = sorted((_place(rng, raw), _place(rng, raw)))
    raw[one:other] = raw[one:other][::-1]


def _noise(rng: random.Random, raw: bytearray) -> None:
    at = _place(rng, raw)
    raw[at : at + 16] = rng.randbytes(16)


def _replace_number(rng: random.Random, raw: bytearray) -> None:
    digits = [i for i, byte in enumerate(raw) if 48 <= byte <= 57]
    if digits:
        at = rng.choice(digits)
        value = rng.choice(
            [b"-1", b"0", b"1e309", b"nan", b"99999999999999999999", b"null", b'"x"', b"[]", b"0.5", b"{}"]
        )
        raw[at : at + 1] = value


def _replace_text(rng: random.Random, raw: bytearray) -> None:
    at = _place(rng, raw)
    raw[at : at + rng.randrange(8)] = rng.choice(
        [
            b"../../../etc/passwd",
            b"\x00",
            b"\xff\xfe",
            b"<!ENTITY a 'b'>",
            b"&a;",
            b"]]",
            b"}}",
            b",,,,",
            b'"',
            b"\n\n",
            b"[" * 5000,
        ]
    )


_DAMAGE: list[Callable[[random.Random, bytearray], None]] = [_flip, _large, _truncate, _cut, _double, _swap, _noise]
_TEXT_DAMAGE = [_replace_number, _replace_number, _replace_text]


def _data_sets(data: Path, home: Path) -> dict[str, Path]:
    """Put together a small data set of each format that there is material for."""
    drawn = list(make_samples(3, seed=1, settings=SmearSettings(height=160, width=200, diameter=50, leukocytes=3)))
    origin = Provenance("drawn", "drawn", (Change.now("fuzz", "drawn"),))
    for name, write in (("curated", write_curated), ("coco", write_coco)):
        write(drawn, home / name, provenance=origin)
    single = list(make_samples(3, 2, SmearSettings(height=120, width=120, diameter=60, leukocytes=1, cut=0)))
    write_zheng(single, home / "zheng_written", provenance=origin)
    _kinds_of_images(single[0].read_image(), home / "images")
    _lisc(single[0].read_image(), single[0].read_labels(), home / "lisc")
    _all_idb1(single[0].read_image(), home / "all_idb1")
    for source, target, patterns in (
        ("zheng", "zheng", ["Dataset 1/00[1-3].*", "Class Labels of Dataset 1.csv"]),
        (
            "bccd",
            "bccd",
            ["BCCD/*/BloodImage_0000[1-2].*", "masks/*0000[1-2].png", "BCCD/ImageSets/Main/*.txt", "labels.csv"],
        ),
        ("all_idb2", "all_idb2", ["img/Im00[1-2]_1.*", "masks/Im00[1-2]_1.*"]),
    ):
        for path in (path for pattern in patterns for path in (data / source).glob(pattern)):
            place = home / target / path.relative_to(data / source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    return {folder.name: folder for folder in home.iterdir()}


def _kinds_of_images(image: np.ndarray, folder: Path) -> None:
    folder.mkdir(parents=True)
    picture = Image.fromarray(image)
    for suffix in ("bmp", "gif", "jpg", "png", "webp"):
        picture.save(folder / f"a.{suffix}")
    tifffile.imwrite(folder / "plain.tif", image)
    tifffile.imwrite(folder / "deflated.tif", image.astype(np.uint16) * 200, compression="zlib", photometric="rgb")
    tifffile.imwrite(folder / "planar.tif", image.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(folder / "tiled.ome.tif", image, tile=(32, 32), photometric="rgb", metadata={"axes": "YXS"})


def _lisc(image: np.ndarray, labels: np.ndarray | None, folder: Path) -> None:
    assert labels is not None
    for kind, greys in (("neut", (225, 255)), ("mixt", (75, 100))):
        place, truth = folder / "Main Dataset" / kind, folder / "Ground Truth Segmentation" / kind / "areaforexpert1"
        place.mkdir(parents=True)
        truth.mkdir(parents=True)
        Image.fromarray(image).save(place / "1.bmp")
        mask = np.where(labels > 0, greys[0], 0).astype(np.uint8)[4:-4, 4:-4]
        mask[40:60, 40:60] = greys[1]
        Image.fromarray(mask).save(truth / "1_expert.bmp")


def _all_idb1(image: np.ndarray, folder: Path) -> None:
    for part in ("im", "xyc"):
        (folder / part).mkdir(parents=True)
    for name, points in (("Im001_1", "20\t30\n50\t60\n"), ("Im002_0", "\n")):
        Image.fromarray(image).save(folder / "im" / f"{name}.jpg")
        (folder / "xyc" / f"{name}.xyc").write_text(points)
    (folder / "note.json").write_text(json.dumps({"images": [], "annotations": [], "categories": []}))


if __name__ == "__main__":
    sys.exit(min(main(), 100))
