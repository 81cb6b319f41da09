"""Filters inside `datasets`: `filter` in one and two processes, batched, streaming, from the cache."""

from typing import Any

import pytest

from classifier.selection import BranchFilter, CountFilter, best_of, order_by_branch_rate

datasets = pytest.importorskip("datasets", reason="`datasets` is not installed (extra `train`)")


@pytest.fixture
def dataset() -> Any:
    rates = [index % 10 / 10 if index % 7 else None for index in range(40)]
    return datasets.Dataset.from_dict(
        {
            "id": list(range(40)),
            "text": ["So it is."] * 40,
            "source": ["a" if index % 2 else "b" for index in range(40)],
            "branch_rate": rates,
            "branch_count": [None if rate is None else int(rate * 10) for rate in rates],
        }
    )


def expected(dataset: Any, keeps: BranchFilter) -> list[int]:
    return [row["id"] for row in dataset.to_list() if keeps(row)]


def test_filter_with_one_and_two_processes(dataset: Any) -> None:
    keeps = BranchFilter.fit(dataset, keep=0.6, by="source")
    ids = expected(dataset, keeps)
    assert 0 < len(ids) < len(dataset)
    assert dataset.filter(keeps)["id"][:] == ids
    assert dataset.filter(keeps, num_proc=2)["id"][:] == ids
    assert dataset.filter(keeps.keep_batch, batched=True)["id"][:] == ids
    assert dataset.filter(keeps.keep_batch, batched=True, num_proc=2)["id"][:] == ids


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_formatted_rows_are_read_alike(dataset: Any, kind: str) -> None:
    pytest.importorskip(kind)
    formatted = dataset.with_format(kind)  # which reads float64 as float32, and a null as NaN
    keeps = BranchFilter.fit(formatted, keep=0.6, by="source")
    assert keeps == BranchFilter.fit(dataset, keep=0.6, by="source")
    assert list(map(int, formatted.filter(keeps)["id"][:])) == expected(dataset, keeps)


def test_streaming_data_sets(dataset: Any) -> None:
    stream = dataset.to_iterable_dataset()
    keeps = BranchFilter.fit(stream, keep=0.6)
    assert [row["id"] for row in stream.filter(keeps)] == expected(dataset, keeps)


def test_equal_filters_have_one_fingerprint(dataset: Any) -> None:
    first = dataset.filter(BranchFilter.fit(dataset, keep=0.6, by="source"))
    second = dataset.filter(BranchFilter.fit(dataset, keep=0.6, by="source"))
    other = dataset.filter(BranchFilter.fit(dataset, keep=0.5, by="source"))
    assert first._fingerprint == second._fingerprint
    assert first._fingerprint != other._fingerprint


def test_rows_chosen_by_number(dataset: Any) -> None:
    kept, report = (BranchFilter(0.5) & CountFilter(3)).select(dataset, length="text", by="source")
    assert dataset.select(kept)["id"][:] == kept
    assert report.length_dropped == report.dropped * len("So it is.")
    best = dataset.select(best_of(dataset, problem="source", correct=None))
    assert sorted(best["branch_rate"][:]) == [0.0, 0.1]
    ordered = dataset.select(order_by_branch_rate(dataset["branch_rate"][:]))["branch_rate"][:]
    known = [rate for rate in ordered if rate is not None]
    assert known == sorted(known)
    assert set(ordered[len(known) :]) == {None}
