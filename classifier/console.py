"""What commands print: summaries for people on standard error, tables and JSON on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from classifier.batch import ScoreSummary
    from classifier.filtering import FilterPreview, FilterSummary
    from classifier.report import ReportSummary
    from classifier.row_stream import RowCounts
    from classifier.verify import VerifySummary

_SHOWN_ERRORS: Final = 10


def printable(text: str) -> str:
    """Return a text whose control characters cannot steer the terminal."""
    return "".join(character if character in "\n\t" or character.isprintable() else "�" for character in text)


def print_json(summary: Mapping[str, Any]) -> None:
    """Print a summary for machines."""
    sys.stdout.write(json.dumps(summary, ensure_ascii=False, indent=2) + "\n")


def print_score_summary(summary: ScoreSummary) -> None:
    """Say what `branching score` did."""
    counts = summary.counts
    speed = f", {summary.traces_per_second:,.1f} traces/s" if summary.traces_per_second else ""
    lines = [
        f"Scored {counts.scored:,} of {counts.rows:,} rows in {summary.seconds:.1f} s{speed}: "
        f"{summary.output}"
    ]
    if summary.rows_before:
        lines.append(f"Of these, {summary.rows_before:,} rows were scored before this run was stopped")
    if counts.scored:
        lines.append(f"Mean branch rate {counts.rate_sum / counts.scored:.4f}; {_model(summary.provenance)}")
    if summary.json_text_columns:
        lines.append(f"Stored as JSON text, as rows disagree in type: {', '.join(summary.json_text_columns)}")
    if summary.replaced_rows:
        lines.append(
            f"Rows with lone surrogates, which Parquet cannot hold: {summary.replaced_rows:,} (U+FFFD "
            "stands in their place, and branch_raw has the rows as they were)"
        )
    _print(lines + _row_notes(counts))


def print_verify_summary(summary: VerifySummary) -> None:
    """Say what `branching verify` found."""
    outputs = "1 file" if len(summary.outputs) == 1 else f"{len(summary.outputs):,} files"
    lines = summary.problems or [f"{summary.rows:,} rows in {outputs}, all as the manifest says"]
    _print(lines)


def print_filter_summary(summary: FilterSummary) -> None:
    """Say what `branching filter` did."""
    from classifier.filtering.summary import CHARACTERS_PER_TOKEN, tokens

    selection, rule = summary.selection, summary.rule
    lines = [f"Kept {selection.kept:,} of {selection.rows:,} rows: {summary.output}"]
    if rule["max_rates"]:
        lines.append(f"Highest rate kept in each {rule['by']}:")
        lines += [f"  {group}: {rate:.4f}" for group, rate in rule["max_rates"].items()]
    elif rule["max_rate"] is not None:
        lines.append(f"Highest branch rate kept: {rule['max_rate']:.4f}")
    if selection.dropped:
        share = selection.length_share_dropped or 0.0
        overlap = selection.length_overlap
        lines.append(
            f"Dropped {selection.dropped:,} rows with {share:.1%} of the tokens (about "
            f"{tokens(selection.length_dropped) or 0:,}, estimated at {CHARACTERS_PER_TOKEN} characters "
            "a token)" + (f": {summary.dropped_output}" if summary.dropped_output else "")
        )
        if overlap is not None:
            lines.append(f"A length filter that drops as many would drop {overlap:.0%} of the same rows")
    if summary.not_best:
        lines.append(f"Dropped as another trace is better, or none is marked correct: {summary.not_best:,}")
    if summary.provenance is not None:
        lines.append(f"Scores by {_model(summary.provenance)}")
    lines += _without_trace(summary.without_trace) + _unknown(summary.unknown_provenance)
    _print(lines + _row_notes(summary.counts))


def print_preview(preview: FilterPreview) -> None:
    """Show what `branching filter` would do, as a table."""
    from rich.console import Console
    from rich.table import Table

    from classifier.filtering.summary import CHARACTERS_PER_TOKEN, tokens

    total = tokens(preview.characters) or 0
    table = Table(title=f"{preview.counts.rows:,} rows, about {total:,} tokens in their traces")
    for name in (
        "keep",
        "max rate",
        "rows kept",
        "rows dropped",
        "tokens kept",
        "time saved",
        "length overlap",
    ):
        table.add_column(name, justify="right")
    for plan in preview.plans:
        table.add_row(
            f"{plan.keep:g}",
            f"{plan.max_rate:.4f}",
            f"{plan.kept:,}",
            f"{plan.dropped:,}",
            f"{tokens(plan.length_kept) or 0:,}",
            f"{plan.time_saved or 0.0:.1%}",
            "–" if plan.length_overlap is None else f"{plan.length_overlap:.0%}",
        )
    Console().print(table)
    lines = [
        f"Tokens are estimated at {CHARACTERS_PER_TOKEN} characters each. Time saved is the share of tokens "
        "that is dropped.",
        "Length overlap is the share of the dropped rows that dropping as many of the longest would drop.",
    ]
    if not preview.plans:
        lines = ["No row has a branch rate, so there is no fraction of them to keep."]
    lines += _without_trace(preview.without_trace) + _unknown(preview.unknown_provenance)
    _print(lines + _row_notes(preview.counts))


def print_report_summary(summary: ReportSummary) -> None:
    """Say where the page of `branching report` is, or show the report where there is none."""
    if summary.output is not None and summary.size is not None:
        rows = summary.aggregate.rows + (summary.compared.rows if summary.compared else 0)
        _print(
            [
                f"Report on {rows:,} rows in {summary.seconds:.1f} s: {summary.output} "
                f"({summary.size / 1e6:.1f} MB, one file)"
            ]
        )
        return
    from classifier.report.terminal import print_comparison, print_report

    if summary.compared is None or summary.pairs is None:
        print_report(summary.aggregate)
    else:
        print_comparison(summary.aggregate, summary.compared, summary.pairs)


def print_row_notes(counts: RowCounts) -> None:
    """Say which rows have no score, and why."""
    if notes := _row_notes(counts):
        _print(notes)


def _row_notes(counts: RowCounts) -> list[str]:
    lines = []
    if counts.blank_lines:
        lines.append(f"Blank lines passed over: {counts.blank_lines:,}")
    failed = sum(counts.errors.values())
    if failed:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in counts.errors.most_common())
        lines.append(f"Rows without a score: {failed:,} ({kinds}); branch_error says why:")
        shown = counts.first_errors[:_SHOWN_ERRORS]
        lines += [f"  {one['place']}: {one['error']}" for one in shown]
        if failed > len(shown):
            lines.append(f"  … and {failed - len(shown):,} more")
    return lines


def _without_trace(rows: int) -> list[str]:
    if not rows:
        return []
    return [
        f"No trace was found in {rows:,} rows that have a score, so that their tokens count as 0; say with "
        "--column where it is"
    ]


def _unknown(names: list[str]) -> list[str]:
    if not names:
        return []
    return [
        f"Nothing says which model scored {', '.join(names)}: "
        "whether the rates can be compared is for you to know"
    ]


def _model(provenance: Mapping[str, Any]) -> str:
    model = provenance["model"]
    return f"model {model['name']} {model['version']} ({model['precision']}, SHA-256 {model['sha256'][:12]}…)"


def _print(lines: list[str]) -> None:
    sys.stderr.write(printable("\n".join(lines)) + "\n")
