"""Answers are found in responses, and judged by math-verify and by reasoning-gym."""

import json
import multiprocessing
from pathlib import Path

import pytest

from classifier.errors import InputFileError
from training.study.verifiers import AnswerVerifier, BenchmarkProblem, final_answer, read_benchmark


@pytest.mark.parametrize(
    ("response", "answer"),
    [
        ("So 4.\nAnswer: 4", "4"),
        ("Answer: 3\nNo.\nFinal answer: 4 ", "4"),
        ("<think>\nAnswer: 3\n</think>\n\n4", "4"),
        ("<think>Answer: 3", None),
        ("I get \\boxed{3}, no: \\boxed{\\frac{1}{2}}.", "\\frac{1}{2}"),
        ("\\boxed{3", None),
        ("The total is 4.", None),
        ("", None),
        ("<think>a</think>", None),
    ],
)
def test_the_answer_of_a_response(response: str, answer: str | None) -> None:
    assert final_answer(response) == answer


def test_benchmark_files(tmp_path: Path) -> None:
    path = tmp_path / "benchmark.jsonl"
    rows = [
        {"problem": "1 + 1?", "answer": 2},
        {"problem": "?", "answer": "x", "task": "t", "metadata": "{}"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_benchmark(path) == [BenchmarkProblem("1 + 1?", "2"), BenchmarkProblem("?", "x", "t", {})]
    path.write_text('{"problem": "1 + 1?", "solution": "2"}\n')
    with pytest.raises(
        InputFileError, match="expected `problem` and `answer`, but the row has problem, solution"
    ):
        read_benchmark(path)
    path.write_text("")
    with pytest.raises(InputFileError, match="holds no problems"):
        read_benchmark(path)


def test_answers_are_judged_in_worker_processes() -> None:
    pytest.importorskip("math_verify", reason="checking answers needs the extra study")
    pytest.importorskip("reasoning_gym", reason="its tasks need the extra study, and a C compiler")
    half = BenchmarkProblem("A half?", "\\frac{1}{2}")
    total = BenchmarkProblem("3 + 4 =", "7", "chain_sum", {})
    cases = [
        (half, "Answer: 0.5", True),
        (half, "\\boxed{2/4}", True),
        (half, "\\boxed{0.4}", False),
        (half, "no answer", False),
        (total, "Answer: 7", True),
        (total, "Answer: 8", False),
        (total, "Answer: 1, 2, or 7", False),
    ]
    # In a process of its own, as each run of a study: one that left its worker running never ended.
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[list[bool]] = context.Queue()
    problems, responses = [problem for problem, _, _ in cases], [response for _, response, _ in cases]
    run = context.Process(target=check_answers, args=(problems, responses, answers))
    run.start()
    try:
        assert answers.get(timeout=120) == [expected for _, _, expected in cases]
        run.join(timeout=60)
        assert run.exitcode == 0
    finally:
        run.kill()


def check_answers(
    problems: list[BenchmarkProblem],
    responses: list[str],
    answers: "multiprocessing.Queue[list[bool]]",
) -> None:
    with AnswerVerifier() as verifier:
        answers.put(verifier.check(problems, responses))
