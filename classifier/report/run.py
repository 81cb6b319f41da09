"""Make a report on scored files."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classifier.errors import DependencyError, OptionError
from classifier.files import InputFile, find_inputs
from classifier.files.manifest import common_provenance
from classifier.files.outputs import NewFile, OutputTarget, check_target
from classifier.progress import Progress
from classifier.report.aggregate import Aggregate, aggregate
from classifier.report.comparison import Pairs, pair_rows
from classifier.report.machine import aggregate_dict, pairs_dict
from classifier.report.options import ReportOptions

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class ReportSummary:
    """What a report says, in numbers.

    Parameters
    ----------
    aggregate
        All rows.
    compared, pairs
        All rows of the file that they are compared with, and the problems that both have; None without one.
    output, size
        The page that was written, and its bytes; None without one.
    seconds
        Wall time.
    """

    aggregate: Aggregate
    compared: Aggregate | None
    pairs: Pairs | None
    output: str | None
    size: int | None
    seconds: float

    @property
    def errors(self) -> int:
        """Return how many rows have no score."""
        return sum(sum(one.errors.values()) for one in (self.aggregate, self.compared) if one is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures of the report as JSON can hold them."""
        return {
            **aggregate_dict(self.aggregate),
            "compared_with": None if self.compared is None else aggregate_dict(self.compared),
            "pairs": None if self.pairs is None else pairs_dict(self.pairs),
            "output": self.output,
            "bytes": self.size,
            "seconds": self.seconds,
        }


def report_files(
    inputs: Sequence[str],
    output: str | None = None,
    options: ReportOptions | None = None,
    *,
    compare: str | None = None,
    progress: Progress | None = None,
) -> ReportSummary:
    """Make a report on scored files, or on how two of them compare.

    Parameters
    ----------
    inputs
        Paths, folders or glob patterns of files that `branching score` wrote.
    output
        The page to write, which ends in .html; without it only the numbers are worked out.
    options
        What the report shows.
    compare
        A file to compare with, on the same problems.
    progress
        Is told how far it is.

    Returns
    -------
    ReportSummary
        What the report says.

    Raises
    ------
    UsageError
        If an input or the output cannot be used, or the files were scored by different models; nothing is
        left behind then.
    """
    options = options or ReportOptions()
    progress = progress or Progress()
    began = time.perf_counter()
    if (compare is None) != (options.pair_by is None):
        raise OptionError(
            "--compare and --pair-by go together: the other file, and the column that says which rows belong "
            "together, such as --compare b.parquet --pair-by problem"
        )
    sources = find_inputs(inputs)
    others = [] if compare is None else find_inputs([compare])
    try:
        target = None if output is None else _target(output, options, [*sources, *others])
        if target is not None:
            _require_packages()
        for source in [*sources, *others]:
            source.spool()
        common_provenance([*sources, *others])
        rows = aggregate(sources, options, progress)
        compared = aggregate(others, replace(options, by=()), progress) if others else None
        pairs = None if compared is None else pair_rows(rows, compared)
        size = None
        if target is not None:
            size = _write(target, _page(sources, rows, others, compared, pairs, options))
    finally:
        for source in [*sources, *others]:
            source.close()
    return ReportSummary(rows, compared, pairs, output, size, time.perf_counter() - began)


def _target(output: str, options: ReportOptions, inputs: Sequence[InputFile]) -> OutputTarget:
    if not output.lower().endswith((".html", ".htm")):
        raise OptionError(f"{output} is not the name of a page: give one that ends in .html")
    target = OutputTarget(output, Path(os.path.realpath(output)), "jsonl", None)
    check_target(target, overwrite=options.overwrite, inputs=inputs)
    return target


def _require_packages() -> None:
    """Find out that a package is missing before files are read, and not after."""
    for module, package in (("vl_convert", "vl-convert-python"), ("jinja2", "Jinja2")):
        if find_spec(module) is None:
            raise DependencyError(
                f"The page of branching report needs {package}, which is not installed. Install it: pip "
                "install 'branching-classifier[report]'; without -o the report is shown in the terminal"
            )


def _page(
    sources: Sequence[InputFile],
    rows: Aggregate,
    others: Sequence[InputFile],
    compared: Aggregate | None,
    pairs: Pairs | None,
    options: ReportOptions,
) -> str:
    from classifier.report.page import comparison_page, report_page

    if compared is None or pairs is None:
        return report_page(sources, rows, options.keep)
    return comparison_page((sources, rows), (others, compared), pairs)


def _write(target: OutputTarget, page: str) -> int:
    file = NewFile(target)
    try:
        file.write(page.encode())
        size = file.tell()
        file.commit()
    except BaseException:
        file.discard()
        raise
    return size
