"""A cluster of processes gives what one process gives, and a worker that dies takes nothing with it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sgcldff_core.errors import ClusterError
from sgcldff_core.inference.batch import FileStep, predict_files
from sgcldff_core.inference.cluster import Cluster, ModelSource, connect
from sgcldff_core.inference.engines import with_engine
from sgcldff_core.model import Model, load_model
from sgcldff_core.smear import SmearSettings, make_smear

distributed = pytest.importorskip("distributed")

SMALL = "leukocytes-small"
# What distributed and tornado do among themselves as processes come and go.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*Port.*already in use"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    """Two processes with a nanny each, which starts another when one dies."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def model() -> Model:
    return with_engine(load_model(SMALL))  # as the workers have it


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Four tiny smears, a truncated file, and a slide of four regions."""
    import zarr

    from sgcldff_core.datasets.ome_zarr import multiscales

    folder = tmp_path_factory.mktemp("smears")
    settings = SmearSettings(height=96, width=128, diameter=40, leukocytes=2, stain="wright", touching=0)
    files = {}
    for seed in range(4):
        files[f"s{seed}"] = folder / f"s{seed}.png"
        Image.fromarray(make_smear(seed, settings).image).save(files[f"s{seed}"])
    files["cut"] = folder / "cut.png"
    files["cut"].write_bytes(files["s0"].read_bytes()[:300])
    slide = make_smear(9, SmearSettings(height=420, width=420, diameter=40, leukocytes=9, stain="wright", touching=0))
    files["slide"] = folder / "slide.zarr"
    group = zarr.open_group(str(files["slide"]), mode="w", zarr_format=3)
    group.create_array("0", data=np.moveaxis(slide.image, -1, 0), chunks=(3, 128, 128))
    group.attrs.update(multiscales("slide", [slide.image.shape[:2]], channels=True))
    return files


def _bytes(folder: Path) -> dict[str, bytes]:
    """Read all that was written, but for what says how long it took, and drafts (hidden) of the worker that died."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "run.json" and p.name[0] != ".")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def test_results_do_not_depend_on_workers_nor_on_one_that_is_killed(
    workers: Any, model: Model, inputs: dict[str, Path], tmp_path: Path
) -> None:
    alone = predict_files(inputs, model, tmp_path / "alone", diameter=40)
    with connect(workers.scheduler_address) as client:
        cluster = Cluster.of_model(client, model, SMALL, "cpu")
        steps: list[FileStep] = []
        pids = list(client.run(os.getpid).values())

        def kill_one(step: FileStep) -> None:
            steps.append(step)
            if len(steps) == 1:
                os.kill(pids[0], signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

        broken = predict_files(inputs, model, tmp_path / "killed", diameter=40, workforce=cluster, watch=kill_one)
        # dask may or may not have started another; those that there are have loaded the model once at the most.
        loads = client.run(_loads)
        assert set(loads.values()) <= {0, 1}
        assert sum(loads.values()) >= 1
        spare = list(loads)[1:]
        if spare:
            client.retire_workers(spare)
        one = predict_files(inputs, model, tmp_path / "one", diameter=40, workforce=cluster)
        assert set(client.run(_loads).values()) == {1}
    assert _bytes(tmp_path / "alone") == _bytes(tmp_path / "killed") == _bytes(tmp_path / "one")
    for result in (alone, broken, one):
        assert [file.stem for file in result.files] == list(inputs)
        assert [file.stem for file in result.failures] == ["cut"]
        assert "cut.png" in result.failures[0].problem
    assert [step.stem for step in steps if step.result] == [step.stem for step in steps if step.stage == "over"]
    assert {step.stem for step in steps} == set(inputs)


def _loads() -> int:
    from sgcldff_core.inference.cluster import _loaded

    return _loaded.cache_info().misses


def _die(model: Model, item: int) -> int:
    os._exit(1)


def _square(model: Model, item: int) -> int:
    return item * item


def _fail(model: Model, item: int) -> int:
    if item == 3:
        raise ValueError("three")
    return item


def test_every_item_is_done_and_an_error_is_raised(workers: Any) -> None:
    with connect(workers.scheduler_address) as client:
        assert dict(Cluster(client, _source()).each(_square, range(100))) == {n: n * n for n in range(100)}
        with pytest.raises(ValueError, match="three"):
            dict(Cluster(client, _source()).each(_fail, range(50)))


def _source() -> ModelSource:
    return ModelSource(SMALL, load_model(SMALL).sha256, "cpu")


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"version": "0.0.0"}, "install the same version"), ({"sha256": "0" * 64}, "another model under")],
)
def test_a_worker_that_would_compute_something_else_refuses(workers: Any, change: dict[str, str], reason: str) -> None:
    from dataclasses import replace

    with connect(workers.scheduler_address) as client, pytest.raises(ClusterError, match=reason):
        list(Cluster(client, replace(_source(), **change)).each(_square, [1]))


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sgcldff_core.inference.cluster._WAIT", 0.5)
    with pytest.raises(ClusterError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        connect("tcp://127.0.0.1:9")


def test_a_task_that_kills_its_workers_is_told(workers: Any) -> None:
    """The last test here: it leaves no worker."""
    with connect(workers.scheduler_address) as client:
        workers.scheduler.allowed_failures = 0
        (lost,) = [result for _, result in Cluster(client, _source()).each(_die, [1])]
        assert isinstance(lost, ClusterError)
        assert "1 workers died of it" in str(lost)
