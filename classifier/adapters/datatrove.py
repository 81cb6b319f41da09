"""Blocks for datatrove: score documents, and keep those that converge.

They run under every executor of datatrove (local, Slurm, Ray), which also sees to resuming: a task whose
completion is on record is not run again.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.utils.batching import batched

from classifier.columns import ERROR, RATE
from classifier.model_folder import read_model_folder
from classifier.scorer import BranchScorer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datatrove.data import Document, DocumentsPipeline
    from datatrove.pipeline.writers.disk_base import DiskWriter

    from classifier.columns import RowScorer
    from classifier.selection import RowFilter

DOCUMENTS_AT_A_TIME = 256


class DatatroveBranchScorer(PipelineStep):  # type: ignore[misc]  # datatrove has no types
    """Adds the score columns to the metadata of documents.

    Parameters
    ----------
    column
        Where the trace is: `text` for the document's text, or a key of its metadata, such as `messages`;
        None finds it by itself in both.
    schema, steps
        As for `BranchScorer.columns`.
    batch_size
        Documents that are scored at a time.
    threads
        CPU threads of each task; one, because datatrove runs as many tasks as there are cores.
    **options
        Further arguments of `BranchScorer`. The model is loaded by the task, at its first document.

    Raises
    ------
    ModelError
        If the model folder is incomplete or damaged.
    """

    type = "🔢 - SCORER"
    name = "🌿 Branching"

    def __init__(
        self,
        column: str | None = "text",
        *,
        schema: str | None = None,
        steps: bool = False,
        batch_size: int = DOCUMENTS_AT_A_TIME,
        threads: int = 1,
        **options: Any,
    ) -> None:
        super().__init__()
        read_model_folder(options.get("model"), options.get("precision", "fp32"))
        self.batch_size = batch_size
        self._reading: dict[str, Any] = {"column": column, "schema": schema, "steps": steps}
        self._options = {"threads": threads, **options}

    @cached_property
    def _columns(self) -> RowScorer:
        return BranchScorer(**self._options).columns(**self._reading)

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Score documents as they pass."""
        for documents in batched(data, self.batch_size):
            with self.track_time("batch"):
                self.score(documents)
            for document in documents:
                self.stat_update("documents")
                error = document.metadata[ERROR]
                if error is None:
                    self.stat_update(RATE, value=document.metadata[RATE])
                else:
                    self.stat_update(f"error_{error.partition(':')[0]}")
                yield document

    def score(self, documents: Sequence[Document]) -> None:
        """Add the score columns to the metadata of documents."""
        rows = [{**document.metadata, "text": document.text} for document in documents]
        for document, columns in zip(documents, self._columns.score_rows(rows), strict=True):
            document.metadata.update(columns)


class DatatroveBranchFilter(BaseFilter):  # type: ignore[misc]  # datatrove has no types
    """Keeps the documents that a filter of `classifier.selection` keeps; scores those that have no score.

    Parameters
    ----------
    keeps
        Which documents to keep by their metadata, such as `BranchFilter(max_rate=0.12)`.
    scorer
        Scores documents that `DatatroveBranchScorer` has not scored before; one with its default arguments
        if None.
    exclusion_writer
        Takes the other documents.
    batch_size
        Documents that are scored and judged at a time.
    """

    name = "🌿 Branching"

    def __init__(
        self,
        keeps: RowFilter,
        *,
        scorer: DatatroveBranchScorer | None = None,
        exclusion_writer: DiskWriter | None = None,
        batch_size: int = DOCUMENTS_AT_A_TIME,
    ) -> None:
        super().__init__(exclusion_writer, batch_size=batch_size)
        self.keeps = keeps
        self.scorer = scorer or DatatroveBranchScorer()

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """Return whether to keep a document, and why not."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        """Return for each document whether to keep it, and why not."""
        self.scorer.score([document for document in batch if RATE not in document.metadata])
        return [self._judge(document) for document in batch]

    def _judge(self, document: Document) -> bool | tuple[bool, str]:
        if self.keeps({**document.metadata, "text": document.text, "id": document.id}):
            return True
        return False, "branches" if document.metadata[RATE] is not None else "no_score"
