"""Prints training runs as rows of a table, for a record of experiments.

python -m training.run_row runs/model runs/fast
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from training.config import TrainingConfig
from training.json_files import read_json

HEADINGS: Final = (
    "run",
    "finished",
    "settings other than the defaults",
    "data",
    "trained on",
    "minutes",
    "kept out: AP / kappa / rho",
    "calibration files: AP / kappa / rho",
)

_GROUPS: Final = ("kept out of the training files", "calibration files")
_FIGURES: Final = ("average_precision", "kappa", "rate_rank_correlation")


def run_row(name: str, record: Mapping[str, Any]) -> list[str]:
    """Describe a run in one row.

    Parameters
    ----------
    name
        What to call it.
    record
        Its `run.json`.

    Returns
    -------
    list of str
        One cell for each of `HEADINGS`. `data` is a digest of the data's hashes: runs of one digest had the
        same data. `minutes` are those of all stages together, at whatever speed they ran.
    """
    defaults = TrainingConfig().to_dict()
    changed = {
        key: value for key, value in record["config"].items() if _plain(value) != _plain(defaults.get(key))
    }
    digest = hashlib.sha256(json.dumps(record["data"], sort_keys=True).encode()).hexdigest()
    return [
        name,
        record["finished"][:10],
        ", ".join(f"{key}={_short(value)}" for key, value in sorted(changed.items())) or "none",
        digest[:12],
        f"{record['trained_on']['documents']:,} documents, {record['trained_on']['steps']:,} steps",
        f"{sum(map(_minutes, [record['adapted'], *record['epochs']])):.0f}",
        *(_figures(record["figures"].get(group)) for group in _GROUPS),
    ]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows under `HEADINGS` as a Markdown table."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _minutes(stage: Sequence[Mapping[str, Any]]) -> float:
    """Return how long a list of epochs took: each part of it counts its minutes from its own first epoch."""
    following = [*stage[1:], {"epoch": 1}][: len(stage)]
    return sum(
        float(epoch["minutes"]) for epoch, after in zip(stage, following, strict=True) if after["epoch"] == 1
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _short(value: Any) -> str:
    return Path(value).name if isinstance(value, str) else str(value)


def _figures(group: Mapping[str, Any] | None) -> str:
    if group is None:
        return "–"
    values = [group[figure]["value"] for figure in _FIGURES]
    return " / ".join("–" if value is None else f"{value:.3f}" for value in values)


def _main() -> None:
    def command(
        runs: Annotated[list[Path], typer.Argument(help="Run folders of `branching train`.")],
    ) -> None:
        """Print a Markdown table of finished runs, one row a run."""
        typer.echo(markdown_table([run_row(folder.name, read_json(folder / "run.json")) for folder in runs]))

    typer.run(command)


if __name__ == "__main__":
    _main()
