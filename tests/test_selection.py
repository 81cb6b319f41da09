"""Selection: filters, fitted cuts, reports, plans, orders and weights."""

import json
import pickle
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.errors import OptionError, RowError, SchemaError
from classifier.scored_rows import Row
from classifier.selection import (
    BranchFilter,
    CountFilter,
    LengthBand,
    RowFilter,
    SelectionTally,
    best_of,
    branch_rate_weights,
    order_by_branch_rate,
    plan_keep_fractions,
    report_selection,
)


def scored(rates: Iterable[float | None], **columns: Iterable[Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"branch_rate": rate, "branch_error": "empty: no text" if rate is None else None} for rate in rates
    ]
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows


def is_long(row: Row) -> bool:
    return bool(row["tokens"] > 10)


class TestBranchFilter:
    """Deciding row by row."""

    def test_keeps_up_to_and_including_the_rate(self) -> None:
        keeps = BranchFilter(0.12)
        assert [keeps(row) for row in scored([0.0, 0.12, 0.12000001, 1.0])] == [True, True, False, False]

    @pytest.mark.parametrize(("on_error", "kept"), [("keep", True), ("drop", False)])
    @pytest.mark.parametrize("missing", [None, float("nan"), np.float64("nan")])
    def test_rows_without_a_rate(self, on_error: str, kept: bool, missing: float | None) -> None:
        row = {"branch_rate": missing, "branch_error": "empty: no text"}
        assert BranchFilter(0.0, on_error=on_error)(row) is kept

    def test_rows_without_a_rate_can_fail_with_their_error(self) -> None:
        with pytest.raises(RowError, match="empty: no text"):
            BranchFilter(0.5, on_error="fail")(scored([None])[0])
        with pytest.raises(RowError, match="no branch_error"):
            BranchFilter(0.5, on_error="fail")({"branch_rate": None})

    @pytest.mark.parametrize("rate", [np.float32(0.5), np.float64(0.5), np.array(0.5), 0, 1])
    def test_reads_numpy_scalars_and_whole_numbers(self, rate: Any) -> None:
        assert BranchFilter(0.5)({"branch_rate": rate}) is (float(rate) <= 0.5)

    def test_a_rate_in_single_precision_is_held_against_the_rate_in_single_precision(self) -> None:
        keeps = BranchFilter(0.6)
        assert float(np.float32(0.6)) > 0.6
        assert keeps({"branch_rate": np.float32(0.6)})
        assert not keeps({"branch_rate": np.float32(0.6001)})

    @pytest.mark.parametrize("rate", ["0.1", True, [0.1, 0.2], np.array([0.1]), 1.5, -0.1])
    def test_a_value_that_is_no_rate_is_a_row_error(self, rate: Any) -> None:
        with pytest.raises(SchemaError, match="branch_rate"):
            BranchFilter(0.5)({"branch_rate": rate})

    def test_an_unscored_row_says_what_to_do(self) -> None:
        with pytest.raises(
            OptionError, match=r"no column `branch_rate` \(columns: text\); score the rows first"
        ):
            BranchFilter(0.5)({"text": "Half."})
        with pytest.raises(OptionError, match=r"expected rows as mappings .* got str 'train'"):
            BranchFilter.fit(["train"])  # type: ignore[list-item]  # what iterating over a dictionary of data sets yields

    @pytest.mark.parametrize("rate", [12, -0.1, float("nan"), "0.1", None, True])
    def test_a_highest_rate_must_be_a_share(self, rate: Any) -> None:
        with pytest.raises(OptionError, match="between 0 and 1"):
            BranchFilter(rate)
        with pytest.raises(OptionError, match="between 0 and 1"):
            BranchFilter(0.1, "source", {"a": rate})

    def test_options_are_checked(self) -> None:
        with pytest.raises(OptionError, match="'ignore'; expected one of keep, drop, fail"):
            BranchFilter(0.1, on_error="ignore")
        with pytest.raises(OptionError, match="max_rates is given without by"):
            BranchFilter(0.1, max_rates={"a": 0.1})

    def test_groups_have_their_own_rates_and_others_the_general_one(self) -> None:
        keeps = BranchFilter(0.2, by="source", max_rates={"a": 0.5, None: 0.0})
        rows = scored([0.4, 0.4, 0.1, 0.1], source=["a", "b", "b", None])
        assert [keeps(row) for row in rows] == [True, False, True, False]

    def test_equal_filters_are_equal_and_survive_pickling(self) -> None:
        keeps = BranchFilter.fit(scored([0.1, 0.2, 0.3, 0.4], source="abab"), keep=0.5, by="source")
        again = pickle.loads(pickle.dumps(keeps))  # noqa: S301 (written one line above)
        assert again == keeps
        assert again != BranchFilter(0.1)

    def test_describes_itself_for_json(self) -> None:
        described = BranchFilter(0.2, by="source", max_rates={None: 0.1, 3: 0.2}).describe()
        assert json.loads(json.dumps(described)) == {
            "max_rate": 0.2,
            "by": "source",
            "max_rates": {"null": 0.1, "3": 0.2},
            "on_error": "keep",
        }
        assert BranchFilter(0.2, by=is_long).describe()["by"] == "is_long"

    def test_filters_a_batch_of_columns(self) -> None:
        batch: dict[str, list[Any]] = {"branch_rate": [0.1, None, 0.9], "source": ["a", "b", "c"]}
        assert BranchFilter(0.5).keep_batch(batch) == [True, True, False]


