"""Images that show the same cell are found, and only these."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from sgcldff_core.cli import app as cli
from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Provenance
from sgcldff_core.datasets.known_duplicates import shown_first
from sgcldff_core.datasets.near_duplicates import find_near_duplicates
from sgcldff_core.errors import DataError, UnreadableImageError
from sgcldff_core.evaluation.folds import make_folds
from sgcldff_core.sample import Raster, Sample
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training import split_samples

SETTINGS = SmearSettings(
    height=260, width=300, diameter=60, leukocytes=1, centred=True, cut=0, stain="wright", defocus=0.5
)


def photograph(name: str, seed: int, *, top: int = 0, left: int = 0, again: bool = False, **changes) -> Sample:
    """Return a part of a smear; taken again, it is darker, softer and noisier."""
    smear = make_smear(seed, replace(SETTINGS, **changes))
    part = slice(top, top + 200), slice(left, left + 240)
    image = smear.image[part].astype(float)
    if again:
        image = ndimage.gaussian_filter(image, (0.7, 0.7, 0)) * 0.9
        image += np.random.default_rng(seed).normal(0, 2, image.shape)
    whole = smear.to_sample(name)
    labels = Raster.of(np.ascontiguousarray(smear.labels[part]))
    rgb = Raster.of(np.clip(image, 0, 255).astype(np.uint8))
    return replace(whole, image=rgb, labels=labels, nucleus=None, boxes=None, source="drawn", image_class=None)


@pytest.fixture(scope="module")
def others() -> list[Sample]:
    """Return four fields of round lymphocytes, which look alike."""
    return [photograph(f"other{i}", 10 + i, classes=("lymphocyte",)) for i in range(4)]


def test_a_cell_photographed_again_is_found_among_others_like_it(others: list[Sample]) -> None:
    first = photograph("first", 3, classes=("lymphocyte",))
    second = photograph("second", 3, top=31, left=22, again=True, classes=("lymphocyte",))
    seen: list[str] = []
    pairs = find_near_duplicates([first, *others, second], watch=lambda sample: seen.append(sample.name))
    assert [(p.one, p.other, p.classes) for p in pairs] == [("first", "second", ("lymphocyte", "lymphocyte"))]
    assert pairs[0].inside > 0.8
    assert pairs[0].outside > 0.8
    assert not pairs[0].two_names
    assert pairs[0].shift == pytest.approx((31, 22), abs=1)
    assert seen == 2 * ["first", "other0", "other1", "other2", "other3", "second"]  # masks, then pixels


def test_a_crop_without_surroundings_is_found_by_the_cell_alone() -> None:
    field = photograph("field", 5)
    labels = field.read_labels()
    y, x = map(round, ndimage.center_of_mass(labels))
    within = slice(y - 22, y + 22), slice(x - 22, x + 22)
    tight = [Raster.of(np.ascontiguousarray(pixels[within])) for pixels in (field.read_image(), labels)]
    crop = replace(field, name="crop", image=tight[0], labels=tight[1])
    (pair,) = find_near_duplicates([field, crop])
    assert np.isnan(pair.outside)
    assert pair.inside > 0.95  # where it lies between pixels blurs it a little


def test_two_names_for_one_cell_are_told_and_unnamed_ones_are_not() -> None:
    one = photograph("one", 7)
    (name,) = one.classes.values()
    other = replace(one, name="other", classes={1: "basophil" if name != "basophil" else "monocyte"})
    unnamed = replace(one, name="unnamed", classes=None)
    pairs = find_near_duplicates([one, other, unnamed])
    assert [(p.one, p.other, p.two_names) for p in pairs] == [
        ("one", "other", True),
        ("one", "unnamed", False),
        ("other", "unnamed", False),
    ]


def test_sources_are_not_compared_and_what_has_no_mask_or_no_structure_is_passed_over() -> None:
    one = photograph("one", 7)
    elsewhere = replace(one, name="elsewhere", source="elsewhere")
    flat = replace(one, name="flat", image=Raster.of(np.full_like(one.read_image(), 200)))
    assert find_near_duplicates([one, replace(one, name="bare", labels=None), flat, flat, elsewhere]) == []
    assert find_near_duplicates([]) == []


def test_the_command_lists_pairs_and_counts_contradictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = photograph("one", 7)
    (name,) = one.classes.values()
    other = replace(one, name="other", group="other", classes={1: "basophil" if name != "basophil" else "monocyte"})
    write_curated([one, other], tmp_path / "set", provenance=Provenance("drawn", "made for a test"))
    monkeypatch.setattr(sys, "argv", ["sgcldff", "datasets", "duplicates", str(tmp_path / "set")])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert not leaving.value.code
    said = capsys.readouterr().out
    assert "images that show the same cell: 1; cells with two names: 1" in said
    assert all(word in said for word in ("one", "other", name))


def test_sources_may_alternate_and_pairs_come_in_the_order_of_the_images() -> None:
    first, second = photograph("first", 3), photograph("second", 7)
    elsewhere = replace(photograph("elsewhere", 11), source="elsewhere")
    again = [replace(s, name=f"{s.name} again") for s in (second, first)]
    pairs = find_near_duplicates([first, elsewhere, second, *again])
    assert [(p.one, p.other) for p in pairs] == [("first", "first again"), ("second", "second again")]


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_compared() -> None:
    one = photograph("one", 7)

    def broken(path: Path) -> np.ndarray:
        raise UnreadableImageError(path, "is cut short", "get it again")

    bad = replace(one, name="bad", image=Raster(broken, Path("broken.png")))
    told: list[DataError] = []
    pairs = find_near_duplicates([one, bad, replace(one, name="other")], failed=told.append)
    assert [(p.one, p.other) for p in pairs] == [("one", "other")]
    assert "broken.png" in str(told[0])
    with pytest.raises(DataError, match="cut short"):
        find_near_duplicates([one, bad])


def test_splits_keep_known_photographs_of_one_cell_together(real_data: Path) -> None:
    samples = [s for name in ("zheng", "bccd") for s in open_dataset(real_data / name)]
    group = {s.name: s.group for s in samples}
    assert group["BloodImage_00278"] == "bccd/00278"  # files of folds and models know it by that
    assert shown_first("bccd/00278") == "bccd/00206"
    folds = make_folds([s for s in samples if s.split != "test"], 5).fold_of_group
    held = {s.group for s in split_samples(samples, 0.3, 0)[1]}
    for source, one, other in (("bccd", "00206", "00278"), ("zheng1", "060", "090"), ("bccd", "00364", "00409")):
        assert folds[f"{source}/{one}"] == folds[f"{source}/{other}"]
        assert (f"{source}/{one}" in held) == (f"{source}/{other}" in held)
    assert set(folds) == {s.group for s in samples if s.split != "test"}
    few = [s for s in samples if s.name in {"zheng1_060", "zheng1_090", "zheng1_091", "zheng1_095", "zheng1_110"}]
    (pair,) = find_near_duplicates(few)
    assert (pair.one, pair.other, pair.two_names) == ("zheng1_060", "zheng1_090", True)
