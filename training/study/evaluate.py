"""What one tuned model does: accuracy, responses, and loss by step kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from classifier.errors import RowError
from classifier.scorer import BranchScorer, TraceScore
from training.json_files import write_rows
from training.sft_rows import SftRow, read_sft_rows
from training.study.config import EvaluationConfig
from training.study.generation import Generator, Response, load_model, open_generator
from training.study.step_losses import step_losses
from training.study.verifiers import AnswerVerifier, BenchmarkProblem


def evaluate_benchmarks(
    model: Path,
    benchmarks: dict[str, list[BenchmarkProblem]],
    config: EvaluationConfig,
    seed: int,
    scorer: BranchScorer,
    folder: Path,
) -> dict[str, Any]:
    """Test a model on benchmarks.

    Parameters
    ----------
    model
        The model folder.
    benchmarks
        Problems by the benchmark's name.
    config
        How to test.
    seed
        Seed of the sampling.
    scorer
        Gives the responses' branch rates.
    folder
        Gets the responses, one file a benchmark.

    Returns
    -------
    dict
        By benchmark: `greedy` and `sampled`, the share of right responses of each problem; mean tokens,
        share of finished responses and mean branch rate of the greedy ones.
    """
    generator = open_generator(model, config)
    with AnswerVerifier() as verifier:
        return {
            name: _evaluate_benchmark(
                generator, verifier, problems, config, seed, scorer, folder / f"{name}.jsonl"
            )
            for name, problems in benchmarks.items()
        }


def evaluate_loss(
    model: Path,
    files: dict[str, Path],
    completion: str,
    count: int,
    max_length: int,
    scorer: BranchScorer,
) -> dict[str, Any]:
    """Measure the loss on the first rows of some files, split by step kind.

    Parameters
    ----------
    model
        The model folder.
    files
        Files of rows by name.
    completion
        As in `SftConfig`.
    count
        How many rows of each.
    max_length
        Tokens after which a row is cut.
    scorer
        Says what each step does.
    """
    loaded = load_model(model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    losses = {}
    for name, path in files.items():
        rows = read_sft_rows([str(path)], completion)[:count]
        scores = scorer.score_batch_or_errors([row.trace for row in rows])
        good: list[tuple[SftRow, TraceScore]] = [
            (row, score) for row, score in zip(rows, scores, strict=True) if not isinstance(score, RowError)
        ]
        losses[name] = step_losses(
            loaded,
            tokenizer,
            [row for row, _ in good],
            [score for _, score in good],
            threshold=scorer.threshold,
            max_length=max_length,
        )
    return losses


def _evaluate_benchmark(
    generator: Generator,
    verifier: AnswerVerifier,
    problems: Sequence[BenchmarkProblem],
    config: EvaluationConfig,
    seed: int,
    scorer: BranchScorer,
    path: Path,
) -> dict[str, Any]:
    greedy = _right(generator, verifier, problems, 0, seed)
    sampled = _right(generator, verifier, problems, config.samples, seed) if config.samples else None
    responses = [copies[0] for copies, _ in greedy]
    rows = [
        {"problem": problem.problem, "answer": problem.answer, "response": one.text, "right": right}
        for problem, one, (_, right) in zip(problems, responses, greedy, strict=True)
    ]
    write_rows(path, rows)
    return {
        "greedy": [right for _, right in greedy],
        "sampled": None if sampled is None else [right for _, right in sampled],
        "tokens": sum(one.tokens for one in responses) / len(responses),
        "finished": sum(one.finished for one in responses) / len(responses),
        "branch_rate": _mean_rate(responses[: config.scored_responses], scorer),
    }


def _right(
    generator: Generator,
    verifier: AnswerVerifier,
    problems: Sequence[BenchmarkProblem],
    samples: int,
    seed: int,
) -> list[tuple[list[Response], float]]:
    """Return the responses of each problem, and the share of them that are right."""
    responses = generator.respond([problem.problem for problem in problems], samples=samples, seed=seed)
    flat = [(problem, one) for problem, copies in zip(problems, responses, strict=True) for one in copies]
    checked = iter(verifier.check([problem for problem, _ in flat], [one.text for _, one in flat]))
    return [(copies, sum(next(checked) for _ in copies) / len(copies)) for copies in responses]


def _mean_rate(responses: Sequence[Response], scorer: BranchScorer) -> float | None:
    scores = scorer.score_batch_or_errors([one.text for one in responses])
    rates = [score.branch_rate for score in scores if not isinstance(score, RowError)]
    return sum(rates) / len(rates) if rates else None