class TestFit:
    """Finding the cut for a fraction."""

    def test_keeps_the_asked_fraction(self) -> None:
        rows = scored(np.linspace(0, 0.99, 100).tolist())
        keeps = BranchFilter.fit(rows, keep=0.9)
        assert sum(map(keeps, rows)) == 90
        assert keeps.max_rate == rows[89]["branch_rate"]

    @pytest.mark.parametrize(
        ("keep", "count"), [(1.0, 20), (1, 20), (0.95, 19), (0.55, 11), (0.51, 11), (0.05, 1), (0.01, 1)]
    )
    def test_rounds_the_number_of_rows_up(self, keep: float, count: int) -> None:
        rows = scored([index / 20 for index in range(20)])
        assert sum(map(BranchFilter.fit(rows, keep=keep), rows)) == count

    def test_keeps_every_row_with_the_rate_at_the_cut(self) -> None:
        rows = scored([0.1, 0.2, 0.2, 0.2, 0.9])
        keeps = BranchFilter.fit(rows, keep=0.4)
        assert [keeps(row) for row in rows] == [True, True, True, True, False]
        alike = scored([0.3] * 10)
        assert all(map(BranchFilter.fit(alike, keep=0.1), alike))

    @given(
        st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0]) | st.floats(0, 1), min_size=1, max_size=60),
        st.floats(0.001, 1),
    )
    def test_never_keeps_fewer_than_asked_and_only_ties_more(self, rates: list[float], keep: float) -> None:
        rows = scored(rates)
        keeps = BranchFilter.fit(rows, keep=keep)
        kept = sum(map(keeps, rows))
        below_the_cut = sum(rate < keeps.max_rate for rate in rates)
        assert kept >= keep * len(rows) - 1e-6
        assert below_the_cut < max(keep * len(rows), 1)

    def test_does_not_depend_on_the_order(self) -> None:
        rates = [0.5, 0.1, 0.1, 0.7, 0.3, 0.3]
        assert BranchFilter.fit(scored(rates), keep=0.5) == BranchFilter.fit(scored(rates[::-1]), keep=0.5)

    def test_rows_without_a_rate_do_not_count(self) -> None:
        rows = scored([0.1, None, 0.2, None, 0.3, 0.4, None])
        keeps = BranchFilter.fit(rows, keep=0.5, on_error="drop")
        assert [keeps(row) for row in rows] == [True, False, True, False, False, False, False]

    def test_keeps_the_fraction_within_each_group(self) -> None:
        rows = scored([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9], source="aaaabbbb")
        keeps = BranchFilter.fit(rows, keep=0.5, by="source")
        assert keeps.max_rates == {"a": 0.2, "b": 0.7}
        assert keeps.max_rate == 0.4
        assert [row["branch_rate"] for row in rows if keeps(row)] == [0.1, 0.2, 0.6, 0.7]

    def test_a_null_group_is_one_group_even_as_nan(self) -> None:
        rows = scored([0.1, 0.2, 0.3, 0.4], number=[float("nan"), float("nan"), None, 1.0])
        assert BranchFilter.fit(rows, keep=0.5, by="number").max_rates == {None: 0.2, 1.0: 0.4}

    def test_groups_by_a_function_or_by_length(self) -> None:
        rows = scored([0.1, 0.2, 0.6, 0.7], tokens=[5, 6, 50, 60])
        assert BranchFilter.fit(rows, keep=0.5, by=is_long).max_rates == {False: 0.1, True: 0.6}
        bands = BranchFilter.fit(rows, keep=0.5, by=LengthBand("tokens", (6, 60))).max_rates
        assert bands == {"below 6": 0.1, "6 to 60": 0.2, "from 60": 0.7}

    @pytest.mark.parametrize("keep", [0, -0.5, 1.01, 90, float("nan"), "0.9", True])
    def test_the_fraction_must_be_one(self, keep: Any) -> None:
        with pytest.raises(OptionError, match="above 0 and at most 1"):
            BranchFilter.fit(scored([0.1]), keep=keep)

    def test_without_any_rate_it_says_so(self) -> None:
        with pytest.raises(OptionError, match="no row has a branch rate"):
            BranchFilter.fit(scored([None, None]), keep=0.9)

    def test_a_group_must_be_a_column_of_values(self) -> None:
        with pytest.raises(OptionError, match="no column `source`"):
            BranchFilter.fit(scored([0.1]), by="source")
        with pytest.raises(OptionError, match="'tags' holds lists"):
            BranchFilter.fit(scored([0.1], tags=[["a"]]), by="tags")

    @pytest.mark.parametrize("edges", [(), (5, 5), (6, 5)])
    def test_length_bands_must_ascend(self, edges: tuple[float, ...]) -> None:
        with pytest.raises(OptionError, match="ascending"):
            LengthBand("tokens", edges)


