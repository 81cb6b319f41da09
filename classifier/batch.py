"""Score files: rows are read, scored and written at the same time, and each comes out once, in order."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from classifier.files import ADDED_COLUMNS, SCORE_COLUMNS, find_inputs, plan_output
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
    from collections.abc import Callable, Sequence

    from classifier.files.provenance import Provenance


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
        If an input or the output cannot be used; nothing is left behind then.
    """
    options = options or ScoreOptions()
    progress = progress or Progress()
    began = time.perf_counter()
    sources = find_inputs(inputs)
    try:
        target = plan_output(output, overwrite=options.overwrite, inputs=sources)
        if not options.overwrite_columns:
            refuse_scored_tables(sources)
        scorer = load_scorer()
        drop = ADDED_COLUMNS if options.overwrite_columns else ()
        plan = make_plan(sources, target.format, options.rows, drop, progress)
        columns = [*SCORE_COLUMNS, *(["branch_steps"] if options.steps else [])]
        writer = open_writer(target, plan, columns, scorer.provenance)
        counts = RowCounts()
        progress.start("Scoring", sources)
        rows = read_rows(sources, options.rows, scored=None if options.overwrite_columns else False)
        with written(writer) as behind, closing(read_ahead(rows)) as batches:
            for batch, _ in batches:
                added = score_rows(scorer.rows, batch)
                behind.put((writer, batch, added))
                progress.advance(batch, counts.add(batch, added))
    finally:
        for source in sources:
            source.close()
    return ScoreSummary(
        inputs=[source.name for source in sources],
        output=target.name,
        counts=counts,
        seconds=time.perf_counter() - began,
        provenance=scorer.provenance,
        json_text_columns=sorted(plan.json_text) if plan else [],
        replaced_rows=plan.replaced_rows if plan else 0,
    )
