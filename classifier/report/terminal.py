"""Reports in a terminal: tables, histograms and coloured traces that fit into 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from classifier.console import printable
from classifier.kinds import BRANCH_KINDS, KINDS
from classifier.report.figures import (
    branch_shares,
    group_figures,
    keep_plans,
    length_figures,
    rate_histogram,
)
from classifier.report.palette import KIND_STYLES
from classifier.report.words import facts, length_verdict, pair_facts, pair_verdict, scored_by, step_figures
from classifier.selection_report import DEFAULT_FRACTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from classifier.report.aggregate import Aggregate
    from classifier.report.comparison import Pairs
    from classifier.report.figures import Group as GroupFigures
    from classifier.report.figures import Histogram
    from classifier.report.samples import Piece, Sample
    from classifier.selection_report import KeepPlan

WIDTH: Final = 80
"""As many columns as every terminal has."""

_BAR_WIDTH: Final = 48
_SHORT_KINDS: Final = ("alt", "back", "rest")
_SHOWN_GROUPS: Final = 10
_LONGEST_NAME: Final = 30


def terminal() -> Console:
    """Return where reports in the terminal go: standard output, no wider than `WIDTH`, as NO_COLOR says."""
    console = Console(highlight=False)
    console.width = min(console.width, WIDTH)
    return console


def print_report(aggregate: Aggregate, console: Console | None = None) -> None:
    """Print a report on some files.

    Parameters
    ----------
    aggregate
        All their rows.
    console
        Where to; standard output by default.
    """
    import numpy as np

    console = console or terminal()
    console.print(fact_table(facts(aggregate)))
    _print_text(console, scored_by(aggregate))
    plans = keep_plans(aggregate)
    if not plans:
        console.print("No row has a branch rate, so there is nothing to show.")
        return
    console.print()
    console.print(histogram_bars(rate_histogram(aggregate.scored, bins=10)))
    for labels in aggregate.groups:
        console.print()
        console.print(group_table(labels.column, group_figures(aggregate, labels, plans)))
    _print_text(console, step_figures(aggregate))
    console.print()
    console.print(plan_table([plan for plan in plans if plan.keep in DEFAULT_FRACTIONS]))
    lengths = aggregate.lengths[~np.isnan(aggregate.rates)]
    _print_text(console, length_verdict(length_figures(aggregate.scored, lengths), plans))


def print_comparison(left: Aggregate, right: Aggregate, pairs: Pairs, console: Console | None = None) -> None:
    """Print how two files compare.

    Parameters
    ----------
    left, right
        All their rows.
    pairs
        The problems that they share.
    console
        Where to; standard output by default.
    """
    console = console or terminal()
    names = [", ".join(one.names) for one in (left, right)]
    _print_text(console, scored_by(left))
    highest = max(float(one.scored.max(initial=0.0)) for one in (left, right))
    for name, one in zip(names, (left, right), strict=True):
        console.print()
        console.print(Text(printable(name), "bold"))
        console.print(fact_table(facts(one)))
        console.print(histogram_bars(rate_histogram(one.scored, bins=10, highest=highest)))
    console.print()
    _print_text(console, pair_verdict(pairs, names))
    console.print(fact_table(pair_facts(pairs, names)))


def fact_table(listed: Sequence[tuple[str, str]]) -> RenderableType:
    """Return facts, one a line."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in listed:
        table.add_row(Text(printable(name)), Text(printable(value)))
    return table


def histogram_bars(histogram: Histogram) -> RenderableType:
    """Return a histogram with a bar for each bin."""
    table = _table()
    table.add_column("branch rate", no_wrap=True)
    table.add_column("", width=_BAR_WIDTH)
    table.add_column("rows", justify="right")
    most = max(1, int(histogram.counts.max(initial=0)))
    for low, high, count in zip(histogram.edges[:-1], histogram.edges[1:], histogram.counts, strict=True):
        bar = Bar(most, 0, int(count), width=_BAR_WIDTH, color="green")
        table.add_row(f"{low:.3f}–{high:.3f}", bar, f"{count:,}")
    return table