class TestCombinations:
    """Counts, and filters put together."""

    rows: ClassVar[list[dict[str, Any]]] = [
        {"branch_rate": 0.1, "branch_count": 9},
        {"branch_rate": 0.1, "branch_count": 2},
        {"branch_rate": 0.9, "branch_count": 2},
        {"branch_rate": 0.9, "branch_count": 9},
        {"branch_rate": None, "branch_count": None, "branch_error": "empty: no text"},
    ]

    def test_count_filter(self) -> None:
        assert list(map(CountFilter(2), self.rows)) == [False, True, True, False, True]
        assert CountFilter(2, on_error="drop")(self.rows[-1]) is False

    def test_both_and_either(self) -> None:
        rate, count = BranchFilter(0.5), CountFilter(2)
        assert list(map(rate & count, self.rows)) == [False, True, False, False, True]
        assert list(map(rate | count, self.rows)) == [True, True, True, False, True]
        assert pickle.loads(pickle.dumps(rate & (count | rate))) == rate & (count | rate)  # noqa: S301

    @pytest.mark.parametrize("count", [-1, 1.5, "2", None, True])
    def test_the_count_must_be_one(self, count: Any) -> None:
        with pytest.raises(OptionError, match="whole number"):
            CountFilter(count)

    def test_a_filter_of_ones_own_needs_only_the_decision(self) -> None:
        class Odd(RowFilter):
            def __call__(self, row: Row) -> bool:
                return bool(row["branch_count"] % 2)

        assert [row for row in self.rows[:-1] if (Odd() & BranchFilter(0.5))(row)] == [self.rows[0]]
        assert Odd().select(self.rows[:-1])[0] == [0, 3]

    def test_the_highest_rate_of_a_combination_is_not_one_number(self) -> None:
        assert (BranchFilter(0.5) & CountFilter(2)).cut_of(self.rows[0]) is None


