"""Score files: rows are read, scored and written at the same time, and each comes out once, in order.

A run that is stopped goes on when it is started again; see `classifier.files.journal`.
"""

from __future__ import annotations

import functools
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from classifier.errors import OptionError
from classifier.files import ADDED_COLUMNS, SCORE_COLUMNS, count_rows, find_inputs, plan_output, read_batches
from classifier.files.journal import ScoreJournal, journal_path
from classifier.files.locks import locked
from classifier.files.manifest import read_manifest
from classifier.files.names import STANDARD_STREAM
from classifier.files.outputs import refuse_existing
from classifier.files.shards import Shard, Slice, all_shards, divide
from classifier.files.writers import open_writer
from classifier.filtering.existing_scores import existing_scores
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

    from classifier.files import InputFile, OutputTarget, RowBatch
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
    shards
        Write so many outputs, each with consecutive rows.
    shard
        Write only this one of them.
    """

    rows: RowOptions = field(default_factory=RowOptions)
    steps: bool = False
    overwrite: bool = False
    overwrite_columns: bool = False
    shards: int | None = None
    shard: Shard | None = None

    def __post_init__(self) -> None:
        if self.shards is not None and self.shard is not None:
            raise OptionError("--shards writes all shards and --shard one of them: give one of the two")

    def wanted_shards(self) -> list[Shard]:
        """Return the shards to write; none for a single output."""
        if self.shard is not None:
            return [self.shard]
        return [] if self.shards is None else all_shards(self.shards)


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """What a run of `score_files` did.

    Parameters
    ----------
    inputs
        The files that were read.
    outputs
        The files that were written: one, or one a shard.
    counts
        What became of the rows.
    rows_before
        Rows that were scored before this run was stopped and started again.
    traces_before
        Their traces.
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
    outputs: list[str]
    counts: RowCounts
    rows_before: int
    traces_before: int
    seconds: float
    provenance: Provenance
    json_text_columns: list[str]
    replaced_rows: int

    @property
    def output(self) -> str:
        """Return what was written, in a word: the name of the output, or of the first and the last."""
        names = self.outputs
        return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"

    @property
    def traces_per_second(self) -> float | None:
        """Return the speed of this run, in which the traces scored before have no part."""
        return (self.counts.traces - self.traces_before) / self.seconds if self.seconds else None

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as JSON can hold it."""
        fields = asdict(self)
        del fields["counts"]
        fields["output"] = self.output
        return {
            **self.counts.to_dict(),
            **fields,
            "traces_per_second": self.traces_per_second,
        }


def score_files(
    inputs: Sequence[str],
    output: str,
    load_scorer: Callable[[], LoadedScorer],
    options: ScoreOptions | None = None,
    *,
    progress: Progress | None = None,
    resumed: Callable[[RowBatch, list[dict[str, Any]]], None] = lambda batch, added: None,
) -> ScoreSummary:
    """Score the rows of files and write them with the score columns.

    Parameters
    ----------
    inputs
        Paths, folders, glob patterns, or "-" for JSON lines on standard input.
    output
        A path that ends in .jsonl, .jsonl.gz, .jsonl.zst or .parquet, or "-" for standard output. A shard's
        number is put before the ending.
    load_scorer
        Loads the model; called once the inputs and the output are known to be usable.
    options
        How to score.
    progress
        Is told how far it is.
    resumed
        Is called with each batch that was scored before this run was stopped, and with its score columns.

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
    began = time.perf_counter()
    sources = find_inputs(inputs)
    try:
        run = _Run(sources, load_scorer, options or ScoreOptions(), progress or Progress(), resumed)
        run.score_all(output)
    finally:
        for source in sources:
            source.close()
    return ScoreSummary(
        inputs=[source.name for source in sources],
        outputs=[target.name for target in run.targets],
        counts=run.counts,
        rows_before=run.rows_before,
        traces_before=run.traces_before,
        seconds=time.perf_counter() - began,
        provenance=run.scorer.provenance,
        json_text_columns=sorted(run.plan.json_text) if run.plan else [],
        replaced_rows=run.plan.replaced_rows if run.plan else 0,
    )


