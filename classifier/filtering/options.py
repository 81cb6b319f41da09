"""What a run of the filter keeps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from classifier.errors import OptionError
from classifier.row_stream import RowOptions


@dataclass(frozen=True, slots=True)
class FilterOptions:
    """What to keep.

    Parameters
    ----------
    rows
        How rows are read; where their traces are is by default where they were when the rows were scored.
    keep
        The fraction of the scored rows to keep, those with the lowest rates.
    max_rate
        The highest branch rate to keep.
    by
        A column; `keep` then holds within each of its values.
    best_of
        Of several traces keep only the one with the lowest rate: of the traces of one row that this column
        marks as correct (a list of true and false beside the traces, or one of them in each row), or of all
        rows that have the same text or number in this column.
    on_error
        What becomes of rows without a score: keep, drop or fail.
    scores
        Whether the output has the score columns.
    overwrite
        Whether outputs that exist are replaced.
    overwrite_columns
        Whether rows that have scores are scored again.
    """

    rows: RowOptions = field(default_factory=RowOptions)
    keep: float | None = None
    max_rate: float | None = None
    by: str | None = None
    best_of: str | None = None
    on_error: str = "keep"
    scores: bool = True
    overwrite: bool = False
    overwrite_columns: bool = False

    def __post_init__(self) -> None:
        if self.keep is not None and self.max_rate is not None:
            raise OptionError(
                "Both keep and max_rate are given; they are two ways to set one limit: give one"
            )
        if self.by is not None and self.keep is None:
            raise OptionError("by groups the rows for keep, which is not given")
        if self.keep is not None and not 0 < self.keep <= 1:
            raise OptionError(
                f"keep is {self.keep}; give the fraction to keep, above 0 and at most 1, such as 0.9"
            )
        if self.max_rate is not None and not 0 <= self.max_rate <= 1:
            raise OptionError(f"max_rate is {self.max_rate}; give a rate between 0 and 1, such as 0.12")
        if self.on_error not in ("keep", "drop", "fail"):
            raise OptionError(f"on_error is {self.on_error!r}; expected keep, drop or fail")

    @property
    def row_options(self) -> RowOptions:
        """How rows are read: choosing among the traces of a row needs a row for each."""
        return replace(self.rows, explode=True) if self.best_of is not None else self.rows