class TestReport:
    """What was kept and dropped."""

    def test_counts_lengths_groups_and_overlap(self) -> None:
        rows = scored(
            [0.1, 0.9, 0.75, 0.25, None], source=["a", "a", "b", None, "b"], tokens=[100, 10, 90, 20, 5]
        )
        kept, report = BranchFilter(0.5).select(rows, length="tokens", by="source", borderline=2)
        assert kept == [0, 3, 4]
        assert (report.rows, report.kept, report.dropped, report.errors) == (5, 3, 2, 1)
        counts = {group: (c.rows, c.kept, c.dropped, c.errors) for group, c in report.groups.items()}
        assert counts == {"a": (2, 1, 1, 0), "b": (2, 1, 1, 1), None: (1, 1, 0, 0)}
        assert (report.length_kept, report.length_dropped) == (125, 100)
        assert report.length_share_dropped == pytest.approx(100 / 225)
        assert report.length_overlap == 0.5  # the two longest are rows 0 and 2, dropped are 1 and 2
        assert [(row.row, row.kept) for row in report.borderline] == [(2, False), (3, True)]

    def test_is_json(self) -> None:
        rows = scored([0.1, 0.9], source=["a", None])
        report = BranchFilter.fit(rows, keep=0.5, by="source").select(rows, by="source")[1]
        loaded = json.loads(json.dumps(report.to_dict()))
        assert loaded["groups"]["null"] == {"rows": 1, "kept": 1, "dropped": 0, "errors": 0}
        assert loaded["borderline"][0] == {
            "row": 0,
            "branch_rate": 0.1,
            "max_rate": 0.1,
            "kept": True,
            "group": "a",
        }
        assert loaded["length_share_dropped"] is None

    def test_borderline_rows_are_the_closest_and_of_equals_the_first(self) -> None:
        rows = scored([0.75, 0.5, 0.25, 0.75, 0.0, 0.5])
        report = BranchFilter(0.5).select(rows, borderline=4)[1]
        assert [row.row for row in report.borderline] == [1, 5, 0, 2]
        assert BranchFilter(0.5).select(rows, borderline=0)[1].borderline == ()

    def test_borderline_rows_are_judged_by_their_groups_rate(self) -> None:
        keeps = BranchFilter(0.5, by="source", max_rates={"a": 0.1})
        report = keeps.select(scored([0.5, 0.2], source="ab"), borderline=1)[1]
        assert (report.borderline[0].row, report.borderline[0].max_rate) == (1, 0.5)

    def test_equally_long_rows_leave_in_their_order(self) -> None:
        overlap = BranchFilter(0.5).select(scored([0.9, 0.1, 0.1]), length=lambda _: 7)[1].length_overlap
        assert overlap == 1.0
        overlap = BranchFilter(0.5).select(scored([0.1, 0.1, 0.9]), length=lambda _: 7)[1].length_overlap
        assert overlap == 0.0

    def test_measures_texts_in_characters_and_a_null_as_nothing(self) -> None:
        rows = scored([0.1, 0.9, 0.9], text=["four", "sixsix", None])
        report = BranchFilter(0.5).select(rows, length="text")[1]
        assert (report.length_kept, report.length_dropped) == (4, 6)
        with pytest.raises(OptionError, match="'text' holds lists"):
            BranchFilter(0.5).select(scored([0.1], text=[["four"]]), length="text")

    def test_an_empty_selection(self) -> None:
        kept, report = BranchFilter(0.5).select([], length="text")
        assert (kept, report.rows, report.length_overlap, report.length_share_dropped) == ([], 0, None, None)
        assert BranchFilter(0.5).select(scored([0.1], text=[""]), length="text")[1].length_share_dropped == 0

    @pytest.mark.parametrize("lengths", [(None, 3.0), (3.0, None)])
    def test_lengths_are_given_for_all_rows_or_none(self, lengths: tuple[float | None, ...]) -> None:
        tally = SelectionTally()
        tally.add(0.5, True, length=lengths[0])
        with pytest.raises(OptionError, match="row 1: lengths must be given for every row"):
            tally.add(0.5, True, length=lengths[1])


class TestPlan:
    """What a fraction would do."""

    def test_agrees_with_the_filter_fitted_to_the_same_rows(self) -> None:
        rates = [0.3, 0.1, None, 0.9, 0.5, 0.5, 0.7, 0.2, 0.4, 0.8]
        lengths = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
        rows = scored(rates, tokens=lengths)
        for plan in plan_keep_fractions(rates, lengths):
            keeps = BranchFilter.fit(rows, keep=plan.keep)
            report = keeps.select(rows, length="tokens")[1]
            assert plan.max_rate == keeps.max_rate
            assert (plan.kept, plan.dropped) == (report.kept, report.dropped)
            assert (plan.length_kept, plan.length_dropped) == (report.length_kept, report.length_dropped)
            assert plan.time_saved == report.length_share_dropped
            assert plan.length_overlap == report.length_overlap

    def test_figures(self) -> None:
        plan = plan_keep_fractions([0.1, 0.2, 0.3, 0.4], [10, 40, 30, 20], [0.5])[0]
        assert plan.to_dict() == {
            "keep": 0.5,
            "max_rate": 0.2,
            "kept": 2,
            "dropped": 2,
            "length_kept": 50.0,
            "length_dropped": 50.0,
            "time_saved": 0.5,
            "length_overlap": 0.5,
        }

    def test_lengths_may_be_unknown_and_rates_an_array(self) -> None:
        plans = plan_keep_fractions(np.array([0.1, np.nan, 0.2]))
        assert [plan.keep for plan in plans] == [0.95, 0.9, 0.8, 0.7, 0.6, 0.5]
        assert [plan.kept for plan in plans] == [3, 3, 3, 3, 3, 2]
        assert plans[-1].length_kept is plans[-1].time_saved is plans[-1].length_overlap is None

    def test_refuses_what_cannot_be_planned(self) -> None:
        with pytest.raises(OptionError, match="1 lengths are given for 2 rates"):
            plan_keep_fractions([0.1, 0.2], [3])
        with pytest.raises(OptionError, match="no row has a branch rate"):
            plan_keep_fractions([None])


