"""Score Ray data sets: a pool of workers, each with a model of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from classifier.columns import with_score_columns
from classifier.errors import DependencyError, ModelError, OptionError
from classifier.files.table_inputs import table_rows
from classifier.row_stream import scorable
from classifier.scorer import BranchScorer

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_BLOCK: Final = 256
"""Rows that a worker scores at a time: enough to keep it busy, few enough to share out and to do again."""


class RayBranchScorer:
    """Scores Arrow batches in one worker of Ray Data: give the class, not an object, to `map_batches`.

    Parameters
    ----------
    column, schema, steps
        As for `BranchScorer.columns`.
    threads
        CPU threads of this worker; one, because there are as many workers as cores.
    sha256
        Of the model that is expected; None takes any.
    **options
        Further arguments of `BranchScorer`.

    Raises
    ------
    ModelError
        If this machine has another model.
    """

    def __init__(
        self,
        column: str | None = None,
        *,
        schema: str | None = None,
        steps: bool = False,
        threads: int = 1,
        sha256: str | None = None,
        **options: Any,
    ) -> None:
        scorer = BranchScorer(threads=threads, **options)
        if sha256 not in (None, scorer.model.sha256):
            raise ModelError(
                f"a worker has the model with SHA-256 {scorer.model.sha256}, but {sha256} is expected: put "
                "the same model and the same version of branching-classifier on every machine"
            )
        self._columns = scorer.columns(column, schema=schema, steps=steps)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Return the batch with the score columns at its end."""
        rows = [scorable(row) for row in table_rows(table)]
        return with_score_columns(table, self._columns.score_arrays(rows, table.schema))


def score_dataset(
    dataset: Any,
    column: str | None = None,
    *,
    workers: int | None = None,
    num_gpus: float = 0,
    rows_per_block: int = ROWS_PER_BLOCK,
    threads: int = 1,
    **options: Any,
) -> Any:
    """Add the score columns to a Ray data set.

    The workers together leave one CPU of each machine to Ray's reading and writing tasks: actors that reserve
    all CPUs make these wait for ever.

    Parameters
    ----------
    dataset
        A `ray.data.Dataset` of rows of any known schema.
    column
        The column that holds the trace or messages; found by itself by default.
    workers
        How many workers score at a time; one a CPU, or as many as the GPUs can take, by default.
    num_gpus
        GPUs for each worker, also a part of one; the model then runs on CUDA.
    rows_per_block
        Rows that a worker scores at a time.
    threads
        CPU threads of each worker.
    **options
        Further arguments of `RayBranchScorer`.

    Returns
    -------
    ray.data.Dataset
        The data set with the score columns. It is lazy, as Ray's data sets are.

    Raises
    ------
    OptionError
        If the cluster has no GPU and one is asked for, or a number is out of range.
    DependencyError
        If Ray is not installed.
    """
    ray = import_ray()
    workers = workers or default_workers(num_gpus)
    options = {"providers": ["cuda" if num_gpus else "cpu"], "threads": threads, **options}
    return dataset.repartition(target_num_rows_per_block=rows_per_block).map_batches(
        RayBranchScorer,
        fn_constructor_kwargs={"column": column, **options},
        batch_size=rows_per_block,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=_cpus_for_each(workers, threads),
        num_gpus=num_gpus or None,
        udf_modifying_row_count=False,
    )


def default_workers(num_gpus: float = 0) -> int:
    """Return how many workers the cluster can take: one a CPU, or as many as its GPUs hold.

    Raises
    ------
    OptionError
        If GPUs are asked for that the cluster does not have.
    """
    resources = import_ray().cluster_resources()
    if not num_gpus:
        return max(1, int(resources.get("CPU", 1)))
    workers = int(resources.get("GPU", 0) / num_gpus)
    if workers < 1:
        raise OptionError(
            f"{num_gpus:g} GPUs are asked for each worker, but the Ray cluster has "
            f"{resources.get('GPU', 0):g}: add a machine with GPUs, or leave num_gpus out to score on CPUs"
        )
    return workers


def import_ray() -> Any:
    """Return the module `ray`, with `ray.data` loaded.

    Raises
    ------
    DependencyError
        If it is not installed.
    """
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"Scoring on Ray needs the package {error.name}: pip install 'branching-classifier[ray]'"
        ) from error
    return ray


def _cpus_for_each(workers: int, threads: int) -> float:
    ray = import_ray()
    machines = sum(bool(node["Alive"]) for node in ray.nodes())
    left = max(0.0, ray.cluster_resources().get("CPU", 0) - machines)
    # Ray counts in ten-thousandths.
    return min(float(threads), int(left / workers * 10_000) / 10_000)
