"""Who does the work: threads of this process, or, in `sgcldff_core.inference.cluster`, processes elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

from sgcldff_core.errors import ClusterError, ConfigError

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["Threads", "Workforce"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Workforce(Protocol):
    """Does tasks of which each can be done by itself, with a model."""

    distant: bool
    """Whether it is another process that works, which sees files but not the memory of this one."""

    def each(
        self, task: Callable[[Model, Item], Result], items: Sequence[Item]
    ) -> Generator[tuple[Item, Result | ClusterError]]:
        """Do a task for each item.

        Parameters
        ----------
        task : callable
            Takes the model and an item. Repeated, it does the same again.
        items : sequence
            What there is to do.

        Yields
        ------
        item, result
            In the order in which they are done; the error, where those who tried did not survive.

        Raises
        ------
        Exception
            The first that a task raises, after the results of those that were begun; no other is
            begun.
        """
        ...


class Threads:
    """Threads that share one model and the processor's cores.

    Parameters
    ----------
    model : Model
        On any device.
    count : int
        Of threads.

    Raises
    ------
    ConfigError
        If there are none.
    """

    distant = False

    def __init__(self, model: Model, count: int = 1) -> None:
        if count < 1:
            raise ConfigError(f"workers must be at least 1, got {count}")
        self.model, self.count = model, count

    def each(
        self, task: Callable[[Model, Item], Result], items: Sequence[Item]
    ) -> Generator[tuple[Item, Result | ClusterError]]:
        """Do a task for each item, see `Workforce.each`.

        Parameters
        ----------
        task, items
            As there; tasks run at the same time and share the model.
        """
        failed: BaseException | None = None
        with _cores_shared_by(self.count), ThreadPoolExecutor(self.count) as pool:
            pending = {pool.submit(task, self.model, item): item for item in items}
            try:
                for future in as_completed(pending):
                    if future.cancelled():
                        continue
                    error = future.exception()
                    if error is None:
                        yield pending[future], future.result()
                    elif failed is None:
                        failed = error
                        pool.shutdown(wait=False, cancel_futures=True)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        if failed is not None:
            raise failed


@contextmanager
def _cores_shared_by(workers: int) -> Iterator[None]:
    # Each thread that calls torch gets torch's whole number of threads: too many by the factor `workers`.
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)
