"""What a report shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from classifier.errors import OptionError
from classifier.row_stream import RowOptions

USUAL_GROUPS: Final = ("source", "model")
"""Columns that rows are grouped by where none are named."""


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """What a report shows.

    Parameters
    ----------
    rows
        Where the traces of the rows are; by default where they were when the rows were scored.
    by
        Columns to group rows by; those of `USUAL_GROUPS` that are there by default.
    pair_by
        The column that says which rows of two files belong together, such as one with the problem.
    keep
        The fraction of rows to keep that the report begins with.
    overwrite
        Whether an output that exists is replaced.
    """

    rows: RowOptions = field(default_factory=RowOptions)
    by: tuple[str, ...] | None = None
    pair_by: str | None = None
    keep: float = 0.9
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 0.5 <= self.keep <= 1:
            raise OptionError(
                f"keep is {self.keep}; give the fraction that the report begins with, from 0.5 to 1"
            )
