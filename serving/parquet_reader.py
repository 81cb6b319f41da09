"""Writes the rows of a Parquet file as lines of JSON: the process that `serving.parquet_rows` starts.

Its arguments are the file, the most rows, the most bytes of JSON, and the most bytes of memory.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from classifier.errors import InputFileError
from classifier.files.inputs import InputFile
from classifier.files.rows import BatchLimits
from classifier.files.table_inputs import read_table_batches, table_schema
from classifier.files.tables import json_rows

_NAME: Final = "the file"
_ROWS_AT_A_TIME: Final = 16
"""So few, because a column may repeat one long text, of which the file's own figures count one."""


class Outcome(IntEnum):
    """How reading ended: the exit code. Standard error says more, standard output has the lines."""

    READ = 0
    TOO_MANY_ROWS = 3
    TOO_LARGE = 4
    UNREADABLE = 5
    OUT_OF_MEMORY = 6


def read_rows(path: Path, most_rows: int, most_bytes: int) -> Outcome:
    """Write the rows of a file to standard output.

    Parameters
    ----------
    path
        The file.
    most_rows, most_bytes
        How many rows it may have, and how long their lines may be together.
    """
    try:
        source = InputFile(_NAME, path, "parquet", None, path.stat().st_size)
        table_schema(source)
        rows = pq.read_metadata(path).num_rows
        if rows > most_rows:
            sys.stderr.write(str(rows))
            return Outcome.TOO_MANY_ROWS
        written = 0
        for batch in read_table_batches(source, BatchLimits(rows=_ROWS_AT_A_TIME)):
            lines = "".join(f"{line}\n" for line in json_rows(batch)).encode()
            written += len(lines)
            if written > most_bytes:
                return Outcome.TOO_LARGE
            sys.stdout.buffer.write(lines)
    except InputFileError as error:
        if isinstance(error.__cause__, MemoryError):
            return Outcome.OUT_OF_MEMORY
        sys.stderr.write(str(error))
        return Outcome.UNREADABLE
    except MemoryError:
        return Outcome.OUT_OF_MEMORY
    return Outcome.READ


def main(arguments: Sequence[str]) -> int:
    """Read the file that the arguments name, within the memory that they allow."""
    path, *limits = arguments
    most_rows, most_bytes, memory = map(int, limits)
    pa.set_cpu_count(1)
    with suppress(ImportError):  # there is none on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    return read_rows(Path(path), most_rows, most_bytes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
