"""The stage for NeMo Curator; run where it is installed, which needs an environment of its own."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier import BranchScorer
from classifier.columns import SCORE_COLUMNS
from tests.example_traces import TRACES
from tests.ray_cluster import RAY_WARNINGS, two_cpus

pytest.importorskip("nemo_curator", reason="NeMo Curator is not installed")

pytestmark = [pytest.mark.slow, *RAY_WARNINGS]


def test_a_pipeline_scores_a_folder(tmp_path: Path) -> None:
    from nemo_curator.backends.ray_data import RayDataExecutor
    from nemo_curator.pipeline import Pipeline
    from nemo_curator.stages.text.io.reader import ParquetReader
    from nemo_curator.stages.text.io.writer import ParquetWriter

    from classifier.adapters.nemo_curator import NemoBranchScorer

    (tmp_path / "in").mkdir()
    for part in range(2):
        rows = [{"id": part * 10 + number, "trace": text} for number, text in enumerate([*TRACES, " "])]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / f"{part}.parquet")
    pipeline = Pipeline(name="branching")
    pipeline.add_stage(ParquetReader(str(tmp_path / "in"), files_per_partition=1))
    pipeline.add_stage(NemoBranchScorer("trace", cpus=0.4))
    pipeline.add_stage(ParquetWriter(str(tmp_path / "out")))
    with two_cpus():
        pipeline.run(RayDataExecutor())
    table = pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "out").glob("*.parquet"))])
    found = sorted(table.to_pylist(), key=lambda row: int(row["id"]))
    assert [row["id"] for row in found] == [*range(7), *range(10, 17)]
    expected = BranchScorer().columns("trace").score_rows(found)
    for row, columns in zip(found, expected, strict=True):
        assert [row[name] for name in SCORE_COLUMNS[:3]] == pytest.approx(
            [columns[name] for name in SCORE_COLUMNS[:3]], abs=0, nan_ok=True
        )


def test_a_batch_of_pandas_keeps_the_types_of_the_columns() -> None:
    from nemo_curator.tasks import DocumentBatch

    from classifier.adapters.nemo_curator import NemoBranchScorer

    stage = NemoBranchScorer("trace")
    batch = DocumentBatch(dataset_name="rows", data=pa.table({"trace": [TRACES[0], " "]}).to_pandas())
    assert stage.inputs() == (["data"], ["trace"])
    assert stage.outputs() == (["data"], list(SCORE_COLUMNS))
    table = stage.process(batch).to_pyarrow()
    assert table["branch_rate"].to_pylist() == [BranchScorer().score(TRACES[0]).branch_rate, None]
    assert table.schema.field("branch_count").type == pa.int32()
