"""The count as a message to a hospital: valid, in the right codes and units, never final by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Change, Provenance
from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.export.fhir import LOINC_OF_CLASS, Reference, fhir_bundle, write_fhir
from sgcldff_core.export.leukocyte_count import read_count
from sgcldff_core.sample import Raster, Sample

pytest.importorskip("fhir.resources")

MakeRun = Callable[..., Path]


def parts(bundle: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    report, *observations = [entry["resource"] for entry in bundle["entry"]]
    return report, {
        o["code"]["coding"][0]["code"] if "coding" in o["code"] else o["code"]["text"]: o for o in observations
    }


def test_a_run_becomes_a_preliminary_report(make_run: MakeRun, tmp_path: Path) -> None:
    from fhir.resources.R4B.bundle import Bundle

    file = write_fhir(read_count(make_run({"a": (6, 2), "b": (2, 0)})), tmp_path / "count.json")
    text = file.read_text(encoding="utf-8")
    assert Bundle.model_validate_json(text).entry[0].resource.status == "preliminary"
    report, observations = parts(json.loads(text))
    assert report["resourceType"] == "DiagnosticReport"
    assert report["code"]["coding"][0] == {
        "system": "http://loinc.org",
        "code": "69738-3",
        "display": "Differential panel, method unspecified - Blood",
    }
    assert "not reviewed by a person" in report["conclusion"]
    assert "2 are marked for a second look" in report["conclusion"]
    assert "subject" not in report
    assert "resultsInterpreter" not in report
    assert set(observations) == {"26511-6", "26478-8", "26485-3", "26450-7", "30180-4"}
    neutrophils = observations["26511-6"]
    assert neutrophils["status"] == "preliminary"
    assert neutrophils["valueQuantity"] == {
        "value": 37.5,
        "unit": "%",
        "system": "http://unitsofmeasure.org",
        "code": "%",
    }
    assert [c.get("valueInteger") for c in neutrophils["component"]] == [3, 8, None]
    assert neutrophils["component"][2]["valueRange"]["high"]["value"] == 69.4
    assert observations["30180-4"]["valueQuantity"]["value"] == 0
    assert sum(o["valueQuantity"]["value"] for o in observations.values()) == pytest.approx(100, abs=0.3)


def test_results_are_found_by_their_addresses(make_run: MakeRun) -> None:
    """And the same cells have the same ones, so that a message sent twice is not two counts."""
    folder = make_run({"a": (3, 0)})
    bundle = fhir_bundle(read_count(folder))
    addresses = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(addresses)) == len(addresses)
    assert [result["reference"] for result in bundle["entry"][0]["resource"]["result"]] == addresses[1:]
    assert fhir_bundle(read_count(folder)) == bundle
    table = (folder / "cells.csv").read_text(encoding="utf-8")
    (folder / "cells.csv").write_text(table.replace("a,3,monocyte", "a,3,basophil"), encoding="utf-8")
    assert fhir_bundle(read_count(folder))["entry"][0]["fullUrl"] != addresses[0]


def test_only_a_reviewer_makes_it_final(make_run: MakeRun) -> None:
    count = read_count(make_run({"a": (3, 0)}))
    report, observations = parts(fhir_bundle(count, Reference("Patient/p-1", "S 17", "Dr. <Ada> L.")))
    for resource in (report, *observations.values()):
        assert resource["status"] == "final"
        assert resource["subject"] == {"reference": "Patient/p-1"}
    assert report["resultsInterpreter"] == [{"display": "Dr. <Ada> L."}]
    assert report["specimen"] == [{"type": "Specimen", "identifier": {"value": "S 17"}}]
    assert report["conclusion"].startswith("Reviewed by Dr. <Ada> L.")
    for blank in ("", "  "):
        with pytest.raises(ConfigError, match="reviewer is blank; name one, or leave it out"):
            Reference(reviewer=blank)


def test_a_number_of_the_laboratory_is_an_identifier(make_run: MakeRun) -> None:
    report, _ = parts(fhir_bundle(read_count(make_run({"a": (1, 0)})), Reference(patient="4711/b")))
    assert report["subject"] == {"type": "Patient", "identifier": {"value": "4711/b"}}


def test_codes_have_their_check_digits() -> None:
    """LOINC's last digit is computed from the others (mod 10, as of account numbers): a slip would show."""
    for code, _ in [*LOINC_OF_CLASS.values(), ("69738-3", "")]:
        number, check = code.split("-")
        doubled = "".join(str(2 * int(d)) for d in number[::-1][::2])
        total = sum(map(int, doubled)) + sum(map(int, number[::-1][1::2]))
        assert int(check) == -total % 10, code


@pytest.fixture
def curated(tmp_path: Path) -> Path:
    labels = np.zeros((20, 40), np.int32)
    labels[2:8, 2:8], labels[2:8, 12:18], labels[2:8, 22:28] = 1, 2, 5
    sample = Sample(
        name="a",
        image=Raster.of(np.full((20, 40, 3), 200, np.uint8)),
        source="own",
        group="a",
        labels=Raster.of(labels),
        classes={1: "basophil", 5: "smudge cell"},
    )
    provenance = Provenance("t", "drawn", (Change("2026-11-01T10:00:00+00:00", "ada", "looked through"),))
    write_curated(
        [sample, replace(sample, name="b", group="b", labels=None, classes=None)],
        tmp_path / "curated",
        provenance=provenance,
    )
    return tmp_path / "curated"


def test_a_curated_folder_is_counted_as_people_named_it(curated: Path) -> None:
    count = read_count(curated)
    report, observations = parts(fhir_bundle(count, Reference(reviewer="ada")))
    assert observations["30180-4"]["valueQuantity"]["value"] == 50
    assert observations["smudge cell/100 leukocytes"]["valueQuantity"]["value"] == 50
    assert "1 cells without a class are not counted." in report["conclusion"]
    assert report["issued"] == "2026-11-01T10:00:00+00:00"
    assert fhir_bundle(count)["entry"][0]["resource"]["status"] == "preliminary"


def test_a_count_that_lacks_an_image_is_refused(curated: Path) -> None:
    (curated / "images" / "b.png").unlink()
    with pytest.raises(FormatError, match="cannot be counted as a whole"):
        read_count(curated)


def test_nothing_counted_is_no_report(make_run: MakeRun) -> None:
    with pytest.raises(ConfigError, match="no cell was counted"):
        fhir_bundle(read_count(make_run({"a": (0, 0)})))
