"""Write batches of rows with their score columns as Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from classifier.columns import COLUMN_TYPES
from classifier.files.manifest import Provenance, with_provenance
from classifier.files.outputs import FinishedFile, NewFile, OutputTarget
from classifier.files.tables import own_columns

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import IO

    from classifier.files.rows import RowBatch
    from classifier.files.tables import TablePlan

_GROUP_ROWS: Final = 8192
_GROUP_BYTES: Final = 32 << 20


class TableWriter:
    """Write rows as Parquet.

    Parameters
    ----------
    target
        Where they go.
    plan
        The rows' own columns.
    columns
        The columns to add; `branch_rates` joins them when a row has it.
    provenance
        What scored the rows; goes into the schema's metadata.
    """

    def __init__(
        self, target: OutputTarget, plan: TablePlan, columns: Sequence[str], provenance: Provenance | None
    ) -> None:
        self.target = target
        self._plan = plan
        self._columns = list(columns)
        self._metadata = with_provenance(plan.schema.metadata, provenance)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._waiting_rows = self._waiting_bytes = 0
        self._file = NewFile(target)
        self._schema, self._writer = self._start(self._file)

    def write(self, batch: RowBatch, added: Sequence[dict[str, Any]]) -> None:
        """Write some rows, each with its added columns in place of earlier ones."""
        if (
            self._columns
            and "branch_rates" not in self._columns
            and any("branch_rates" in row for row in added)
        ):
            self._widen()
        arrays = own_columns(batch, self._plan)
        arrays += [
            pa.array([row.get(name) for row in added], type=self._schema.field(name).type)
            for name in self._columns
        ]
        table = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._waiting.append(table)
        self._rows += table.num_rows
        self._waiting_rows += table.num_rows
        self._waiting_bytes += table.nbytes
        if self._waiting_rows >= _GROUP_ROWS or self._waiting_bytes >= _GROUP_BYTES:
            self._write_group()

    def finish(self) -> FinishedFile:
        """Write what is left, and return what the output holds."""
        self._write_group()
        self._writer.close()
        return self._file.finish(self._rows)

    def commit(self) -> None:
        """Put the finished output in its place."""
        self._file.commit()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.discard()
        self._writer.close()

    def _start(self, file: NewFile) -> tuple[pa.Schema, pq.ParquetWriter]:
        added = [pa.field(name, COLUMN_TYPES[name]) for name in self._columns]
        schema = pa.schema([*self._plan.schema, *added], self._metadata)
        try:
            return schema, pq.ParquetWriter(cast("IO[bytes]", file), schema, compression="zstd")
        except BaseException:
            file.discard()
            raise

    def _write_group(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, self._schema)
            self._writer.write_table(table, row_group_size=table.num_rows)
        self._waiting = []
        self._waiting_rows = self._waiting_bytes = 0

    def _widen(self) -> None:
        """Write what there is once more, with a `branch_rates` column: rows before had one trace each."""
        self._write_group()
        self._writer.close()
        self._file.flush()
        old = self._file
        at = self._columns.index("branch_error") + 1
        self._columns.insert(at, "branch_rates")
        at += len(self._plan.schema)
        try:
            self._file = NewFile(self.target)
            self._schema, self._writer = self._start(self._file)
            field = self._schema.field(at)
            with pq.ParquetFile(old.path or "") as written:
                for group in range(written.num_row_groups):
                    table = written.read_row_group(group)
                    nulls = pa.nulls(table.num_rows, field.type)
                    self._writer.write_table(table.add_column(at, field, nulls).cast(self._schema))
        finally:
            old.discard()
