"""A stage for NeMo Curator that scores batches of documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nemo_curator.stages.base import ProcessingStage
from nemo_curator.stages.resources import Resources
from nemo_curator.tasks import DocumentBatch

from classifier.columns import SCORE_COLUMNS
from classifier.model_folder import read_model_folder
from classifier.scorer import BranchScorer

if TYPE_CHECKING:
    from nemo_curator.backends.base import WorkerMetadata

    from classifier.columns import RowScorer


class NemoBranchScorer(ProcessingStage[DocumentBatch, DocumentBatch]):  # type: ignore[misc]  # no types
    """Adds the score columns to batches of documents; each worker has a model of its own.

    Parameters
    ----------
    column
        The column that holds the trace or messages; found by itself by default.
    schema, steps
        As for `BranchScorer.columns`.
    cpus, gpus
        What a worker takes. With `gpus` the model runs on CUDA.
    **options
        Further arguments of `BranchScorer`.

    Raises
    ------
    ModelError
        If the model folder is incomplete or damaged.
    """

    name = "branch_scorer"

    def __init__(
        self,
        column: str | None = None,
        *,
        schema: str | None = None,
        steps: bool = False,
        cpus: float = 1.0,
        gpus: float = 0.0,
        **options: Any,
    ) -> None:
        read_model_folder(options.get("model"), options.get("precision", "fp32"))
        self.resources = Resources(cpus=cpus, gpus=gpus)
        self._column = column
        self._reading: dict[str, Any] = {"column": column, "schema": schema, "steps": steps}
        self._options = {
            "threads": max(1, int(cpus)),
            "providers": ["cuda" if gpus else "cpu"],
            **options,
        }
        self._columns: RowScorer | None = None

    def inputs(self) -> tuple[list[str], list[str]]:
        """Return what the stage needs: the column with the trace, if one was named."""
        named = self._column is not None and "." not in self._column and "[" not in self._column
        return ["data"], [self._column] if named and self._column else []

    def outputs(self) -> tuple[list[str], list[str]]:
        """Return what the stage adds."""
        return ["data"], list(SCORE_COLUMNS)

    def setup(self, worker_metadata: WorkerMetadata | None = None) -> None:
        """Load the model in a worker."""
        self._columns = BranchScorer(**self._options).columns(**self._reading)

    def process(self, task: DocumentBatch) -> DocumentBatch:
        """Score a batch of documents."""
        if self._columns is None:
            self.setup()
        assert self._columns is not None  # noqa: S101 - set by setup
        return DocumentBatch(
            dataset_name=task.dataset_name,
            data=self._columns(task.to_pyarrow()),
            _metadata=task._metadata,
            _stage_perf=task._stage_perf,
        )
