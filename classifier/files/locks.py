"""Keep two runs from writing the same output."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from filelock import FileLock, Timeout

from classifier.errors import OutputFileError
from classifier.files.outputs import OutputTarget, remove_leftovers, write_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

_ENDING: Final = ".lock"


@contextmanager
def locked(*targets: OutputTarget) -> Iterator[None]:
    """Have outputs to oneself; what a killed run left half-written is removed.

    The system gives the lock back when the process ends, however it ends.

    Parameters
    ----------
    targets
        The outputs; standard output needs no lock.

    Raises
    ------
    OutputFileError
        If another run writes one of them.
    """
    with ExitStack() as held:
        for target in targets:
            if target.path is None:
                continue
            lock = FileLock(target.path.with_name(f".{target.path.name}{_ENDING}"), timeout=0)
            with write_errors(target.name):
                try:
                    lock.acquire()
                except Timeout as error:
                    raise OutputFileError(
                        f"{target.name} is being written by another run: wait until that one has ended, or "
                        "name another output"
                    ) from error
            held.callback(lock.release)
            # Removed while it is held: whoever opened it before notices that it has no name any more.
            held.callback(Path(lock.lock_file).unlink, missing_ok=True)
            remove_leftovers(target.path)
        yield
