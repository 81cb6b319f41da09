"""Score columns inside `datasets`: processes, the cache, types, streaming."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from classifier import BranchFilter, BranchScorer
from classifier.columns import COLUMN_TYPES
from classifier.debug_encoder import DebugEncoder
from classifier.errors import ModelError
from classifier.model_folder import DEFAULT_FOLDER
from tests.example_traces import BRANCHING, CONVERGING, TRACES

datasets = pytest.importorskip("datasets", reason="`datasets` is not installed (extra `train`)")

TYPES = {
    "branch_rate": "float64",
    "branch_count": "int32",
    "step_count": "int32",
    "branch_error": "string",
}


@pytest.fixture(scope="module")
def scorer() -> BranchScorer:
    return BranchScorer(threads=1)


@pytest.fixture
def dataset(tmp_path: Path) -> Any:
    """Give a data set on disk, which is what the cache works for."""
    rows = [{"id": number, "trace": text} for number, text in enumerate([*TRACES, None, "   "])]
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "rows.parquet")
    return datasets.Dataset.from_parquet(str(tmp_path / "rows.parquet"), cache_dir=str(tmp_path / "cache"))


def columns_of(dataset: Any) -> list[dict[str, Any]]:
    return [{name: row[name] for name in TYPES} for row in dataset]


@pytest.fixture(scope="module")
def expected(scorer: BranchScorer) -> list[dict[str, Any]]:
    return scorer.columns("trace").score_rows([{"trace": text} for text in [*TRACES, None, "   "]])


def test_one_process_two_and_streaming_give_the_bits_of_the_library(
    dataset: Any, scorer: BranchScorer, expected: list[dict[str, Any]]
) -> None:
    function = scorer.columns("trace")
    assert columns_of(dataset.map(function, batched=True)) == expected
    assert columns_of(dataset.map(function, batched=True, num_proc=2)) == expected
    assert columns_of(dataset.to_iterable_dataset().map(function, batched=True, batch_size=3)) == expected
    arrow = dataset.with_format("arrow").map(function, batched=True, batch_size=3)
    assert columns_of(arrow.with_format(None)) == expected


def test_a_second_map_comes_from_the_cache(dataset: Any, tmp_path: Path) -> None:
    first = dataset.map(BranchScorer(threads=1).columns("trace"), batched=True)
    files = sorted(tmp_path.rglob("*.arrow"))
    again = dataset.map(BranchScorer(threads=1).columns("trace"), batched=True)
    assert again._fingerprint == first._fingerprint
    assert sorted(tmp_path.rglob("*.arrow")) == files, "nothing was computed"
    kept = first.filter(BranchFilter(0.12))
    assert kept._fingerprint == again.filter(BranchFilter(0.12))._fingerprint
    assert kept._fingerprint != first.filter(BranchFilter(0.13))._fingerprint


def copied_model(folder: Path, **changes: Any) -> Path:
    shutil.copytree(DEFAULT_FOLDER, folder)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    (folder / "card.json").write_text(json.dumps(card | changes), encoding="utf-8")
    return folder


def fingerprint(function: Any) -> str:
    from datasets.fingerprint import Hasher

    return str(Hasher.hash(function))


def test_what_changes_scores_changes_the_fingerprint(tmp_path: Path) -> None:
    folder = copied_model(tmp_path / "model")
    first = fingerprint(BranchScorer(folder).columns("trace"))
    assert fingerprint(BranchScorer(folder).columns("trace")) == first
    assert fingerprint(BranchScorer(folder).columns("text")) != first
    assert fingerprint(BranchScorer(folder).columns("trace", steps=True)) != first
    shutil.rmtree(folder)
    copied_model(folder, threshold=0.9)
    assert fingerprint(BranchScorer(folder).columns("trace")) != first


def test_the_fingerprint_is_that_of_another_process() -> None:
    code = (
        "from datasets.fingerprint import Hasher\n"
        "from classifier import BranchScorer\n"
        "print(Hasher.hash(BranchScorer().columns('trace')))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    used = BranchScorer()
    used.score(CONVERGING)
    assert done.stdout.strip() == fingerprint(used.columns("trace"))


def test_a_pickled_scorer_loads_no_model_before_its_first_use(tmp_path: Path) -> None:
    scorer = BranchScorer(copied_model(tmp_path / "model"))
    pickled = pickle.dumps(scorer.columns("trace"))
    assert len(pickled) < 2000
    shutil.rmtree(tmp_path / "model")
    copy = pickle.loads(pickled)  # noqa: S301 (written above)
    assert pickle.dumps(copy) == pickled, "the model is not needed to pass the scorer on"
    with pytest.raises(ModelError, match=r"no card\.json"):
        copy({"trace": [CONVERGING]})


def test_a_pickled_scorer_refuses_another_model_in_its_place(tmp_path: Path) -> None:
    folder = copied_model(tmp_path / "model")
    pickled = pickle.dumps(BranchScorer(folder))
    shutil.rmtree(folder)
    copied_model(folder, threshold=0.9)
    with pytest.raises(ModelError, match="not the one this scorer was made with"):
        pickle.loads(pickled).score(CONVERGING)  # noqa: S301 (written above)


class TestTypes:
    """Columns keep their types, whatever a batch holds."""

    def test_own_columns_keep_their_features_and_removed_ones_go(self) -> None:
        features = datasets.Features(
            {
                "label": datasets.ClassLabel(names=["good", "bad"]),
                "trace": datasets.Value("large_string"),
                "note": datasets.Value("string"),
            }
        )
        rows = {"label": [0, 1, 1], "trace": [None, None, BRANCHING], "note": ["a", "b", "c"]}
        dataset = datasets.Dataset.from_dict(rows, features=features)
        function = BranchScorer(encoder=DebugEncoder()).columns("trace")
        scored = dataset.map(function, batched=True, batch_size=2, remove_columns=["note"])
        assert list(scored.features) == ["label", "trace", *TYPES]
        assert scored.features["label"] == features["label"]
        assert {name: scored.features[name].dtype for name in TYPES} == TYPES

    def test_rows_of_several_traces_beside_batches_of_errors(self) -> None:
        generations = [[CONVERGING, BRANCHING], [CONVERGING, ""], [CONVERGING, None], [BRANCHING]]
        dataset = datasets.Dataset.from_dict({"problem": ["?"] * 4, "generations": generations})
        scorer = BranchScorer(encoder=DebugEncoder())
        scored = dataset.map(scorer.columns(), batched=True, batch_size=1)
        rates = scored["branch_rates"][:]
        assert rates[0] == [scorer.score(text).branch_rate for text in (CONVERGING, BRANCHING)]
        assert rates[1] is rates[2] is None
        assert rates[3] == [scorer.score(BRANCHING).branch_rate]
        assert scored.features["branch_rates"] == datasets.List(datasets.Value("float64"))

    def test_scores_of_an_earlier_run_are_replaced(self, dataset: Any) -> None:
        function = BranchScorer(encoder=DebugEncoder()).columns("trace")
        once = dataset.map(function, batched=True)
        twice = once.map(function, batched=True)
        assert once.column_names == twice.column_names
        assert columns_of(once) == columns_of(twice)
        arrow = once.with_format("arrow").map(function, batched=True).with_format(None)
        assert columns_of(arrow) == columns_of(once)

    @pytest.mark.parametrize("kind", ["numpy", "torch"])
    def test_formatted_rows(self, dataset: Any, kind: str) -> None:
        pytest.importorskip(kind)
        function = BranchScorer(encoder=DebugEncoder()).columns("trace")
        plain = columns_of(dataset.map(function, batched=True))
        formatted = dataset.with_format(kind).map(function, batched=True)
        assert columns_of(formatted.with_format(None)) == plain

    def test_a_streaming_data_set_in_arrow_format(self, dataset: Any, tmp_path: Path) -> None:
        function = BranchScorer(encoder=DebugEncoder()).columns("trace", steps=True)
        stream = dataset.to_iterable_dataset().with_format("arrow")
        stream.map(function, batched=True, batch_size=2).to_parquet(tmp_path / "scored.parquet")
        schema = pq.read_schema(tmp_path / "scored.parquet")
        types = {name: schema.field(name).type for name in schema.names}
        assert types == {"id": pa.int64(), "trace": pa.string()} | {
            name: kind for name, kind in COLUMN_TYPES.items() if name != "branch_rates"
        }
        rows = pq.read_table(tmp_path / "scored.parquet").to_pylist()
        assert columns_of(rows) == columns_of(dataset.map(function, batched=True))
