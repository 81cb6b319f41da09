"""What `branching evaluate` found, as JSON and as tables for 80 columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from training.bootstrap import CONFIDENCE, Estimate
from training.evaluate import COMPARED_FIGURES, FIGURES, Evaluation
from training.rate_agreement import RateAgreement
from training.reliability import ReliabilityBin

MODEL: Final = "model"
"""The model's name among the scorers."""

_TITLES: Final[Mapping[str, str]] = {
    "model": "model",
    "three_words": "3 words",
    "seal": "SEAL list",
    "wide": "wide list",
    "label_vote": "vote",
    "tfidf": "TF-IDF",
}
_FINE_FIGURES: Final = ("expected_calibration_error", "brier")
_FEW_DOCUMENTS: Final = 10


@dataclass(frozen=True, slots=True)
class GoldFile:
    """A file of labelled documents, and how much of it was used."""

    file: str
    sha256: str
    documents: int
    steps: int
    branching_steps: int


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """Figures of the model and the baselines, and what they were computed from.

    Parameters
    ----------
    model
        What the model says of itself.
    gold
        The files whose documents were scored.
    train_gold
        The files that the TF-IDF baseline learned from; empty if it was left out.
    thresholds
        For each scorer the P(branch) from which a step is said to branch.
    overall
        Figures over all documents.
    parts
        Name of a split, such as `group`; part; its figures.
    own_steps
        Agreement of rates by own steps with rates by labelled steps, if asked for.
    reliability
        The model's reliability, by bins of equal `width` and of equal `count`.
    notes
        What a reader of the figures must know.
    resamples, seed
        Of the bootstrap.
    """

    model: Mapping[str, Any]
    gold: tuple[GoldFile, ...]
    train_gold: tuple[GoldFile, ...]
    thresholds: Mapping[str, float]
    overall: Evaluation
    parts: Mapping[str, Mapping[str, Evaluation]]
    own_steps: RateAgreement | None
    reliability: Mapping[str, Sequence[ReliabilityBin]]
    notes: tuple[str, ...]
    resamples: int
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON; a figure that does not apply has null as value, low and high.

        Returns
        -------
        dict
            `model`, `gold` (one entry a file), `train_gold`, `bootstrap`, `thresholds`, `labels` (the sums
            over all files), `scorers` (scorer, figure, `value`/`low`/`high`), `differences` (the model
            minus the scorer), `by` (split, part, its `labels` and `scorers`), `own_steps`,
            `reliability` (of the model) and `notes`.
        """
        return {
            "model": dict(self.model),
            "gold": [asdict(file) for file in self.gold],
            "train_gold": [asdict(file) for file in self.train_gold],
            "bootstrap": {
                "resamples": self.resamples,
                "seed": self.seed,
                "confidence": CONFIDENCE,
                "unit": "document",
            },
            "thresholds": dict(self.thresholds),
            **_evaluation_dict(self.overall),
            "differences": _figure_dicts(self.overall.differences(MODEL)),
            "by": {
                split: {part: _evaluation_dict(evaluation) for part, evaluation in parts.items()}
                for split, parts in self.parts.items()
            },
            "own_steps": None
            if self.own_steps is None
            else {
                "own_steps": self.own_steps.own_steps,
                "gold_steps": self.own_steps.gold_steps,
                "rate_rank_correlation": self.own_steps.rank_correlation.as_dict(),
            },
            "reliability": {rule: [asdict(row) for row in rows] for rule, rows in self.reliability.items()},
            "notes": list(self.notes),
        }

    def renderables(self) -> Iterator[RenderableType]:
        """Yield the report's tables and lines for a terminal of at least 80 columns."""
        labels = self.overall
        files = ", ".join(file.file for file in self.gold)
        yield Text(
            f"{files}: {labels.documents} documents, {labels.steps:,} labelled steps, of which "
            f"{labels.branching_steps / labels.steps:.1%} branch",
            overflow="fold",
        )
        name, version = self.model.get("name", ""), self.model.get("version", "")
        yield Text(
            f"Model {name} {version}, threshold {self.thresholds[MODEL]:.3f}. Below each figure its "
            f"{CONFIDENCE:.0%} interval by bootstrap over documents ({self.resamples} resamples)."
        )
        yield _figures_table(self.overall)
        yield _differences_table(self.overall.differences(MODEL))
        for split, parts in self.parts.items():
            yield _parts_table(split, parts)
        length = labels.length_rank_correlation
        yield Text(f"The labelled rates themselves correlate with trace length at {_with_interval(length)}.")
        if self.own_steps is not None:
            yield Text(
                f"Rates by own steps ({self.own_steps.own_steps:,}) against rates by labelled steps "
                f"({self.own_steps.gold_steps:,}): rank correlation "
                f"{_with_interval(self.own_steps.rank_correlation, digits=3)}."
            )
        for note in self.notes:
            yield Text(f"Note: {note}")


