"""Filter files by branch rate: score the rows if need be, decide, and write the ones that stay."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from classifier.errors import OptionError, OutputFileError
from classifier.files import ADDED_COLUMNS, SCORE_COLUMNS, OutputTarget, plan_output
from classifier.files.locks import locked
from classifier.files.outputs import refuse_existing
from classifier.files.writers import RowWriter, open_writer
from classifier.filtering.rated_rows import RatedRows
from classifier.filtering.summary import FilterPreview, FilterSummary
from classifier.progress import Progress
from classifier.row_stream import make_plan, written
from classifier.selection_report import DEFAULT_FRACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from classifier.files.manifest import Manifest, Provenance
    from classifier.files.outputs import FinishedFile
    from classifier.filtering.options import FilterOptions
    from classifier.row_stream import LoadedScorer


def filter_files(
    inputs: Sequence[str],
    output: str,
    load_scorer: Callable[[], LoadedScorer],
    options: FilterOptions,
    *,
    dropped: str | None = None,
    progress: Progress | None = None,
) -> FilterSummary:
    """Filter the rows of files by branch rate; rows without scores are scored on the way.

    Parameters
    ----------
    inputs
        Paths, folders, glob patterns, or "-" for JSON lines on standard input.
    output
        Where the kept rows go: a path that ends in .jsonl, .jsonl.gz, .jsonl.zst or .parquet, or "-".
    load_scorer
        Loads the model; called only if the rows have no scores.
    options
        What to keep.
    dropped
        Where the other rows go, if anywhere.
    progress
        Is told how far it is.

    Returns
    -------
    FilterSummary
        What was done.

    Raises
    ------
    UsageError
        If an input or output cannot be used; nothing is left behind then.
    RowError
        If a row has no score and `on_error` is "fail"; nothing is left behind then.
    """
    if options.keep is None and options.max_rate is None and options.best_of is None:
        raise OptionError("Nothing says what to keep: give --keep, --max-rate or --best-of")
    began = time.perf_counter()
    progress = progress or Progress()
    with RatedRows(inputs, options, progress) as run, ExitStack() as held:
        targets = [
            plan_output(name, overwrite=True, inputs=run.sources)
            for name in (output, dropped)
            if name is not None
        ]
        if len(targets) == 2 and targets[0].path == targets[1].path:
            raise OutputFileError(f"{output} is to hold the kept and the dropped rows: give them two names")
        held.enter_context(locked(*targets))
        if not options.overwrite:
            for target in targets:
                refuse_existing(target)
        run.rate(load_scorer)
        kept, tally, rule = run.decide()
        provenance = None if run.provenance is None else {**run.provenance, "selection": rule}
        shown = [*SCORE_COLUMNS, *(name for name in ADDED_COLUMNS[4:] if name in run.columns)]
        columns = shown if options.scores else []
        writers = _open_writers(run, targets, columns, provenance, progress)
        progress.start("Writing", run.sources)

        def describe(finished: FinishedFile) -> Manifest | None:
            # Without scores there is no need to say whose scores they are.
            return {**finished.to_dict(), "provenance": provenance} if columns else None

        with written(*((writer, describe) for writer in reversed(writers))) as behind:
            for batch, added, flags in run.again(kept):
                for writer, flag in zip(writers, (1, 0), strict=False):
                    indices = [index for index, is_kept in enumerate(flags) if is_kept == flag]
                    scores = [added[index] if options.scores else {} for index in indices]
                    behind.put((writer, batch.take(indices), scores))
                progress.advance(batch)
    return FilterSummary(
        inputs=[source.name for source in run.sources],
        output=targets[0].name,
        dropped_output=targets[1].name if dropped is not None else None,
        counts=run.counts,
        selection=tally.report(),
        rule=rule,
        not_best=run.chosen.count(0),
        without_trace=run.without_trace,
        unknown_provenance=run.unknown_provenance,
        provenance=run.provenance,
        seconds=time.perf_counter() - began,
    )


def preview_files(
    inputs: Sequence[str],
    load_scorer: Callable[[], LoadedScorer],
    options: FilterOptions,
    *,
    progress: Progress | None = None,
) -> FilterPreview:
    """Work out what keeping 95 % to 50 % of the rows of files would do; nothing is written.

    Parameters
    ----------
    inputs
        Paths, folders, glob patterns, or "-" for JSON lines on standard input.
    load_scorer
        Loads the model; called only if the rows have no scores.
    options
        How to read and group rows; its `keep` is shown beside the usual fractions.
    progress
        Is told how far it is.

    Returns
    -------
    FilterPreview
        What each fraction would keep.

    Raises
    ------
    UsageError
        If an input cannot be used, or the options have a `max_rate`, which is no fraction.
    RowError
        If a row has no score and `on_error` is "fail".
    """
    if options.max_rate is not None:
        raise OptionError(
            f"max_rate is {options.max_rate}, and a dry run shows what fractions to keep would do: leave it "
            "out, or give keep in its place"
        )
    began = time.perf_counter()
    with RatedRows(inputs, options, progress or Progress()) as run:
        run.rate(load_scorer)
        fractions = sorted(
            {*DEFAULT_FRACTIONS, *([] if options.keep is None else [options.keep])}, reverse=True
        )
        plans = run.plans(fractions)
    return FilterPreview(
        inputs=[source.name for source in run.sources],
        counts=run.counts,
        characters=sum(run.lengths),
        plans=plans,
        without_trace=run.without_trace,
        unknown_provenance=run.unknown_provenance,
        provenance=run.provenance,
        seconds=time.perf_counter() - began,
    )


def _open_writers(
    run: RatedRows,
    targets: Sequence[OutputTarget],
    columns: Sequence[str],
    provenance: Provenance | None,
    progress: Progress,
) -> list[RowWriter]:
    writers: list[RowWriter] = []
    with ExitStack() as opened:
        for target in targets:
            plan = make_plan(run.sources, target.format, run.options.rows, ADDED_COLUMNS, progress)
            writers.append(open_writer(target, plan, columns, provenance))
            opened.callback(writers[-1].discard)
        opened.pop_all()
    return writers
