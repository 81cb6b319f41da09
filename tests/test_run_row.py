"""Training runs as rows of a table."""

from typing import Any

from training.config import TrainingConfig
from training.run_row import HEADINGS, markdown_table, run_row


def epoch(number: int, minutes: float) -> dict[str, float]:
    return {"epoch": number, "loss": 0.5, "minutes": minutes}


def record() -> dict[str, Any]:
    figures = {
        "average_precision": {"value": 0.8561},
        "kappa": {"value": 0.7358},
        "rate_rank_correlation": {"value": None},
    }
    return {
        "config": {
            **TrainingConfig().to_dict(),
            "seed": 3,
            "window_lengths": [64, 128, 256],
            "encoder": "/a/b",
        },
        "data": {"gold": {"train.jsonl": "0" * 64}},
        "finished": "2026-11-26T21:00:00+00:00",
        "trained_on": {"documents": 1207, "steps": 54935},
        "adapted": [epoch(1, 2.0), epoch(2, 4.0)],
        # The first fold has a stage before its own, with minutes of its own.
        "epochs": [[epoch(1, 1.0), epoch(1, 10.0), epoch(2, 20.0)], [epoch(1, 5.0)]],
        "figures": {"kept out of the training files": figures},
    }


def test_a_run_is_a_row() -> None:
    row = dict(zip(HEADINGS, run_row("model", record()), strict=True))
    assert row["run"] == "model"
    assert row["finished"] == "2026-11-26"
    assert row["settings other than the defaults"] == "encoder=b, seed=3"
    assert row["trained on"] == "1,207 documents, 54,935 steps"
    assert row["minutes"] == "30"
    assert row["kept out: AP / kappa / rho"] == "0.856 / 0.736 / –"
    assert row["calibration files: AP / kappa / rho"] == "–"


def test_runs_of_the_same_data_have_the_same_digest() -> None:
    other = {**record(), "data": {"gold": {"train.jsonl": "1" * 64}}}
    digests = [run_row("model", one)[HEADINGS.index("data")] for one in (record(), record(), other)]
    assert digests[0] == digests[1] != digests[2]


def test_rows_stand_under_the_headings() -> None:
    lines = markdown_table([run_row("model", record())]).splitlines()
    assert lines[0].startswith("| run | finished |")
    assert len({line.count("|") for line in lines}) == 1
