"""Let reading and writing go on in the background while rows are scored."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import Final, Generic, TypeVar

_Item = TypeVar("_Item")

_DEPTH: Final = 2
_PATIENCE: Final = 0.05
_FAREWELL: Final = 1.0


class _End:
    """Stands behind the last item, with the error that ended the work, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(items: Iterator[_Item]) -> Generator[_Item, None, None]:
    """Run an iterator in a thread of its own, a few items ahead of its consumer.

    Parameters
    ----------
    items
        Where the items come from. An error in it is raised here, after the items before it.

    Yields
    ------
    object
        The items, in order.
    """
    # The thread is a daemon: where it waits for standard input, nothing can end its wait, and it must
    # not keep the process alive after Ctrl-C.
    queue: Queue[_Item | _End] = Queue(_DEPTH)
    stopped = threading.Event()

    def put(item: _Item | _End) -> None:
        while not stopped.is_set():
            with suppress(Full):
                queue.put(item, timeout=_PATIENCE)
                return

    def read() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    break
        except BaseException as error:  # noqa: BLE001 - raised again where the items are consumed
            put(_End(error))
        else:
            put(_End())
        finally:
            # A consumer that stops early must not leave files open until the garbage is collected.
            if isinstance(items, Generator):
                items.close()

    thread = threading.Thread(target=read, name="branching-read", daemon=True)
    thread.start()
    try:
        while not isinstance(item := queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        thread.join(_FAREWELL)


class WriteBehind(Generic[_Item]):
    """Pass items to a function in a thread of its own, in order, a few items behind.

    Parameters
    ----------
    write
        Called with each item. Its first error ends the work and is raised by the next `put` or by `finish`.
    """

    def __init__(self, write: Callable[[_Item], None]) -> None:
        self._write = write
        self._queue: Queue[_Item | _End] = Queue(_DEPTH)
        self._error: BaseException | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="branching-write", daemon=True)
        self._thread.start()

    def put(self, item: _Item) -> None:
        """Hand an item over; waits while the function is too many items behind."""
        self._put(item)

    def finish(self) -> None:
        """Wait until every item is written."""
        self._put(_End())
        self._thread.join()
        self._raise()

    def stop(self) -> None:
        """Drop what was not written yet, and wait for the item at work."""
        self._stopped.set()
        self._thread.join(_FAREWELL)

    def _put(self, item: _Item | _End) -> None:
        while True:
            self._raise()
            with suppress(Full):
                self._queue.put(item, timeout=_PATIENCE)
                return

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    item = self._queue.get(timeout=_PATIENCE)
                except Empty:
                    continue
                if isinstance(item, _End):
                    return
                self._write(item)
        except BaseException as error:  # noqa: BLE001 - raised again where the items come from
            self._error = error
