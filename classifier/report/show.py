"""Show in the terminal what `branching score` scores: the rates, and the trace that branches most."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from classifier.batch import ScoreOptions, score_files
from classifier.columns import STEPS
from classifier.console import print_row_notes, print_score_summary
from classifier.errors import OptionError
from classifier.files import ADDED_COLUMNS, find_inputs
from classifier.files.names import STANDARD_STREAM
from classifier.kinds import KINDS
from classifier.overlap import read_ahead
from classifier.progress import Progress, terminal_progress
from classifier.report.figures import rate_histogram
from classifier.report.samples import sample_of
from classifier.report.terminal import coloured_trace, histogram_bars, sample_table, terminal
from classifier.row_stream import (
    LoadedScorer,
    RowCounts,
    RowOptions,
    read_rows,
    refuse_scored_tables,
    score_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from classifier.files import RowBatch
    from classifier.row_stream import ScoresRows

_SHOWN_ROWS: Final = 10


class ShowingRows:
    """Scores rows, and remembers what there is to show of them.

    Parameters
    ----------
    options
        Where the traces of the rows are.
    steps
        Whether the rows are to have their steps; here they are needed anyway.
    """

    def __init__(self, options: RowOptions, *, steps: bool) -> None:
        self._options = options
        self._steps = steps
        self._scorer: ScoresRows | None = None
        self._rows = 0
        self._rates = array("d")
        self._highest: list[tuple[float, int, dict[str, Any]]] = []

    def around(self, load: Callable[[], LoadedScorer]) -> Callable[[], LoadedScorer]:
        """Return a function that loads the same scorer, watched.

        Parameters
        ----------
        load
            Loads a scorer that gives rows their steps.
        """

        def watched() -> LoadedScorer:
            loaded = load()
            self._scorer = loaded.rows
            # What a file says of itself does not depend on whether someone looked.
            options = {**loaded.provenance["options"], "steps": self._steps}
            return LoadedScorer(self, {**loaded.provenance, "options": options})

        return watched

    def score_rows(self, rows: Sequence[object]) -> list[dict[str, Any]]:
        """Score rows."""
        assert self._scorer is not None  # noqa: S101 - rows are scored by what `around` has loaded
        added = self._scorer.score_rows(rows)
        self._note_all(rows, added)
        if self._steps:
            return added
        return [{name: value for name, value in columns.items() if name != STEPS} for columns in added]

    def resume(self, batch: RowBatch, added: Sequence[dict[str, Any]]) -> None:
        """Take note of rows that were scored before the run was stopped.

        Parameters
        ----------
        batch, added
            The rows, and their score columns; these may lack the steps.
        """
        self._note_all(batch.rows, added)

    def show(self, console: Console | None = None) -> None:
        """Print what was scored.

        Parameters
        ----------
        console
            Where to; standard output by default.
        """
        if not self._highest:
            return
        console = console or terminal()
        highest = sorted(self._highest, key=lambda entry: entry[:2], reverse=True)
        rows = [(f"{-number}", self._with_steps(row)) for _, number, row in highest]
        samples = [(sample_of(number, row, self._options), _kind_counts(row)) for number, row in rows]
        if len(self._rates) > 1:
            console.print(histogram_bars(rate_histogram(np.frombuffer(self._rates), bins=10)))
            console.print()
            more = f", of {len(self._rates):,}" if len(self._rates) > len(samples) else ""
            console.print(f"The {len(samples)} rows that branch most{more}", style="bold")
        console.print(sample_table(samples))
        console.print()
        if len(self._rates) > 1:
            console.print(f"The trace of row {samples[0][0].place}", style="bold")
        console.print(coloured_trace(samples[0][0]))

    def _note_all(self, rows: Sequence[object], added: Sequence[dict[str, Any]]) -> None:
        for row, columns in zip(rows, added, strict=True):
            self._rows += 1
            if isinstance(row, dict) and columns["branch_rate"] is not None:
                self._note(row | columns)

    def _with_steps(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with its steps: those scored before a run was stopped may have been kept without."""
        if STEPS in row or self._scorer is None:
            return row
        (columns,) = self._scorer.score_rows([{name: row[name] for name in row if name not in ADDED_COLUMNS}])
        return row | columns

    def _note(self, row: dict[str, Any]) -> None:
        self._rates.append(row["branch_rate"])
        # Of equal rates the first row stays.
        entry = (row["branch_rate"], -self._rows, row)
        if len(self._highest) < _SHOWN_ROWS:
            heapq.heappush(self._highest, entry)
        elif entry[:2] > self._highest[0][:2]:
            heapq.heapreplace(self._highest, entry)


def show_scores(
    inputs: Sequence[str],
    output: str | None,
    load: Callable[[], LoadedScorer],
    options: ScoreOptions,
    *,
    json: bool = False,
) -> int:
    """Score files and show the scores in the terminal.

    Parameters
    ----------
    inputs
        As for `score_files`.
    output
        As for `score_files`; without one the scores are only shown.
    load
        Loads a scorer that gives rows their steps.
    options
        How to score.
    json
        Whether a summary was asked for on standard output, where the scores are to be shown.

    Returns
    -------
    int
        How many rows have no score.

    Raises
    ------
    UsageError
        If an input, the output or an option cannot be used.
    """
    if json or output == STANDARD_STREAM:
        raise OptionError(
            f"--show and {'--json' if json else 'the output -'} both write to standard output: leave one out"
        )
    if output is None and options.wanted_shards():
        raise OptionError(
            "--shard and --shards divide the rows over outputs, and there is no output: "
            "name one with -o, or leave --shard and --shards out"
        )
    rows = ShowingRows(options.rows, steps=options.steps)
    with terminal_progress() as progress:
        if output is None:
            counts = _scored(inputs, rows.around(load), options, progress)
        else:
            summary = score_files(
                inputs, output, rows.around(load), options, progress=progress, resumed=rows.resume
            )
            counts = summary.counts
    rows.show()
    if output is None:
        print_row_notes(counts)
    else:
        print_score_summary(summary)
    return sum(counts.errors.values())


def _scored(
    inputs: Sequence[str], load: Callable[[], LoadedScorer], options: ScoreOptions, progress: Progress
) -> RowCounts:
    """Score the rows of files without writing them."""
    sources = find_inputs(inputs)
    counts = RowCounts()
    try:
        if not options.overwrite_columns:
            refuse_scored_tables(sources)
        scorer = load()
        progress.start("Scoring", sources)
        rows = read_rows(sources, options.rows, scored=None if options.overwrite_columns else False)
        with closing(read_ahead(rows)) as batches:
            for batch, _ in batches:
                progress.advance(batch, counts.add(batch, score_rows(scorer.rows, batch)))
    finally:
        for source in sources:
            source.close()
    return counts


def _kind_counts(row: dict[str, Any]) -> list[int]:
    found = Counter(step["kind"] for step in row.get(STEPS) or [])
    return [found[kind] for kind in KINDS]
