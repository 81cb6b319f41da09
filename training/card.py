"""What a trained model's card says: data, licences, figures, limits."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from training.calibrate import THRESHOLD_RULE, Calibration
from training.evaluate import evaluate_probabilities
from training.gold import GoldDocument
from training.trace_files import TraceRow

FloatArray = npt.NDArray[np.float32]

CARD_FIGURES: Final = (
    "average_precision",
    "average_precision_without_wide_cues",
    "average_precision_without_any_cues",
    "precision",
    "recall",
    "f1",
    "kappa",
    "macro_f1",
    "rate_rank_correlation",
    "top_tenth_overlap",
    "expected_calibration_error",
    "brier",
)
"""The figures that a card shows, by their keys in `branching evaluate --json`."""

DEFINITION: Final = (
    "A step is one sentence or line. It branches when it opens another approach (alternative), rejects or "
    "corrects something the trace itself derived (backtrack), or goes back to redo or re-check something "
    "settled (restart)."
)

LIMITS: Final = (
    "English only: a trace with too many unknown tokens is refused, but one in another Latin-script language "
    "is not.",
    "Trained and measured on chains of thought of language models; it is no judge of people's writing.",
    "It measures a style of reasoning, and says nothing about whether an answer is right.",
    "Annotations come from language-model annotators under one definition of a branch; sets labelled under "
    "other definitions agree less.",
    "A step is read behind what fits into one window with it: what lies further back is not seen.",
)
"""What a user must know before relying on a model."""


def model_card(
    record: Mapping[str, Any],
    trained: Sequence[GoldDocument],
    calibration: Calibration,
    heuristically_labelled: Sequence[TraceRow],
    figures: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a trained model.

    Parameters
    ----------
    record
        The run's record: config, data hashes, counts.
    trained
        The labelled documents that it was trained on.
    calibration
        The fitted temperature and threshold.
    heuristically_labelled
        The traces that heuristics labelled for a first stage, if any.
    figures
        What was measured on documents kept out of training; see `kept_out_figures`.

    Returns
    -------
    dict
        The card's fields, beside those that sealing adds.
    """
    licences = {document.licence for document in trained if document.licence}
    return {
        "definition": DEFINITION,
        "training_data": {
            "annotated": record["trained_on"],
            "annotated_by": "language-model annotators",
            "sources": _counts(document.source for document in trained),
            "models": _counts(document.group for document in trained),
            "heuristically_labelled_sources": _counts(trace.source for trace in heuristically_labelled),
            "files": record["data"],
        },
        "licences": {
            "model": "Apache-2.0",
            "derived_from": "all-MiniLM-L6-v2 (Apache-2.0)"
            if record["config"]["encoder"] == "minilm"
            else record["config"]["encoder"],
            "training_data": sorted(licences) or ["not stated"],
        },
        "config": record["config"],
        "calibration": {"rule": THRESHOLD_RULE, **record["calibration"]},
        "figures": {"threshold": calibration.threshold, **figures},
        "limits": list(LIMITS),
    }


def kept_out_figures(
    groups: Mapping[str, Sequence[GoldDocument]],
    logits: Mapping[str, Sequence[FloatArray]],
    calibration: Calibration,
) -> dict[str, Any]:
    """Compute the card's figures on documents that the weights were not trained on.

    Temperature and threshold were fitted on the same documents, which flatters kappa and the calibration
    error a little and leaves average precision and rank correlation as they are.

    Parameters
    ----------
    groups
        Name of each group of documents and the documents.
    logits
        For each group, each document's kind logits, float32 [steps, 4].
    calibration
        The fitted temperature and threshold.

    Returns
    -------
    dict
        For each group the number of documents and steps and each figure with its 95 % interval.
    """
    found: dict[str, Any] = {}
    for name, documents in groups.items():
        if not documents:
            continue
        probabilities = [softmax(each / calibration.temperature, axis=1) for each in logits[name]]
        evaluation = evaluate_probabilities(
            documents, {"model": probabilities}, {"model": calibration.threshold}
        )
        figures = evaluation.figures["model"]
        found[name] = {
            "documents": evaluation.documents,
            "steps": evaluation.steps,
            **{figure: _rounded(figures[figure].as_dict()) for figure in CARD_FIGURES},
        }
    return found


def _counts(names: Any) -> dict[str, int]:
    return dict(Counter(name for name in names if name).most_common())


def _rounded(estimate: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in estimate.items()}
