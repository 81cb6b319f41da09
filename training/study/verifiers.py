"""Answers checked by math-verify and by reasoning-gym's own verifiers, in worker processes.

math-verify guards itself with alarms, which only work in the main thread of a process.
"""

import json
import multiprocessing
import re
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from classifier.errors import DependencyError, InputFileError
from classifier.files import find_inputs, read_batches
from training.study.problems import load_reasoning_gym

SECONDS: Final = 5
"""How long math-verify may take to read or to compare an answer."""


@dataclass(frozen=True, slots=True)
class BenchmarkProblem:
    """One problem of a benchmark.

    Parameters
    ----------
    problem, answer
        The problem and its answer.
    task
        The reasoning-gym task whose verifier judges; math-verify judges where there is none.
    metadata
        What that verifier needs.
    """

    problem: str
    answer: str
    task: str | None = None
    metadata: dict[str, Any] | None = None


def read_benchmark(path: Path) -> list[BenchmarkProblem]:
    """Read a benchmark file.

    Parameters
    ----------
    path
        JSONL or Parquet with `problem` and `answer`, and for reasoning-gym's tasks `task` and `metadata`.

    Raises
    ------
    InputFileError
        If it cannot be read, is empty, or a row lacks its problem or answer.
    """
    problems = []
    for source in find_inputs([str(path)]):
        for batch in read_batches(source):
            for index, row in enumerate(batch.rows):
                if not isinstance(row, dict):
                    raise InputFileError(f"{batch.place(index)}: {row}")
                problem, answer = row.get("problem"), row.get("answer")
                if not isinstance(problem, str) or answer is None:
                    raise InputFileError(
                        f"{batch.place(index)}: expected `problem` and `answer`, but the row has "
                        f"{', '.join(map(str, row)) or 'no column'}"
                    )
                metadata = row.get("metadata")
                if isinstance(metadata, str):
                    metadata = json.loads(metadata)
                problems.append(BenchmarkProblem(problem, str(answer), row.get("task"), metadata))
    if not problems:
        raise InputFileError(f"{path} holds no problems")
    return problems


def final_answer(response: str) -> str | None:
    r"""Return what a response gives as its answer, None if it never gets there.

    Parameters
    ----------
    response
        A whole response: reasoning that ends with `</think>`, a `\boxed{}`, or a line `Answer:`.
    """
    if "<think>" in response and "</think>" not in response:
        return None
    said = response.rpartition("</think>")[2]
    boxed = _last_boxed(said)
    if boxed is not None:
        return boxed
    marked = re.findall(r"^\s*(?:final )?answer:\s*(.+?)\s*$", said, re.IGNORECASE | re.MULTILINE)
    if marked:
        return str(marked[-1])
    return (said.strip() or None) if "</think>" in response else None


class AnswerVerifier:
    """Checks answers in worker processes, which end with the `with` block that it opens.

    Parameters
    ----------
    workers
        How many processes.
    """

    def __init__(self, workers: int = 1) -> None:
        self._pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))

    def __enter__(self) -> Self:
        """Return the verifier itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the worker processes: a process that is itself a worker would wait for them for ever."""
        self._pool.shutdown()

    def check(self, problems: Sequence[BenchmarkProblem], responses: Sequence[str]) -> list[bool]:
        """Check one response a problem.

        Parameters
        ----------
        problems
            The problems.
        responses
            The whole responses, in the same order.

        Returns
        -------
        list of bool
            Whether each is right.

        Raises
        ------
        DependencyError
            If math-verify or reasoning-gym is needed and not installed.
        """
        return list(self._pool.map(is_right, problems, responses, chunksize=16))


def is_right(problem: BenchmarkProblem, response: str) -> bool:
    """Judge one response; call it only in the main thread of a process."""
    answer = final_answer(response)
    if answer is None:
        return False
    if problem.task is not None:
        score = load_reasoning_gym().get_score_answer_fn(problem.task)
        entry = {"question": problem.problem, "answer": problem.answer, "metadata": problem.metadata or {}}
        return bool(score(answer, entry) >= 1.0)
    try:
        from math_verify import parse, verify
    except ModuleNotFoundError as error:
        raise DependencyError(
            f"checking answers needs the package {error.name}; "
            "install it: pip install 'branching-classifier[study]'"
        ) from error
    gold, given = (
        parse(f"${text}$", parsing_timeout=SECONDS) for text in (problem.answer, answer.strip("$"))
    )
    return bool(verify(gold, given, timeout_seconds=SECONDS))


def _last_boxed(text: str) -> str | None:
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    depth = 0
    begin = start + len("\\boxed{")
    for at in range(begin - 1, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return text[begin:at]
    return None
