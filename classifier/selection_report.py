"""What a filter kept and dropped, and what dropping a fraction would do before it is done."""

import heapq
from array import array
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from classifier.errors import OptionError

DEFAULT_FRACTIONS: Final = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)

FloatArray = npt.NDArray[np.float64]


@dataclass(slots=True)
class GroupCounts:
    """How many rows a group has, and what became of them; `errors` of them had no rate."""

    rows: int = 0
    kept: int = 0
    dropped: int = 0
    errors: int = 0

    def add(self, *, kept: bool, error: bool) -> None:
        """Count one row."""
        self.rows += 1
        self.kept += kept
        self.dropped += not kept
        self.errors += error


@dataclass(frozen=True, slots=True)
class BorderlineRow:
    """A row whose rate is close to the cut, by its number from 0."""

    row: int
    branch_rate: float
    max_rate: float
    kept: bool
    group: Hashable = None


@dataclass(frozen=True, slots=True)
class SelectionReport:
    """What a filter kept and dropped.

    Attributes
    ----------
    rows, kept, dropped
        All rows, and what became of them.
    errors
        How many of the rows had no rate; they are among the kept or the dropped.
    groups
        The same counts for each group, if rows were grouped.
    length_kept, length_dropped
        Sum of the lengths, in the unit they were given in; None if lengths were not given.
    length_overlap
        The share of the dropped scored rows that dropping as many of the longest would drop too; None if
        lengths were not given or nothing was dropped.
    borderline
        The scored rows closest to the cut, closest first.
    """

    rows: int
    kept: int
    dropped: int
    errors: int
    groups: dict[Hashable, GroupCounts]
    length_kept: float | None
    length_dropped: float | None
    length_overlap: float | None
    borderline: tuple[BorderlineRow, ...]

    @property
    def length_share_dropped(self) -> float | None:
        """Return the share of the length that was dropped: about the share of training time saved."""
        if self.length_kept is None or self.length_dropped is None:
            return None
        return _share(self.length_dropped, self.length_kept + self.length_dropped)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it; groups by their text, a missing value as "null"."""
        fields = asdict(self)
        fields["groups"] = {_group_text(group): counts for group, counts in fields["groups"].items()}
        fields["borderline"] = [
            {**row, "group": None if row["group"] is None else str(row["group"])}
            for row in fields["borderline"]
        ]
        return {**fields, "length_share_dropped": self.length_share_dropped}


class SelectionTally:
    """Builds a report row by row, for rows that are filtered as they stream by.

    Parameters
    ----------
    borderline
        How many of the rows closest to the cut to remember.
    grouped
        Whether to count the groups that `add` is given.
    """

    def __init__(self, *, borderline: int = 10, grouped: bool = False) -> None:
        self._borderline = borderline
        self._grouped = grouped
        self._counts = GroupCounts()
        self._groups: dict[Hashable, GroupCounts] = {}
        self._closest: list[tuple[float, int, BorderlineRow]] = []
        self._lengths = array("d")
        self._scored = array("b")
        self._kept = array("b")

    def add(
        self,
        rate: float | None,
        kept: bool,
        *,
        group: Hashable = None,
        length: float | None = None,
        max_rate: float | None = None,
    ) -> None:
        """Count one row.

        Parameters
        ----------
        rate
            Its branch rate, None if it has none.
        kept
            Whether it was kept.
        group
            Its group.
        length
            Its length; give it for every row or for none.
        max_rate
            The cut its rate was held against, if that was how it was decided.

        Raises
        ------
        OptionError
            If only some of the rows have a length.
        """
        number = self._counts.rows
        if (length is None) != (len(self._lengths) == 0) and number:
            raise OptionError(f"row {number}: lengths must be given for every row or for none")
        self._counts.add(kept=kept, error=rate is None)
        if self._grouped:
            self._groups.setdefault(group, GroupCounts()).add(kept=kept, error=rate is None)
        self._kept.append(kept)
        self._scored.append(rate is not None)
        if length is not None:
            self._lengths.append(length)
        if rate is not None and max_rate is not None and self._borderline:
            row = BorderlineRow(number, rate, max_rate, kept, group)
            # The heap holds the closest with the farthest on top; of equals the earlier row is the closer.
            entry = (-abs(rate - max_rate), -number, row)
            if len(self._closest) < self._borderline:
                heapq.heappush(self._closest, entry)
            elif entry[:2] > self._closest[0][:2]:
                heapq.heapreplace(self._closest, entry)

    def report(self) -> SelectionReport:
        """Return the report on the rows so far."""
        kept = np.frombuffer(self._kept, np.int8).astype(bool)
        scored = np.frombuffer(self._scored, np.int8).astype(bool)
        lengths = np.frombuffer(self._lengths, np.float64) if self._lengths else None
        closest = sorted(self._closest, key=lambda entry: entry[:2], reverse=True)
        return SelectionReport(
            rows=self._counts.rows,
            kept=self._counts.kept,
            dropped=self._counts.dropped,
            errors=self._counts.errors,
            groups=dict(self._groups),
            length_kept=None if lengths is None else float(lengths[kept].sum()),
            length_dropped=None if lengths is None else float(lengths[~kept].sum()),
            length_overlap=None
            if lengths is None
            else _longest_overlap(_longest_first(lengths[scored]), ~kept[scored]),
            borderline=tuple(row for _, _, row in closest),
        )


@dataclass(frozen=True, slots=True)
class KeepPlan:
    """What keeping a fraction of the scored rows would do.

    Attributes
    ----------
    keep
        The fraction asked for.
    max_rate
        The highest rate that would be kept.
    kept, dropped
        Rows, those without a rate included.
    length_kept, length_dropped
        Sum of the lengths, in the unit they were given in; None if lengths were not given.
    time_saved
        Estimated share of training time saved: the share of the length that is dropped.
    length_overlap
        The share of the dropped rows that dropping as many of the longest would drop too; None if lengths
        were not given or nothing is dropped.
    """

    keep: float
    max_rate: float
    kept: int
    dropped: int
    length_kept: float | None
    length_dropped: float | None
    time_saved: float | None
    length_overlap: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""
        return asdict(self)


def plan_keep_fractions(
    rates: Sequence[float | None] | FloatArray,
    lengths: Sequence[float] | FloatArray | None = None,
    fractions: Sequence[float] = DEFAULT_FRACTIONS,
) -> list[KeepPlan]:
    """Work out what keeping each of several fractions would do.

    Parameters
    ----------
    rates
        The rows' branch rates; None or NaN for a row without one, which is kept.
    lengths
        The rows' lengths, in tokens or characters.
    fractions
        Fractions of the scored rows to keep, each above 0 and at most 1.

    Returns
    -------
    list of KeepPlan
        One a fraction, in their order; cut as `BranchFilter.fit` cuts.

    Raises
    ------
    OptionError
        If no row has a rate, a fraction is out of range, or there are not as many lengths as rates.
    """
    all_rates = rates_array(rates)
    scored = ~np.isnan(all_rates)
    all_lengths = None if lengths is None else np.asarray(lengths, dtype=np.float64)
    if all_lengths is not None and all_lengths.shape != all_rates.shape:
        raise OptionError(
            f"{len(all_lengths)} lengths are given for {len(all_rates)} rates; give one for each"
        )
    # Found once for all fractions: sorting a million lengths takes longer than everything else here.
    longest = np.empty(0, dtype=np.int64) if all_lengths is None else _longest_first(all_lengths[scored])
    plans = []
    for fraction in fractions:
        max_rate = rate_at_fraction(all_rates[scored], fraction)
        dropped = all_rates > max_rate  # false for NaN
        length_dropped = length_kept = time_saved = overlap = None
        if all_lengths is not None:
            length_dropped = float(all_lengths[dropped].sum())
            length_kept = float(all_lengths[~dropped].sum())
            time_saved = _share(length_dropped, length_dropped + length_kept)
            overlap = _longest_overlap(longest, dropped[scored])
        count = int(dropped.sum())
        plans.append(
            KeepPlan(
                keep=fraction,
                max_rate=max_rate,
                kept=len(all_rates) - count,
                dropped=count,
                length_kept=length_kept,
                length_dropped=length_dropped,
                time_saved=time_saved,
                length_overlap=overlap,
            )
        )
    return plans


def rate_at_fraction(rates: FloatArray, keep: float) -> float:
    """Return the lowest rate up to which at least the fraction of the rates lies.

    Parameters
    ----------
    rates
        Branch rates, without NaN, in any order.
    keep
        The fraction, above 0 and at most 1.

    Returns
    -------
    float
        One of the rates.

    Raises
    ------
    OptionError
        If there are no rates or the fraction is out of range.
    """
    if isinstance(keep, bool) or not isinstance(keep, int | float) or not 0 < keep <= 1:
        raise OptionError(
            f"keep is {keep!r}; give the fraction of rows to keep, above 0 and at most 1, such as 0.9"
        )
    if not len(rates):
        raise OptionError(
            "no row has a branch rate, so no fraction of them can be kept; score the rows first"
        )
    # Rounding first: 0.55 * 20 is 11.000000000000002 in floating point, and 12 is not what was asked for.
    count = max(1, int(np.ceil(round(keep * len(rates), 6))))
    return float(np.partition(rates, count - 1)[count - 1])


def rates_array(rates: Sequence[float | None] | FloatArray) -> FloatArray:
    """Return rates as an array in which NaN stands for a row without one."""
    return np.asarray(rates, dtype=np.float64)  # which reads None as NaN


def _longest_first(lengths: FloatArray) -> npt.NDArray[np.int64]:
    """Return the places of lengths, the longest first; of equally long ones the first goes before."""
    return np.argsort(-lengths, kind="stable")


def _longest_overlap(longest: npt.NDArray[np.int64], dropped: npt.NDArray[np.bool_]) -> float | None:
    """Return the share of the dropped that are among as many longest."""
    count = int(dropped.sum())
    return float(dropped[longest[:count]].sum()) / count if count else None


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _group_text(group: Hashable) -> str:
    return "null" if group is None else str(group)