def _evaluation_dict(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "labels": {
            "documents": evaluation.documents,
            "steps": evaluation.steps,
            "branching_steps": evaluation.branching_steps,
            "length_rank_correlation": evaluation.length_rank_correlation.as_dict(),
        },
        "scorers": _figure_dicts(evaluation.figures),
    }


def _figure_dicts(figures: Mapping[str, Mapping[str, Estimate]]) -> dict[str, Any]:
    return {
        scorer: {name: estimate.as_dict() for name, estimate in estimates.items()}
        for scorer, estimates in figures.items()
    }


def _figures_table(evaluation: Evaluation) -> Table:
    table = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False)
    table.add_column("")
    for scorer in evaluation.figures:
        table.add_column(_title(scorer), justify="right", no_wrap=True)
    for key, label in FIGURES.items():
        estimates = [figures[key] for figures in evaluation.figures.values()]
        if any(np.isfinite(estimate.value) for estimate in estimates):
            digits = 3 if key in _FINE_FIGURES else 2
            table.add_row(label, *(_two_lines(estimate, digits) for estimate in estimates))
    return table


def _differences_table(differences: Mapping[str, Mapping[str, Estimate]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, title="Model minus …", title_justify="left")
    table.add_column("")
    for figure in COMPARED_FIGURES:
        table.add_column(FIGURES[figure], justify="right")
    for scorer, figures in differences.items():
        table.add_row(_title(scorer), *(_with_interval(figures[figure]) for figure in COMPARED_FIGURES))
    return table


def _parts_table(split: str, parts: Mapping[str, Evaluation]) -> Table:
    few = any(evaluation.documents < _FEW_DOCUMENTS for evaluation in parts.values())
    table = Table(
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        title=f"The model by {split}",
        title_justify="left",
        caption=f"Intervals from fewer than {_FEW_DOCUMENTS} documents are too narrow." if few else None,
        caption_justify="left",
    )
    table.add_column(split, overflow="fold")
    for heading in ("docs", "steps", "branch"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("average precision", justify="right")
    for heading in ("kappa", "rates", "best other"):
        table.add_column(heading, justify="right")
    for part, evaluation in parts.items():
        ours = evaluation.figures[MODEL]
        table.add_row(
            part,
            str(evaluation.documents),
            f"{evaluation.steps:,}",
            f"{evaluation.branching_steps / evaluation.steps:.1%}",
            _with_interval(ours["average_precision"]),
            _number(ours["kappa"].value),
            _number(ours["rate_rank_correlation"].value),
            _best_other(evaluation),
        )
    return table


def _best_other(evaluation: Evaluation) -> str:
    """Name the baseline of highest average precision, and that."""
    others = {
        scorer: figures["average_precision"].value
        for scorer, figures in evaluation.figures.items()
        if scorer != MODEL and np.isfinite(figures["average_precision"].value)
    }
    if not others:
        return "–"
    best = max(others, key=others.__getitem__)
    return f"{_title(best)} {_number(others[best])}"


def _title(scorer: str) -> str:
    return _TITLES.get(scorer, scorer)


def _two_lines(estimate: Estimate, digits: int) -> Text:
    if not np.isfinite(estimate.value):
        return Text("–", style="dim")
    value = Text(_number(estimate.value, digits))
    return value.append(f"\n{_interval(estimate, digits)}", style="dim")


def _with_interval(estimate: Estimate, digits: int = 2) -> str:
    if not np.isfinite(estimate.value):
        return "–"
    return f"{_number(estimate.value, digits)} ({_interval(estimate, digits)})"


def _interval(estimate: Estimate, digits: int) -> str:
    if not np.isfinite(estimate.low):
        return "–"
    return f"{_number(estimate.low, digits)}–{_number(estimate.high, digits)}"


def _number(value: float, digits: int = 2) -> str:
    """Write a number the short way: `.86`, `−.04`, `1.00`."""
    if not np.isfinite(value):
        return "–"
    text = f"{abs(value):.{digits}f}".removeprefix("0")
    return f"−{text}" if round(value, digits) < 0 else text
