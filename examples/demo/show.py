"""Show scored traces: a table of all of them, and the steps of the one that branches most.

Run after `branching score --steps`: python examples/demo/show.py demo-output/scored.jsonl
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 80
KIND_STYLES = {"alternative": "cyan", "backtrack": "red", "restart": "magenta"}
HEADINGS = ("trace", "style", "rate", "steps", "branch", "alt", "back", "rest")


def read_scored(path: Path) -> list[dict[str, Any]]:
    """Read scored rows, the ones that branch most first.

    Parameters
    ----------
    path
        JSON lines that `branching score --steps` wrote.
    """
    with path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return sorted((row for row in rows if row["branch_error"] is None), key=lambda row: -row["branch_rate"])


def rate_table(rows: list[dict[str, Any]]) -> Table:
    """Return a table with a line for each trace.

    Parameters
    ----------
    rows
        Scored rows with their steps.
    """
    table = _table()
    for number, name in enumerate(HEADINGS):
        table.add_column(name, justify="left" if number < 2 else "right", no_wrap=True)
    for row in rows:
        kinds = Counter(step["kind"] for step in row["branch_steps"])
        table.add_row(
            row["id"],
            row["style"],
            f"{row['branch_rate']:.3f}",
            str(row["step_count"]),
            str(row["branch_count"]),
            *(str(kinds[kind] or "·") for kind in KIND_STYLES),
        )
    return table


def step_table(row: dict[str, Any]) -> Table:
    """Return a table with a line for each step of a trace.

    Parameters
    ----------
    row
        A scored row with its steps.
    """
    table = _table()
    table.add_column("P(branch)", justify="right")
    table.add_column("kind", no_wrap=True)
    table.add_column("step")
    for step in row["branch_steps"]:
        style = KIND_STYLES.get(step["kind"], "")
        text = row["trace"][step["start"] : step["end"]]
        table.add_row(f"{step['probability']:.3f}", Text(step["kind"], style), Text(text, style))
    return table


def main() -> None:
    """Print both tables for the file that the first argument names."""
    rows = read_scored(Path(sys.argv[1]))
    console = Console(width=WIDTH)
    console.print(f"{len(rows)} traces, the most branching first", style="bold")
    console.print(rate_table(rows))
    console.print(
        "rate: mean probability that a step branches; branch: steps that do, namely to an alternative (alt), "
        "by backtracking (back), by a restart (rest)"
    )
    console.print(Text(f"\nThe steps of “{rows[0]['id']}”: {rows[0]['problem']}", style="bold"))
    console.print(step_table(rows[0]))


def _table() -> Table:
    return Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)


if __name__ == "__main__":
    main()
