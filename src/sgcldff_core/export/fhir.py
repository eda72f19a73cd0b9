"""The differential count as FHIR R4: one DiagnosticReport and an Observation for each class.

Checked against the models of ``fhir.resources`` in its namespace R4B (4.3.0): R4 (4.0.1) itself is no longer
among its releases, and none of the elements used here differs between the two.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgcldff_core.errors import ConfigError
from sgcldff_core.extras import wants_extra
from sgcldff_core.files import write_json

if TYPE_CHECKING:
    from sgcldff_core.export.count_intervals import ClassCount
    from sgcldff_core.export.leukocyte_count import LeukocyteCount

__all__ = ["LOINC_OF_CLASS", "PANEL", "Reference", "fhir_bundle", "write_fhir"]

LOINC_OF_CLASS = {
    "neutrophil": ("26511-6", "Neutrophils/100 leukocytes in Blood"),
    "lymphocyte": ("26478-8", "Lymphocytes/100 leukocytes in Blood"),
    "monocyte": ("26485-3", "Monocytes/100 leukocytes in Blood"),
    "eosinophil": ("26450-7", "Eosinophils/100 leukocytes in Blood"),
    "basophil": ("30180-4", "Basophils/100 leukocytes in Blood"),
    "blast": ("26446-5", "Blasts/100 leukocytes in Blood"),
}
"""LOINC code and name of each class that has one. All are without a method: neither the terms "by Manual count"
nor those "by Automated count", which mean analysers of blood in flow, are true of software that looks at a smear."""

PANEL = ("69738-3", "Differential panel, method unspecified - Blood")
"""LOINC code and name of the report."""

_LOINC, _UCUM = "http://loinc.org", "http://unitsofmeasure.org"
_LABORATORY = [
    {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0074", "code": "HM", "display": "Hematology"}]}
]
_OBSERVED = [
    {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                "code": "laboratory",
                "display": "Laboratory",
            }
        ]
    }
]
_LITERAL = re.compile(r"Patient/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Whom and what a report is about, and who answers for it.

    Attributes
    ----------
    patient : str or None
        ``Patient/<id>`` as the receiving server knows it, or an identifier of the laboratory's own.
    specimen : str or None
        Identifier of the specimen.
    reviewer : str or None
        Who looked through the cells. Without a reviewer a report is preliminary, with one it is final.

    Raises
    ------
    ConfigError
        If one is given, but blank.
    """

    patient: str | None = None
    specimen: str | None = None
    reviewer: str | None = None

    def __post_init__(self) -> None:
        for name in ("patient", "specimen", "reviewer"):
            value = getattr(self, name)
            if value is not None and not value.strip():
                raise ConfigError(f"{name} is blank; name one, or leave it out")

    @property
    def status(self) -> str:
        """``preliminary``, or ``final`` where there is a reviewer."""
        return "preliminary" if self.reviewer is None else "final"


def write_fhir(count: LeukocyteCount, file: Path, *, reference: Reference = Reference()) -> Path:
    """Write a count as a FHIR bundle (JSON), whole or not at all.

    Parameters
    ----------
    count : LeukocyteCount
        See `sgcldff_core.export.leukocyte_count.read_count`.
    file : Path
        The file.
    reference : Reference
        Patient, specimen and reviewer, where they are known.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ConfigError
        As `fhir_bundle`.
    """
    write_json(file, fhir_bundle(count, reference))
    return file


def fhir_bundle(count: LeukocyteCount, reference: Reference = Reference()) -> dict[str, Any]:
    """Return a count as a FHIR bundle of plain JSON types, checked against the standard.

    Parameters
    ----------
    count : LeukocyteCount
        The count.
    reference : Reference
        Patient, specimen and reviewer, where they are known.

    Returns
    -------
    dict
        A Bundle of type ``collection``: first the DiagnosticReport, then an Observation for each class, in percent
        of the cells. The same cells get the same identifiers.

    Raises
    ------
    ConfigError
        If ``fhir.resources`` is not installed, or no cell was counted: there are no percentages of nothing.
    """
    with wants_extra("export", "FHIR bundles"):
        from fhir.resources.R4B.bundle import Bundle
    if not count.total:
        raise ConfigError("no cell was counted, so there is no differential count to report")
    observations = [_observation(row, count, reference) for row in count.classes]
    addresses = [_address(count, row.name) for row in count.classes]
    report: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "status": reference.status,
        "category": _LABORATORY,
        "code": _coded(*PANEL),
        **_about(reference),
        "issued": count.when,
        "result": [
            {"reference": address, "display": row.name} for address, row in zip(addresses, count.classes, strict=True)
        ],
        "conclusion": " ".join((_told_of_review(reference), *count.notes)),
    }
    if reference.specimen is not None:
        report["specimen"] = [_specimen(reference.specimen)]
    if reference.reviewer is not None:
        report["resultsInterpreter"] = [{"display": reference.reviewer}]
    resources = [report, *observations]
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": count.when,
        "entry": [
            {"fullUrl": address, "resource": resource}
            for address, resource in zip([_address(count, "report"), *addresses], resources, strict=True)
        ],
    }
    Bundle.model_validate(bundle)
    return bundle


def _observation(row: ClassCount, count: LeukocyteCount, reference: Reference) -> dict[str, Any]:
    code = _coded(*LOINC_OF_CLASS[row.name]) if row.name in LOINC_OF_CLASS else {"text": f"{row.name}/100 leukocytes"}
    assert row.percent is not None
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "status": reference.status,
        "category": _OBSERVED,
        "code": code,
        **_about(reference),
        "issued": count.when,
        "valueQuantity": _percent(row.percent),
        "method": {"text": "Image analysis of a stained smear"},
        "device": {"display": count.source},
        "component": [
            {"code": {"text": "cells of this class"}, "valueInteger": row.count},
            {"code": {"text": "cells counted"}, "valueInteger": count.total},
            {
                "code": {"text": "95 % interval of counting (Wilson)"},
                "valueRange": {"low": _percent(row.low), "high": _percent(row.high)},
            },
        ],
    }
    if reference.specimen is not None:
        observation["specimen"] = _specimen(reference.specimen)
    if reference.reviewer is not None:
        observation["performer"] = [{"display": reference.reviewer}]
    return observation


def _coded(code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": _LOINC, "code": code, "display": display}], "text": display}


def _percent(value: float) -> dict[str, Any]:
    return {"value": round(value, 1), "unit": "%", "system": _UCUM, "code": "%"}


def _about(reference: Reference) -> dict[str, Any]:
    if reference.patient is None:
        return {}
    if _LITERAL.fullmatch(reference.patient):
        return {"subject": {"reference": reference.patient}}
    return {"subject": {"type": "Patient", "identifier": {"value": reference.patient}}}


def _specimen(identifier: str) -> dict[str, Any]:
    return {"type": "Specimen", "identifier": {"value": identifier}}


def _told_of_review(reference: Reference) -> str:
    if reference.reviewer is None:
        return "Made by software and not reviewed by a person; not for diagnosis."
    return f"Reviewed by {reference.reviewer}."


def _address(count: LeukocyteCount, part: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"sgcldff {count.fingerprint} {part}").urn