class _Run:
    """One call: writes one output, or that of each shard that was asked for.

    Parameters
    ----------
    sources
        The inputs.
    load_scorer
        Gives the scorer; loads it the first time.
    options, progress, resumed
        As for `score_files`.
    """

    def __init__(
        self,
        sources: Sequence[InputFile],
        load_scorer: Callable[[], LoadedScorer],
        options: ScoreOptions,
        progress: Progress,
        resumed: Callable[[RowBatch, list[dict[str, Any]]], None],
    ) -> None:
        self.counts = RowCounts()
        self.rows_before = self.traces_before = 0
        self.targets: list[OutputTarget] = []
        self._sources = sources
        self._load_scorer = load_scorer
        self._options = options
        self._progress = progress
        self._resumed = resumed

    @functools.cached_property
    def scorer(self) -> LoadedScorer:
        """Return the scorer; loaded when it is first asked for."""
        return self._load_scorer()

    @functools.cached_property
    def plan(self) -> TablePlan | None:
        """Return the schema of Parquet outputs, which all shards share."""
        drop = ADDED_COLUMNS if self._options.overwrite_columns else ()
        return make_plan(self._sources, self.targets[0].format, self._options.rows, drop, self._progress)

    def score_all(self, output: str) -> None:
        """Write the output, or the outputs of the shards."""
        shards = self._options.wanted_shards()
        if shards and output == STANDARD_STREAM:
            raise OptionError("Shards are files: give the output a name instead of -")
        names = [shard.output(output) for shard in shards] or [output]
        self.targets = [plan_output(name, overwrite=True, inputs=self._sources) for name in names]
        with locked(*self.targets), self._journals() as journals:
            if not self._options.overwrite:
                if any(journal.all_in_place for journal in journals) and self._are_in_place():
                    return
                _refuse_finished(self.targets, journals)
            if not self._options.overwrite_columns:
                refuse_scored_tables(self._sources)
            parts: list[Sequence[Slice]] = [[Slice(source) for source in self._sources]]
            if shards:
                self.scorer  # noqa: B018 - a model that cannot be loaded is found before files are counted
                parts = self._divide(shards)
            for at, (target, journal, part) in enumerate(zip(self.targets, journals, parts, strict=True)):
                journal.begin(self.scorer.provenance, overwrite=self._options.overwrite)
                self._score(target, journal, part, shards[at] if shards else None)

    def _are_in_place(self) -> bool:
        """Count what this very run has written, where it was stopped after its last output was complete."""
        manifests = [read_manifest(target.path) for target in self.targets if target.path is not None]
        if not all(
            manifest is not None
            and manifest.items() >= self._description.items()
            and target.path is not None
            and target.path.exists()
            and target.path.stat().st_size == manifest["bytes"]
            for target, manifest in zip(self.targets, manifests, strict=True)
        ):
            return False
        for source in find_inputs([str(target.path) for target in self.targets]):
            for batch in read_batches(source):
                added = existing_scores(batch, range(len(batch.rows)))
                self.counts.add(batch, added)
                self._resumed(batch, added)
        self.counts.blank_lines = sum(manifest["blank_lines"] for manifest in manifests if manifest)
        self.rows_before, self.traces_before = self.counts.rows, self.counts.traces
        return True

    @property
    def _description(self) -> Manifest:
        """Return what the manifests of all outputs say alike."""
        return {
            "inputs": [source.name for source in self._sources],
            "explode": self._options.rows.explode,
            "limit": self._options.rows.limit,
            "provenance": self.scorer.provenance,
        }

    def _divide(self, shards: Sequence[Shard]) -> list[Sequence[Slice]]:
        for source in self._sources:
            source.spool()
        counts = [count_rows(source) for source in self._sources]
        total = min(sum(counts), self._options.rows.limit or sys.maxsize)
        return [divide(self._sources, counts, shard.rows(total)) for shard in shards]

    def _score(
        self, target: OutputTarget, journal: ScoreJournal, part: Sequence[Slice], shard: Shard | None
    ) -> None:
        options = self._options
        columns = [*SCORE_COLUMNS, *(["branch_steps"] if options.steps else [])]
        writer = open_writer(target, self.plan, columns, self.scorer.provenance)
        counts = RowCounts()

        def describe(finished: FinishedFile) -> Manifest:
            journal.finish(finished)
            return {
                **finished.to_dict(),
                "scored": counts.scored,
                "errors": sum(counts.errors.values()),
                "blank_lines": counts.blank_lines,
                "shard": None if shard is None else asdict(shard),
                "attempts": [{"rows_scored": rows} for rows in journal.attempts],
                **self._description,
            }

        self._progress.start("Scoring", [source for source, _, _ in part])
        rows = read_rows(part, options.rows, scored=None if options.overwrite_columns else False)
        with written((writer, describe)) as behind, closing(read_ahead(rows)) as batches:
            for batch, _ in batches:
                added = journal.scores(batch)
                before = added is not None
                if added is None:
                    journal.scoring(batch)
                    added = score_rows(self.scorer.rows, batch)
                    journal.keep(batch, added)
                else:
                    self._resumed(batch, added)
                behind.put((writer, batch, added))
                counts.add(batch, added)
                traces = self.counts.add(batch, added)
                if before:
                    self.rows_before += len(added)
                    self.traces_before += traces
                self._progress.advance(batch, 0 if before else traces)

    @contextmanager
    def _journals(self) -> Iterator[list[ScoreJournal]]:
        """Keep the journals of a run that stops, and say how it can go on."""
        streams = [source.name for source in self._sources if source.is_stream]
        streams += [target.name for target in self.targets if target.path is None]
        journals = [
            ScoreJournal(None if streams or target.path is None else journal_path(target.path))
            for target in self.targets
        ]
        try:
            yield journals
        except BaseException as error:
            for journal in journals:
                journal.close(remove=False)
            rows = sum(journal.rows for journal in journals if journal.begun)
            if streams:
                error.add_note(
                    f"A run with {streams[0]} cannot go on from where it was stopped: start it again"
                )
            elif rows:
                error.add_note(f"{rows:,} rows are scored; the same command goes on from there")
            raise
        # All together at the end: until then a finished shard is known by its journal. The first goes last,
        # as it says that shards without a journal are finished too.
        journals[0].note_all_in_place()
        for journal in reversed(journals):
            journal.close(remove=True)


def _refuse_finished(targets: Sequence[OutputTarget], journals: Sequence[ScoreJournal]) -> None:
    """Refuse outputs that exist, but for those that this very run completed before it was stopped."""
    for target, journal in zip(targets, journals, strict=True):
        if target.path is None or not journal.made(target.path):
            refuse_existing(target)
