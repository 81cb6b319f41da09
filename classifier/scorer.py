"""Scores traces: the one place where probabilities become a branch rate."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from classifier.encoder import OnnxEncoder, StepEncoder
from classifier.errors import ModelError, RowError
from classifier.kinds import BRANCH_KINDS, KINDS
from classifier.model_folder import ModelFolder, ModelInfo, read_model_folder
from classifier.spans import Span
from classifier.trace_preparation import TracePreparer
from classifier.version import __version__
from classifier.window_queue import WindowQueue

if TYPE_CHECKING:
    from classifier.columns import RowScorer

FloatArray = npt.NDArray[np.float32]

_CHARACTERS_AT_A_TIME = 25_000
"""Text that is tokenised in one call: little enough that the model starts on it at once, and is never left
without windows while the next text is tokenised."""


@dataclass(frozen=True, slots=True)
class StepScore:
    """One step of a scored trace.

    Parameters
    ----------
    start, end
        Character offsets (code points) into the trace.
    probability
        Calibrated probability that the step branches.
    kind
        `convergent` below the threshold, else the most probable of the kinds that branch.
    kind_probabilities
        Probability of each of the four kinds.
    """

    start: int
    end: int
    probability: float
    kind: str
    kind_probabilities: dict[str, float]


@dataclass(frozen=True, eq=False, repr=False)
class TraceScore:
    """The score of one trace.

    Parameters
    ----------
    spans
        Character offsets of the steps.
    probabilities
        Kind probabilities of the steps, float32 [steps, 4], columns in the order of `classifier.kinds.KINDS`.
    threshold
        A step branches when its probability is at least this.
    """

    spans: Sequence[Span]
    probabilities: FloatArray
    threshold: float

    def __repr__(self) -> str:
        """Return the rate and the counts."""
        return (
            f"TraceScore(branch_rate={self.branch_rate:.4f}, branch_count={self.branch_count}, "
            f"step_count={self.step_count}, kinds={self.kinds})"
        )

    @cached_property
    def step_probabilities(self) -> FloatArray:
        """Return the probability of each step that it branches, float32 [steps]."""
        return branch_probabilities(self.probabilities)

    @cached_property
    def branch_rate(self) -> float:
        """Return the mean probability over the steps: the estimate of the share of steps that branch."""
        return float(self.step_probabilities.mean(dtype=np.float64))

    @property
    def step_count(self) -> int:
        """Return the number of steps."""
        return len(self.spans)

    @cached_property
    def branch_count(self) -> int:
        """Return the number of steps whose probability reaches the threshold."""
        return int((self.step_probabilities >= np.float32(self.threshold)).sum())

    @cached_property
    def kinds(self) -> dict[str, int]:
        """Return how many of the branching steps are of each kind; the counts sum to `branch_count`."""
        branching = self.step_probabilities >= np.float32(self.threshold)
        counts = np.bincount(self.probabilities[branching, 1:].argmax(axis=1), minlength=len(BRANCH_KINDS))
        return {kind: int(count) for kind, count in zip(BRANCH_KINDS, counts, strict=True)}

    @cached_property
    def steps(self) -> list[StepScore]:
        """Return every step with its probability and kind."""
        branching = self.step_probabilities >= np.float32(self.threshold)
        most_probable = self.probabilities[:, 1:].argmax(axis=1)
        return [
            StepScore(
                start=start,
                end=end,
                probability=float(probability),
                kind=BRANCH_KINDS[best] if branches else KINDS[0],
                kind_probabilities=dict(zip(KINDS, row, strict=True)),
            )
            for (start, end), probability, branches, best, row in zip(
                self.spans,
                self.step_probabilities,
                branching,
                most_probable,
                self.probabilities.tolist(),
                strict=True,
            )
        ]


@dataclass(frozen=True, slots=True)
class _Started:
    """A trace whose probabilities are there once the queue has finished."""

    spans: list[Span]
    probabilities: FloatArray


class BranchScorer:
    """Scores chain-of-thought traces by how much they branch.

    A scorer can be pickled; the copy loads the model again when it is first used, and only if it is still the
    same model.

    Parameters
    ----------
    model
        A model folder, or `fast` for the embedded small model; the embedded default model by default.
    providers
        ONNX Runtime execution providers, or `cpu`, `cuda`, `tensorrt`; CUDA if it can be used, else the CPU,
        by default.
    threads
        CPU threads; all cores by default. Scores do not depend on it.
    precision
        `fp32`, or `fp16` or `int8` where the model folder has such a file.
    batch_size
        Windows in one forward pass. Scores do not depend on it.
    encoder
        Runs windows instead of the model folder's ONNX file; for tests.

    Raises
    ------
    ModelError
        If the model folder is incomplete or damaged.
    ProviderError
        If a provider that was asked for is not there.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        providers: Sequence[str] | None = None,
        threads: int | None = None,
        precision: str = "fp32",
        batch_size: int | None = None,
        encoder: StepEncoder | None = None,
    ) -> None:
        self._settings: dict[str, Any] = {
            "model": None if model is None else str(model),
            "providers": None if providers is None else tuple(providers),
            "threads": threads,
            "precision": precision,
            "batch_size": batch_size,
            "encoder": encoder,
        }
        self._identity: str | None = None
        # A missing model or device is found here; only a pickled copy waits for its first use.
        self._identity = self._folder.identity
        self._encoder  # noqa: B018

    @property
    def threshold(self) -> float:
        """Return the step probability at or above which a step branches."""
        return self._folder.threshold

    @property
    def model(self) -> ModelInfo:
        """Return what identifies the model."""
        return self._folder.info

    @property
    def card(self) -> dict[str, Any]:
        """Return the model's card."""
        return self._folder.card

    @property
    def providers(self) -> tuple[str, ...]:
        """Return the execution providers that the model runs on, the first one first."""
        return tuple(getattr(self._encoder, "providers", ()))

    def score(self, trace: str) -> TraceScore:
        """Score one trace.

        Parameters
        ----------
        trace
            The chain of thought.

        Returns
        -------
        TraceScore
            Its rate, counts, kinds and steps.

        Raises
        ------
        RowError
            If the trace is not a string, is empty, or is in a language that the model does not know.
        """
        return self.score_batch([trace])[0]

    def score_batch(self, traces: Iterable[str]) -> list[TraceScore]:
        """Score traces: the same values as one by one, but faster.

        Parameters
        ----------
        traces
            The chains of thought.

        Returns
        -------
        list of TraceScore
            One a trace, in order.

        Raises
        ------
        RowError
            The first one that a trace gives; `score_batch_or_errors` returns them instead.
        """
        scores: list[TraceScore] = []
        for index, score in enumerate(self.score_batch_or_errors(traces)):
            if isinstance(score, RowError):
                score.add_note(f"This was trace {index} of the batch.")
                raise score
            scores.append(score)
        return scores

    def score_batch_or_errors(self, traces: Iterable[object]) -> list[TraceScore | RowError]:
        """Score traces; one that cannot be scored gives its error and leaves the others alone.

        Parameters
        ----------
        traces
            The chains of thought, or whatever stands in their place.

        Returns
        -------
        list of TraceScore or RowError
            One a trace, in order.
        """
        queue = WindowQueue(self._encoder)
        started: list[_Started | RowError] = []
        waiting: list[object] = []
        characters = 0
        for trace in traces:
            waiting.append(trace)
            characters += len(trace) if isinstance(trace, str) else 0
            if characters >= _CHARACTERS_AT_A_TIME:
                started.extend(self._start(waiting, queue))
                waiting, characters = [], 0
        started.extend(self._start(waiting, queue))
        queue.finish()
        return [
            one if isinstance(one, RowError) else TraceScore(one.spans, one.probabilities, self.threshold)
            for one in started
        ]

    def score_steps(self, trace: str, spans: Sequence[Span]) -> FloatArray:
        """Score given steps of one trace, such as the annotated ones of a labelled set.

        Parameters
        ----------
        trace
            The whole trace; what stands before and between the spans is read as context.
        spans
            Character offsets, ascending and not overlapping.

        Returns
        -------
        array
            Probability of each span that it branches, float32 [spans].

        Raises
        ------
        OptionError
            If the spans do not fit the trace.
        """
        return branch_probabilities(self.score_steps_kinds(trace, spans))

    def score_steps_kinds(self, trace: str, spans: Sequence[Span]) -> FloatArray:
        """Compute the kind probabilities of given steps of one trace.

        Parameters
        ----------
        trace, spans
            As for `score_steps`.

        Returns
        -------
        array
            float32 [spans, 4], columns in the order of `classifier.kinds.KINDS`.

        Raises
        ------
        OptionError
            If the spans do not fit the trace.
        """
        windows = self._preparer.windows_of_spans(trace, spans)
        probabilities = np.empty((len(spans), len(KINDS)), dtype=np.float32)
        queue = WindowQueue(self._encoder)
        for window in windows:
            queue.add(window, probabilities)
        queue.finish()
        return probabilities

    def columns(
        self, column: str | None = None, *, schema: str | None = None, steps: bool = False
    ) -> "RowScorer":
        """Make a function for `datasets.Dataset.map(..., batched=True)` that adds the score columns.

        Parameters
        ----------
        column
            The column that holds the trace or messages; found by itself by default.
        schema
            The schema of the rows; found by itself by default.
        steps
            Whether to add `branch_steps` too.

        Returns
        -------
        RowScorer
            It can be pickled, and called with a batch of columns.
        """
        from classifier.columns import RowScorer

        return RowScorer(self, column=column, schema=schema, steps=steps)

    def _start(self, traces: Sequence[object], queue: WindowQueue) -> list["_Started | RowError"]:
        started: list[_Started | RowError] = []
        for one in self._preparer.prepare(traces):
            if isinstance(one, RowError):
                started.append(one)
                continue
            probabilities = np.empty((len(one.spans), len(KINDS)), dtype=np.float32)
            for window in one.windows:
                queue.add(window, probabilities)
            started.append(_Started(one.spans, probabilities))
        return started

    @cached_property
    def _preparer(self) -> TracePreparer:
        return TracePreparer(self._folder)

    @cached_property
    def _folder(self) -> ModelFolder:
        folder = read_model_folder(self._settings["model"], self._settings["precision"])
        if self._identity not in (None, folder.identity):
            raise ModelError(
                f"the model in {folder.model_file.parent} is not the one this scorer was made with: "
                "put the same model there on every machine, or make the scorer again"
            )
        return folder

    @cached_property
    def _encoder(self) -> StepEncoder:
        if self._settings["encoder"] is not None:
            encoder: StepEncoder = self._settings["encoder"]
            return encoder
        folder = self._folder
        return OnnxEncoder(
            folder.model_file,
            folder.layout.max_steps,
            providers=self._settings["providers"],
            threads=self._settings["threads"],
            batch_size=self._settings["batch_size"],
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return what the scores depend on, and no session: `datasets` takes its fingerprint from it."""
        return {"settings": self._settings, "identity": self._identity, "version": __version__}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Take the settings over; the model is loaded at the first use."""
        self._settings = state["settings"]
        self._identity = state["identity"]


def branch_probabilities(kind_probabilities: FloatArray) -> FloatArray:
    """Return the probability that each step branches: the sum over the kinds that branch.

    Parameters
    ----------
    kind_probabilities
        float32 [steps, 4], columns in the order of `classifier.kinds.KINDS`.
    """
    total: FloatArray = kind_probabilities[:, 1:].sum(axis=1, dtype=np.float32)
    return total
