"""The rows of some inputs with their rates: gone through once to decide, and once more to write."""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Hashable
from contextlib import closing
from math import isnan, nan
from typing import IO, TYPE_CHECKING, Any, Final, Self

from classifier.errors import InputFileError, OptionError, OutputFileError, RowError
from classifier.files import RowBatch, find_inputs
from classifier.files.manifest import Provenance
from classifier.filtering.existing_scores import Added, existing_scores, has_scores
from classifier.overlap import read_ahead
from classifier.row_stream import LoadedScorer, RowCounts, read_rows, score_rows
from classifier.scored_sources import ScoredSources
from classifier.selection import BranchFilter, KeepPlan, SelectionTally, plan_keep_fractions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from classifier.filtering.options import FilterOptions
    from classifier.progress import Progress

_CHOSEN: Final = 1
_NOT_CHOSEN: Final = 0


class RatedRows:
    """The rows of some inputs, each with its branch rate, group and length.

    Parameters
    ----------
    inputs
        Paths, folders, glob patterns, or "-" for standard input, which is copied to a temporary file.
    options
        How to read, group and choose rows.
    progress
        Is told how far it is.

    Attributes
    ----------
    sources, options
        The inputs, and how they are gone through.
    counts
        What became of the rows.
    columns
        The score columns that some row has.
    provenance
        What scored the rows, as far as anything says.
    unknown_provenance
        Inputs that have scores, but nothing says of which model.
    lengths
        Characters of each row's trace.
    without_trace
        How many rows have a rate, but no trace where it was looked for; their lengths are 0.
    chosen
        For each row whether it is the best of its group, if that was asked for; 1 for every row otherwise.
    """

    def __init__(self, inputs: Sequence[str], options: FilterOptions, progress: Progress) -> None:
        self.sources = find_inputs(inputs)
        self.counts = RowCounts()
        self.columns: set[str] = set()
        self.provenance: Provenance | None = None
        self.unknown_provenance: list[str] = []
        self.lengths = array("d")
        self.chosen = array("b")
        self.options = options
        self._progress = progress
        self.without_trace = 0
        self._options_of = {source.name: options.row_options for source in self.sources}
        self._rates = array("d")
        self._groups: list[Hashable] = []
        self._scored: bool | None = None
        self._spool: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the temporary files."""
        for source in self.sources:
            source.close()
        if self._spool is not None:
            self._spool.close()

    def rate(self, load_scorer: Callable[[], LoadedScorer]) -> None:
        """Find the rate of every row.

        Parameters
        ----------
        load_scorer
            Loads the model; called only if the rows have no scores.

        Raises
        ------
        UsageError
            If an input cannot be read, or its rows cannot be filtered as was asked.
        RowError
            If a row has no score and `on_error` is "fail".
        """
        for source in self.sources:
            source.spool()
        scorer = None
        self._scored = not self.options.overwrite_columns and self._have_scores()
        if self._scored:
            scored = ScoredSources.of(self.sources, self.options.row_options)
            self.provenance, self.unknown_provenance = scored.provenance, scored.unknown
            self._options_of = scored.options
        else:
            scorer = load_scorer()
            self.provenance = scorer.provenance
            self._spool = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by exit
        best: dict[Hashable, tuple[float, int]] = {}
        self._progress.start("Reading scores" if scorer is None else "Scoring", self.sources)
        with closing(read_ahead(self._read())) as batches:
            for batch, origins in batches:
                self._refuse_several(batch)
                if scorer is None:
                    added = existing_scores(batch, origins)
                else:
                    added = score_rows(scorer.rows, batch)
                    self._keep_for_later(added)
                for index, columns in enumerate(added):
                    self._note(batch, index, columns, origins[index], best)
                self._progress.advance(batch, self.counts.add(batch, added))
        if self.options.best_of is not None:
            for _, number in best.values():
                self.chosen[number] = _CHOSEN

    def decide(self) -> tuple[array[int], SelectionTally, dict[str, Any]]:
        """Decide which rows stay.

        Returns
        -------
        tuple
            For each row 1 or 0, what to report, and the rule in words for machines.
        """
        options = self.options
        row_filter: BranchFilter | None = None
        if options.max_rate is not None:
            row_filter = BranchFilter(options.max_rate)
        elif options.keep is not None and any(True for _ in self._candidates()):
            row_filter = BranchFilter.fit(self._candidates(), options.keep, by=options.by)
        kept, tally = self._apply(row_filter)
        rule = {
            "keep": options.keep,
            "max_rate": options.max_rate if row_filter is None else row_filter.max_rate,
            "by": options.by,
            "max_rates": {} if row_filter is None else row_filter.describe()["max_rates"],
            "best_of": options.best_of,
            "on_error": options.on_error,
        }
        return kept, tally, rule

    def plans(self, fractions: Sequence[float]) -> list[KeepPlan]:
        """Work out what keeping each of some fractions would do; none if no row has a rate."""
        if not any(True for _ in self._candidates()):
            return []
        options = self.options
        if options.by is None and options.best_of is None and options.on_error != "drop":
            return plan_keep_fractions(self._rates, self.lengths, fractions)
        return [self._plan(fraction) for fraction in fractions]

    def again(self, kept: array[int]) -> Iterator[tuple[RowBatch, Added, list[int]]]:
        """Go through the rows once more.

        Parameters
        ----------
        kept
            For each row 1 or 0.

        Yields
        ------
        tuple
            A batch, the score columns of its rows, and for each of them 1 or 0.

        Raises
        ------
        InputFileError
            If the inputs have changed.
        """
        done = 0
        if self._spool is not None:
            self._spool.seek(0)
        with closing(read_ahead(self._read())) as batches:
            for batch, origins in batches:
                added = (
                    existing_scores(batch, origins)
                    if self._spool is None
                    else json.loads(self._spool.readline() or "[]")
                )
                flags = list(kept[done : done + len(added)])
                if not len(added) == len(batch.rows) == len(flags):
                    raise _changed(done)
                done += len(added)
                yield batch, added, flags
        if done != len(kept):
            raise _changed(done)

    def _read(self) -> Iterator[tuple[RowBatch, list[int]]]:
        scored = None if self.options.overwrite_columns else self._scored
        return read_rows(self.sources, self.options.row_options, scored=scored, options_of=self._options_of)

    def _have_scores(self) -> bool:
        found = {source.name: has_scores(source) for source in self.sources}
        scored = [name for name, has in found.items() if has is True]
        unscored = [name for name, has in found.items() if has is False]
        if scored and unscored:
            raise OptionError(
                f"{scored[0]} has scores and {unscored[0]} has none. Score the second first, with the "
                "same model, or give --overwrite-columns to score all rows again"
            )
        return bool(scored)

    def _refuse_several(self, batch: RowBatch) -> None:
        if self.options.row_options.explode:
            return
        for index, row in enumerate(batch.rows):
            rates = row.get("branch_rates") if isinstance(row, dict) and self._scored else None
            several = (
                len(rates) > 1
                if isinstance(rates, list)
                else self._options_of[batch.source.name].several(row) is not None
            )
            if several:
                raise OptionError(
                    f"{batch.place(index)} holds several traces, and each is to be judged for itself. Give "
                    "--explode to give each a row of its own, or --best-of COLUMN to keep the best of them"
                )

    def _keep_for_later(self, added: Added) -> None:
        assert self._spool is not None  # noqa: S101 - opened before rows are scored
        try:
            self._spool.write(json.dumps(added) + "\n")
            self._spool.flush()
        except OSError as error:
            raise OutputFileError(
                f"The scores cannot be kept in {tempfile.gettempdir()}: {error.strerror or error}. Free some "
                "space, or set TMPDIR to a folder that has more; nothing was left behind"
            ) from error

    def _note(
        self,
        batch: RowBatch,
        index: int,
        columns: dict[str, Any],
        origin: int,
        best: dict[Hashable, tuple[float, int]],
    ) -> None:
        options, row, rate = self.options, batch.rows[index], columns["branch_rate"]
        self.columns.update(columns)
        if rate is None and options.on_error == "fail":
            raise RowError(
                f"{batch.place(index)} has no score ({columns['branch_error']}), and --on-error fail stops "
                "there; nothing was written"
            )
        number = len(self._rates)
        self._rates.append(nan if rate is None else rate)
        traces = self._options_of[batch.source.name].traces(row)
        self.lengths.append(sum(len(trace.text) for trace in traces))
        self.without_trace += not traces and rate is not None
        chosen = rate is None or options.best_of is None
        self.chosen.append(_CHOSEN if chosen else _NOT_CHOSEN)
        if options.by is not None:
            self._groups.append(_group(batch, index, options.by, needed=rate is not None))
        if rate is not None and options.best_of is not None:
            key = _best_key(batch, index, options.best_of, origin)
            if key is not None and (key not in best or rate < best[key][0]):
                best[key] = (rate, number)

    def _candidates(self) -> Iterator[dict[str, Any]]:
        """Give the rows that the fraction to keep is counted in."""
        for number, rate in enumerate(self._rates):
            if self.chosen[number] and not isnan(rate):
                yield self._row(number)

    def _row(self, number: int) -> dict[str, Any]:
        rate = self._rates[number]
        row: dict[str, Any] = {"branch_rate": None if isnan(rate) else rate}
        if self.options.by is not None:
            row[self.options.by] = self._groups[number]
        return row

    def _apply(self, row_filter: BranchFilter | None) -> tuple[array[int], SelectionTally]:
        options = self.options
        tally = SelectionTally(grouped=options.by is not None)
        kept = array("b")
        for number, length in enumerate(self.lengths):
            row = self._row(number)
            rate, cut = row["branch_rate"], None
            if rate is None:
                keeps = options.on_error == "keep"
            else:
                cut = None if row_filter is None else row_filter.cut_of(row)
                keeps = bool(self.chosen[number]) and (cut is None or rate <= cut)
            kept.append(keeps)
            group = None if options.by is None else row[options.by]
            tally.add(rate, keeps, group=group, length=length, max_rate=cut if self.chosen[number] else None)
        return kept, tally

    def _plan(self, keep: float) -> KeepPlan:
        row_filter = BranchFilter.fit(self._candidates(), keep, by=self.options.by)
        report = self._apply(row_filter)[1].report()
        return KeepPlan(
            keep=keep,
            max_rate=row_filter.max_rate,
            kept=report.kept,
            dropped=report.dropped,
            length_kept=report.length_kept,
            length_dropped=report.length_dropped,
            time_saved=report.length_share_dropped,
            length_overlap=report.length_overlap,
        )


def _changed(done: int) -> InputFileError:
    return InputFileError(
        f"The inputs hold other rows than in the first reading (near row {done}). "
        "Start again when nothing writes to them any more"
    )


def _column(batch: RowBatch, index: int, name: str, option: str) -> Any:
    row = batch.rows[index]
    if not isinstance(row, dict) or name not in row:
        there = ", ".join(row) if isinstance(row, dict) else "none"
        raise OptionError(f"{batch.place(index)} has no column {name!r} for {option} (columns: {there})")
    return row[name]


def _group(batch: RowBatch, index: int, by: str, *, needed: bool) -> Hashable:
    """Return the group of a row; a row without a score need not have one, as it is only counted there."""
    row = batch.rows[index]
    if not needed:
        value = row.get(by) if isinstance(row, dict) else None
        return value if isinstance(value, Hashable) else None
    value = _column(batch, index, by, "--by")
    if not isinstance(value, Hashable):
        raise OptionError(
            f"{batch.place(index)} holds a {type(value).__name__} in {by!r}; --by takes a column of texts "
            "or numbers"
        )
    return value


def _best_key(batch: RowBatch, index: int, best_of: str, origin: int) -> Hashable:
    """Return what a row competes within for being the best; None if it is marked as wrong."""
    value = _column(batch, index, best_of, "--best-of")
    if isinstance(value, list) and len(value) == 1:
        value = bool(value[0])
    if value is None or isinstance(value, bool):
        return ("row", origin) if value else None
    if isinstance(value, str | int | float):
        return ("value", value)
    raise OptionError(
        f"{batch.place(index)} holds a {type(value).__name__} in {best_of!r} that does not match its traces; "
        "--best-of takes a list with true or false for each trace, or a column with the name of the problem"
    )
