"""Workers of a dask cluster: each loads the model once, and what a worker that dies had begun, another does again."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sgcldff_core
from sgcldff_core.errors import ClusterError
from sgcldff_core.extras import wants_extra
from sgcldff_core.inference.engines import with_engine
from sgcldff_core.model import Model, load_model

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Cluster", "ModelSource", "connect", "do_with_model"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4  # tasks a thread of the cluster that are handed out at once: a million at once would choke the scheduler
_RETRIES = 2  # of a task that raised what it never should, such as a file system that was away for a moment
_WAIT = 30  # s for the scheduler to answer, and for a first worker


@dataclass(frozen=True, slots=True)
class ModelSource:
    """How a worker gets the model.

    Attributes
    ----------
    name : str or None
        Of a model that the workers have by that name, or the path of a folder that they see as
        well; None for the shipped one.
    sha256 : str
        Of its weights: all must mean the same.
    device : str
        For torch.
    version : str
        Of this package: all must compute the same.
    """

    name: str | None
    sha256: str
    device: str
    version: str = sgcldff_core.__version__


@lru_cache(maxsize=1)
def _loaded(source: ModelSource) -> Model:
    if source.version != sgcldff_core.__version__:
        raise ClusterError(
            f"a worker runs sgcldff {sgcldff_core.__version__}, this process {source.version}; install the same version"
        )
    model = with_engine(load_model(source.name, device=source.device))
    if model.sha256 != source.sha256:
        raise ClusterError(f"a worker finds another model under {source.name!r}; name a folder that all of them share")
    return model


def do_with_model(source: ModelSource, task: Callable[[Model, Item], Result], item: Item) -> Result:
    """Do a task in a worker, with the model that its process keeps.

    Parameters
    ----------
    source : ModelSource
        Of the model; the one used last stays loaded.
    task : callable
        Takes the model and the item.
    item : Any
        What it is done to.
    """
    return task(_loaded(source), item)


def connect(address: str) -> Client:
    """Connect to a scheduler.

    Parameters
    ----------
    address : str
        Such as ``tcp://host:8786`` or ``tls://host:8786``, or the path of a scheduler file
        (``*.json``). Keys and certificates for TLS are those of dask's own configuration.

    Returns
    -------
    distributed.Client
        To be closed. Workers have come.

    Raises
    ------
    ConfigError
        If the extra `distributed` is not installed.
    ClusterError
        If nobody answers, or no worker comes.
    """
    with wants_extra("distributed", "clusters"):
        from distributed import Client
    where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
    try:
        client = Client(**where, timeout=_WAIT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise ClusterError(f"no scheduler answers at {address} ({error}); check address, network and TLS") from error
    try:
        client.wait_for_workers(1, timeout=_WAIT)
    except TimeoutError as error:
        client.close()
        raise ClusterError(f"the scheduler at {address} has no workers; start some") from error
    return client


class Cluster:
    """Workers of a dask cluster as a `sgcldff_core.inference.workforce.Workforce`.

    Parameters
    ----------
    client : distributed.Client
        Connected; closed by who made it.
    source : ModelSource
        Of the model.
    """

    distant = True

    def __init__(self, client: Client, source: ModelSource) -> None:
        self.client, self.source = client, source

    @classmethod
    def of_model(cls, client: Client, model: Model, name: str | None, device: str) -> Cluster:
        """Have the workers load the model that this process has loaded by a name.

        Parameters
        ----------
        client : distributed.Client
            Connected; closed by who made it.
        model : Model
            By whose hash the workers know that theirs is the same.
        name : str or None
            By which it was loaded; a folder must lie at the same path for the workers.
        device : str
            For torch, in the workers.
        """
        folder = name is not None and Path(name).is_dir()
        where = str(Path(str(name)).resolve()) if folder else name
        return cls(client, ModelSource(where, model.sha256, device))

    def each(
        self, task: Callable[[Model, Item], Result], items: Sequence[Item]
    ) -> Generator[tuple[Item, Result | ClusterError]]:
        """Do a task for each item, see `sgcldff_core.inference.workforce.Workforce.each`.

        Parameters
        ----------
        task, items
            As there; both are pickled.
        """
        from distributed import as_completed

        waiting = iter(items)
        handed: dict[Any, Item] = {}

        def hand_out(count: int) -> list[Any]:
            futures = []
            for item in islice(waiting, count):
                future = self.client.submit(do_with_model, self.source, task, item, pure=False, retries=_RETRIES)
                handed[future] = item
                futures.append(future)
            return futures

        try:
            done = as_completed(hand_out(self._places()), loop=self.client.loop)
            for future in done:
                item = handed.pop(future)
                result = _result_of(future)
                done.update(hand_out(1))
                yield item, result
        finally:
            if handed:
                # A scheduler that is gone cannot be told.
                with suppress(Exception):
                    self.client.cancel(list(handed))

    def _places(self) -> int:
        # Workers may come later: what was counted now must not leave them without work for long.
        threads: int = sum(self.client.nthreads().values())
        return _AHEAD * max(8, threads)


def _result_of(future: Any) -> Any:
    from distributed.client import FutureCancelledError
    from distributed.scheduler import KilledWorker

    try:
        return future.result()
    except KilledWorker as lost:
        return ClusterError(
            f"{lost.allowed_failures + 1} workers died of it, the last of them {lost.last_worker.address}; "
            "give them more memory, or look into their logs"
        )
    except FutureCancelledError as gone:
        raise ClusterError(f"the scheduler is gone ({gone}); what was finished is kept, run it again") from gone