def group_table(column: str, groups: Sequence[GroupFigures]) -> RenderableType:
    """Return the figures of the values of a column, one a line."""
    table = _table()
    table.add_column(Text(printable(column)), max_width=_LONGEST_NAME, no_wrap=True, overflow="ellipsis")
    kinds = _SHORT_KINDS if groups and groups[0].kinds is not None else ()
    for name in ("rows", "mean", "median", "95%", *(f"{kind} %" for kind in kinds)):
        table.add_column(name, justify="right", no_wrap=True)
    for group in groups[:_SHOWN_GROUPS]:
        shares = [] if group.kinds is None else [f"{100 * one:.1f}" for one in branch_shares(group.kinds)[1:]]
        rates = [f"{rate:.3f}" for rate in (group.mean, group.quantiles[2], group.quantiles[4])]
        table.add_row(
            Text(printable(group.name)), f"{group.rows:,}", *(rates if group.scored else ["–"] * 3), *shares
        )
    if len(groups) <= _SHOWN_GROUPS:
        return table
    return Group(table, Text(f"… and {len(groups) - _SHOWN_GROUPS} more on the page (-o report.html)", "dim"))


def plan_table(plans: Sequence[KeepPlan]) -> RenderableType:
    """Return what keeping different fractions would do, one a line."""
    table = _table()
    for name in ("keep", "highest rate", "rows kept", "dropped", "tokens saved", "length overlap"):
        table.add_column(name, justify="right", no_wrap=True)
    for plan in plans:
        table.add_row(
            f"{plan.keep:.0%}",
            f"{plan.max_rate:.4f}",
            f"{plan.kept:,}",
            f"{plan.dropped:,}",
            f"{plan.time_saved or 0:.1%}",
            "–" if plan.length_overlap is None else f"{plan.length_overlap:.0%}",
        )
    return table


def sample_table(samples: Sequence[tuple[Sample, Sequence[int]]]) -> RenderableType:
    """Return rows with their scores, one a line.

    Parameters
    ----------
    samples
        The rows, and how many of their steps are of each kind.
    """
    table = _table()
    table.add_column("row", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis", max_width=_LONGEST_NAME)
    for name in ("rate", "steps", "branch", *_SHORT_KINDS):
        table.add_column(name, justify="right", no_wrap=True)
    for sample, kinds in samples:
        table.add_row(
            sample.place,
            Text(printable(" · ".join(sample.columns.values())[: 2 * _LONGEST_NAME].replace("\n", " "))),
            f"{sample.rate:.3f}",
            f"{sample.step_count:,}",
            f"{sample.branch_count:,}",
            *(f"{kinds[KINDS.index(kind)] or '·'}" for kind in BRANCH_KINDS),
        )
    return table


def coloured_trace(sample: Sample) -> RenderableType:
    """Return the trace of a row; a step that branches has the colour of its kind, and its kind in words."""
    text = Text()
    for number, trace in enumerate(sample.traces):
        if len(sample.traces) > 1:
            text.append(f"{'' if not number else chr(10) * 2}Trace {number + 1}\n", "bold")
        for piece in trace:
            text.append(_coloured_piece(piece))
    return text


def _coloured_piece(piece: Piece) -> Text:
    if piece.omitted:
        branches = f"{piece.omitted_branches:,}" if piece.omitted_branches else "none"
        return Text(f"\n[… {piece.omitted:,} steps left out, {branches} of which branch …]\n", "dim italic")
    text = Text()
    kind = piece.kind or KINDS[0]
    if kind != KINDS[0]:
        text.append(f"[{kind} {piece.probability or 0:.2f}]", f"{KIND_STYLES[kind]} reverse")
        text.append(" ")
    text.append(printable(piece.text), KIND_STYLES[kind])
    if piece.cut:
        text.append(f" [… {piece.cut:,} more characters]", "dim italic")
    return text


def _print_text(console: Console, text: str) -> None:
    if text:
        console.print(Text(printable(text)))


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=True)
