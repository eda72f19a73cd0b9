"""Look into what was built: both archives there, not too large, with all that belongs in and nothing else."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

__all__ = ["problems_of"]

MOST_BYTES = 25_000_000

IN_WHEEL = {
    "napari_sgcldff/napari.yaml",
    "sgcldff_core/export/page/report.html.jinja",
    "sgcldff_core/models/leukocytes/CARD.md",
    "sgcldff_core/models/leukocytes/atlas.safetensors",
    "sgcldff_core/models/leukocytes/model.json",
    "sgcldff_core/models/leukocytes/model.safetensors",
    "sgcldff_core/py.typed",
}
IN_SOURCE = {"README.md", "LICENSE", "napari.yaml", "pyproject.toml", "tox.ini", "docs/index.md", "mkdocs.yml"}
ROOMS = ("napari_sgcldff/", "sgcldff_core/")


def problems_of(folder: Path) -> list[str]:
    """Return what is wrong with the archives in a folder, in sentences."""
    wheels, sources = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sources) != 1:
        return [f"{folder} holds {len(wheels)} wheels and {len(sources)} source archives, not one of each"]
    problems = [
        f"{file.name} has {file.stat().st_size:,} bytes, more than {MOST_BYTES:,}"
        for file in (*wheels, *sources)
        if file.stat().st_size > MOST_BYTES
    ]
    with zipfile.ZipFile(wheels[0]) as wheel:
        inside = set(wheel.namelist())
    problems += [f"{wheels[0].name} lacks {name}" for name in sorted(IN_WHEEL - inside)]
    strangers = {n for n in inside if not n.startswith(ROOMS) and ".dist-info/" not in n}
    problems += [f"{wheels[0].name} holds {name}, which belongs to no package" for name in sorted(strangers)]
    with tarfile.open(sources[0]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    problems += [f"{sources[0].name} lacks {name}" for name in sorted(IN_SOURCE - names)]
    for name in sorted(inside | names):
        if name.endswith((".pyc", ".pkl", ".pt", ".pth")) or "__pycache__" in name:
            problems.append(f"{name} has no place in an archive")
    return problems


if __name__ == "__main__":
    sys.exit("\n".join(problems_of(Path(sys.argv[1]))) or 0)