class TestBestOf:
    """The least-branching correct trace of each problem."""

    rows: ClassVar[list[dict[str, Any]]] = scored(
        [0.3, 0.1, 0.2, 0.2, None, 0.5],
        problem=["p", "p", "p", "q", "r", "p"],
        correct=[True, False, True, False, True, True],
    )

    def test_chooses_the_least_branching_correct_trace(self) -> None:
        assert best_of(self.rows) == [2]
        assert best_of(self.rows, count=2) == [0, 2]

    def test_correctness_may_be_left_out_or_computed(self) -> None:
        assert best_of(self.rows, correct=None) == [1, 3]
        assert best_of(self.rows, correct=lambda row: not row["correct"]) == [1, 3]

    def test_a_filter_may_narrow_the_choice(self) -> None:
        assert best_of(self.rows, keeps=BranchFilter(0.1)) == []
        assert best_of(self.rows, correct=None, keeps=BranchFilter(0.15)) == [1]

    def test_is_reported_like_a_filter(self) -> None:
        report = report_selection(self.rows, best_of(self.rows), by="problem", length=lambda _: 2)
        assert (report.rows, report.kept, report.dropped, report.errors) == (6, 1, 5, 1)
        assert {group: counts.dropped for group, counts in report.groups.items()} == {"p": 3, "q": 1, "r": 1}
        assert report.length_kept == 2
        assert report.borderline == ()

    def test_of_equal_rates_the_first_is_chosen(self) -> None:
        assert best_of(scored([0.2, 0.1, 0.1], problem="ppp"), correct=None) == [1]

    def test_refuses_what_cannot_be_chosen(self) -> None:
        with pytest.raises(OptionError, match="1 or more"):
            best_of(self.rows, count=0)
        with pytest.raises(OptionError, match="no column `correct`"):
            best_of(scored([0.1], problem="p"))


class TestOrderAndWeights:
    """Orders and weights instead of a cut."""

    def test_orders_by_rate_with_ties_in_place_and_errors_last(self) -> None:
        rates = [0.5, None, 0.1, 0.5, 0.3]
        assert order_by_branch_rate(rates).tolist() == [2, 4, 0, 3, 1]
        assert order_by_branch_rate(rates, descending=True).tolist() == [0, 3, 4, 2, 1]

    def test_a_selection_may_come_as_a_curriculum(self) -> None:
        rows = scored([0.4, None, 0.1, 0.9, 0.1])
        assert BranchFilter(0.5).select(rows, order_by="branch_rate")[0] == [2, 4, 0, 1]
        assert BranchFilter(0.5).select(rows)[0] == [0, 1, 2, 4]
        with pytest.raises(OptionError, match="'length'; expected 'branch_rate'"):
            BranchFilter(0.5).select(rows, order_by="length")  # type: ignore[arg-type]

    def test_weights_fall_with_the_rate_and_average_one(self) -> None:
        weights = branch_rate_weights([0.1, 0.3, None, 0.2])
        assert weights[0] > weights[3] > weights[1] > 0
        assert weights[2] == 1
        assert weights[[0, 1, 3]].mean() == pytest.approx(1)
        deviation = np.std([0.1, 0.2, 0.3])
        assert weights[0] / weights[3] == pytest.approx(np.exp(0.1 / deviation))

    def test_weights_may_be_alike(self) -> None:
        assert branch_rate_weights([0.1, 0.9], strength=0).tolist() == [1, 1]
        assert branch_rate_weights([0.4, 0.4]).tolist() == [1, 1]
        assert branch_rate_weights([None]).tolist() == [1]

    def test_strong_weights_do_not_overflow(self) -> None:
        assert np.isfinite(branch_rate_weights([0.0] * 999 + [1.0], strength=1000)).all()

    @pytest.mark.parametrize("strength", [-1, float("inf"), float("nan")])
    def test_the_strength_must_be_a_number_from_zero(self, strength: float) -> None:
        with pytest.raises(OptionError, match="strength"):
            branch_rate_weights([0.1], strength=strength)
