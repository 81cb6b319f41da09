"""Score columns of fixed types for `datasets.Dataset.map`."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from classifier.columns import COLUMN_TYPES


def append_columns(table: pa.Table, scored: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Append score columns to a batch of a `datasets.Dataset`, keeping the features of its own columns.

    Parameters
    ----------
    table
        The batch as Arrow.
    scored
        The columns to add for each row.

    Returns
    -------
    pyarrow.Table
        The batch with the score columns; a score column that was there already is replaced.
    """
    from datasets import Features

    features = Features.from_arrow_schema(table.schema)
    for name, type_ in COLUMN_TYPES.items():
        if name in ("branch_rates", "branch_steps") and not any(name in row for row in scored):
            continue
        if name in table.column_names:
            table = table.drop_columns([name])
        table = table.append_column(name, pa.array([row.get(name) for row in scored], type_))
        features[name] = Features.from_arrow_schema(pa.schema([(name, type_)]))[name]
    ordered = Features({name: features[name] for name in table.column_names})
    return table.replace_schema_metadata(ordered.arrow_schema.metadata)
