"""Drop the traces that branch most from a data set for Axolotl or LLaMA-Factory; the rest stays as it is.

    python examples/trainers/preprocess.py data.json -o kept.json --keep 0.9

Reads and writes what both trainers take: a JSON array or JSON lines, with rows in the Alpaca form
(`instruction`, `input`, `output`), the ShareGPT form (`conversations` of `from` and `value`) or with OpenAI
`messages`. Only reasoning between <think> tags, or in `reasoning_content`, is scored.
Needs pip install '.[cpu]'.

Point the trainer at the new file. Axolotl: `datasets: [{path: kept.json, ds_type: json, type: alpaca}]`
(`chat_template` for chats). LLaMA-Factory: `file_name: kept.json` in `dataset_info.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from classifier import BranchFilter, BranchScorer
from classifier.errors import BranchingError


def read_rows(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """Read rows, and tell whether the file is a JSON array."""
    text = path.read_text(encoding="utf-8")
    if text.lstrip().startswith("["):
        return json.loads(text), True
    return [json.loads(line) for line in text.splitlines() if line.strip()], False


def write_rows(path: Path, rows: list[dict[str, Any]], *, array: bool) -> None:
    """Write rows as a JSON array or as JSON lines."""
    if array:
        text = json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    else:
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")


def main(
    data: Path,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the kept rows go.")],
    keep: Annotated[float, typer.Option(help="The share of the rows to keep.")] = 0.9,
    column: Annotated[str | None, typer.Option(help="The column with the reasoning, if not found.")] = None,
) -> None:
    """Score, filter, write."""
    rows, array = read_rows(data)
    try:
        scored = BranchScorer().columns(column).score_rows(rows)
        keeps = BranchFilter.fit(scored, keep=keep)
    except BranchingError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error
    kept, report = keeps.select(scored)
    write_rows(output, [rows[number] for number in kept], array=array)
    typer.echo(
        f"Kept {report.kept} of {report.rows} rows, branch rate up to {keeps.max_rate:.3f}; "
        f"{report.errors} without a score are among the kept"
    )


if __name__ == "__main__":
    typer.run(main)
