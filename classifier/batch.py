"""Score files: rows are read, scored and written at the same time, and each comes out once, in order.

A run that is stopped goes on when it is started again; see `classifier.files.journal`.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from classifier.files import ADDED_COLUMNS, SCORE_COLUMNS, find_inputs, plan_output
from classifier.files.journal import ScoreJournal, journal_path
from classifier.files.locks import locked
from classifier.files.outputs import refuse_existing
from classifier.files.writers import open_writer
from classifier.overlap import read_ahead
from classifier.progress import Progress
from classifier.row_stream import (
    LoadedScorer,
    RowCounts,
    RowOptions,
    make_plan,
    read_rows,
    refuse_scored_tables,
    score_rows,
    written,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from classifier.files import InputFile, OutputTarget
    from classifier.files.manifest import Manifest, Provenance
    from classifier.files.outputs import FinishedFile
    from classifier.files.tables import TablePlan


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """How files are scored.

    Parameters
    ----------
    rows
        How rows are read.
    steps
        Whether to add `branch_steps`.
    overwrite
        Whether an output that exists is replaced.
    overwrite_columns
        Whether scores of an earlier run are replaced.
    """

    rows: RowOptions = field(default_factory=RowOptions)
    steps: bool = False
    overwrite: bool = False
    overwrite_columns: bool = False


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """What a run of `score_files` did.

    Parameters
    ----------
    inputs
        The files that were read.
    output
        The file that was written.
    counts
        What became of the rows.
    attempts
        For each time that this run was started, the rows that it scored; the last is this one.
    seconds
        Wall time.
    provenance
        What scored the rows.
    json_text_columns
        Columns whose rows disagree in type; they are stored as JSON text.
    replaced_rows
        Rows with lone surrogates, which Parquet cannot hold: U+FFFD stands for them, and the line as it was
        is in `branch_raw`.
    """

    inputs: list[str]
    output: str
    counts: RowCounts
    attempts: list[int]
    seconds: float
    provenance: Provenance
    json_text_columns: list[str]
    replaced_rows: int

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON can hold it."""
        fields = asdict(self)
        del fields["counts"]
        return {
            **self.counts.to_dict(),
            **fields,
            "traces_per_second": self.counts.traces / self.seconds if self.seconds else None,
        }


def score_files(
    inputs: Sequence[str],
    output: str,
    load_scorer: Callable[[], LoadedScorer],
    options: ScoreOptions | None = None,
    *,
    progress: Progress | None = None,
) -> ScoreSummary:
    """Score the rows of files and write them with the score columns.

    Parameters
    ----------
    inputs
        Paths, folders, glob patterns, or "-" for JSON lines on standard input.
    output
        A path that ends in .jsonl, .jsonl.gz, .jsonl.zst or .parquet, or "-" for standard output.
    load_scorer
        Loads the model; called once the inputs and the output are known to be usable.
    options
        How to score.
    progress
        Is told how far it is.

    Returns
    -------
    ScoreSummary
        What was done.

    Raises
    ------
    UsageError
        If an input or the output cannot be used. No output is left behind then, but the scores so far are
        kept, where there are any, for the same call to go on.
    """
    options = options or ScoreOptions()
    progress = progress or Progress()
    began = time.perf_counter()
    sources = find_inputs(inputs)
    try:
        target = plan_output(output, overwrite=True, inputs=sources)
        with locked(target), _resuming(sources, target) as journal:
            if not options.overwrite and not (target.path and journal.made(target.path)):
                refuse_existing(target)
            if not options.overwrite_columns:
                refuse_scored_tables(sources)
            scorer = load_scorer()
            journal.begin(scorer.provenance, overwrite=options.overwrite)
            counts, plan = _score(sources, target, scorer, options, journal, progress)
    finally:
        for source in sources:
            source.close()
    return ScoreSummary(
        inputs=[source.name for source in sources],
        output=target.name,
        counts=counts,
        attempts=journal.attempts,
        seconds=time.perf_counter() - began,
        provenance=scorer.provenance,
        json_text_columns=sorted(plan.json_text) if plan else [],
        replaced_rows=plan.replaced_rows if plan else 0,
    )


def _score(
    sources: Sequence[InputFile],
    target: OutputTarget,
    scorer: LoadedScorer,
    options: ScoreOptions,
    journal: ScoreJournal,
    progress: Progress,
) -> tuple[RowCounts, TablePlan | None]:
    drop = ADDED_COLUMNS if options.overwrite_columns else ()
    plan = make_plan(sources, target.format, options.rows, drop, progress)
    columns = [*SCORE_COLUMNS, *(["branch_steps"] if options.steps else [])]
    writer = open_writer(target, plan, columns, scorer.provenance)
    counts = RowCounts()

    def describe(finished: FinishedFile) -> Manifest:
        journal.finish(finished)
        return {
            **finished.to_dict(),
            "scored": counts.scored,
            "errors": sum(counts.errors.values()),
            "blank_lines": counts.blank_lines,
            "inputs": [source.name for source in sources],
            "explode": options.rows.explode,
            "limit": options.rows.limit,
            "attempts": [{"rows_scored": rows} for rows in journal.attempts],
            "provenance": scorer.provenance,
        }

    progress.start("Scoring", sources)
    rows = read_rows(sources, options.rows, scored=None if options.overwrite_columns else False)
    with written((writer, describe)) as behind, closing(read_ahead(rows)) as batches:
        for batch, _ in batches:
            added = journal.scores(batch)
            if added is None:
                journal.scoring(batch)
                added = score_rows(scorer.rows, batch)
                journal.keep(batch, added)
            behind.put((writer, batch, added))
            progress.advance(batch, counts.add(batch, added))
    return counts, plan


@contextmanager
def _resuming(sources: Sequence[InputFile], target: OutputTarget) -> Iterator[ScoreJournal]:
    """Keep the journal of a run that stops, and say how it can go on."""
    streams = [source.name for source in sources if source.is_stream]
    streams += [target.name] if target.path is None else []
    journal = ScoreJournal(None if target.path is None or streams else journal_path(target.path))
    try:
        yield journal
    except BaseException as error:
        journal.close(remove=False)
        if journal.rows and not streams:
            error.add_note(f"{journal.rows:,} rows are scored; the same command goes on from there")
        elif streams:
            error.add_note(f"A run with {streams[0]} cannot go on from where it was stopped: start it again")
        raise
    journal.close(remove=True)
