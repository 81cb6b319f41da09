"""Turns an uploaded Parquet file into lines of JSON.

A small file can take any amount of memory: columns that repeat one long text, pages that unpack to gigabytes.
And what reads it is native code. So it is read by a process that may use so much memory and no more, and
whose death harms no one.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from serving.engine import Engine
from serving.errors import BodyTooLargeError, InvalidRequestError, MalformedBodyError, RequestTimeoutError
from serving.limits import Limits
from serving.parquet_reader import Outcome
from serving.settings import PREFIX

PARQUET: Final = "application/vnd.apache.parquet"

_MEMORY: Final = 1_000_000_000
"""Address space, of which Python and Arrow take half before they read anything."""
_MEMORY_A_BYTE: Final = 16
"""What Arrow, Python and JSON may take together for each byte that a body may have."""
_ALONE: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Keeps address space to what is used."""


def rows_body(engine: Engine, body: bytes) -> bytes:
    """Answer `POST /v1/rows`.

    Parameters
    ----------
    engine
        Knows the limits.
    body
        A Parquet file.

    Returns
    -------
    bytes
        Each row as a line of JSON, in order, as `branching filter` writes it.

    Raises
    ------
    MalformedBodyError
        If it is no Parquet file, is damaged, or takes too much memory.
    InvalidRequestError
        If it has too many rows.
    BodyTooLargeError
        If the lines are longer than a body may be.
    RequestTimeoutError
        If reading takes longer than a request may.
    """
    limits = engine.limits
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        path.write_bytes(body)
        try:
            with engine.reading():
                done = _read(path, limits)
        except subprocess.TimeoutExpired as error:
            raise RequestTimeoutError(
                f"the Parquet file was not read within {limits.request_timeout:g} seconds"
            ) from error
    if done.returncode == Outcome.READ:
        return done.stdout
    if done.returncode == Outcome.TOO_MANY_ROWS:
        raise InvalidRequestError(
            f"the file has {int(done.stderr):,} rows, and this service reads at most {limits.max_items:,} of "
            "them; split it, or use the branching command",
            {"max_items": limits.max_items},
        )
    if done.returncode == Outcome.TOO_LARGE:
        raise BodyTooLargeError(
            f"the rows have more than {limits.max_body_bytes:,} bytes as JSON; split the file, or use the "
            "branching command",
            {"max_body_bytes": limits.max_body_bytes},
        )
    if done.returncode == Outcome.UNREADABLE:
        raise MalformedBodyError(done.stderr.decode(errors="replace"))
    raise MalformedBodyError(
        "the file cannot be read: it is damaged, or takes more memory than a file of this size may; try the "
        "branching command"
    )


def _read(path: Path, limits: Limits) -> "subprocess.CompletedProcess[bytes]":
    memory = _MEMORY + _MEMORY_A_BYTE * limits.max_body_bytes
    numbers = (limits.max_items, limits.max_body_bytes, memory)
    # What runs here is what runs there; the keys of this service are no business of that process.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **_ALONE}
    return subprocess.run(  # noqa: S603 - our own module, path and numbers
        [sys.executable, "-P", "-m", "serving.parquet_reader", str(path), *map(str, numbers)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=limits.request_timeout,
        check=False,
    )
