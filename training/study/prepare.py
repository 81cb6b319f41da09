"""What a study needs before any arm runs: base model, paired sources, scores, and a check of the filter."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr
from transformers import PreTrainedTokenizerBase

from classifier.errors import OptionError
from classifier.model_folder import model_path
from classifier.scorer import BranchScorer
from training.json_files import read_json, write_json
from training.sft import count_tokens, load_tokenizer
from training.sft_rows import SftRow, read_sft_rows
from training.sft_scores import scored_columns
from training.study.arms import SourceRow
from training.study.base_model import pretrain
from training.study.config import StudyConfig
from training.study.problems import expression_terms
from training.study.verifiers import BenchmarkProblem, read_benchmark
from training.study.world import SOURCES, build_world


@dataclass(frozen=True, slots=True)
class Prepared:
    """What every run of a study shares.

    Parameters
    ----------
    model
        The base model.
    sources
        The rows of each source, problem by problem in the same order.
    checks
        Files of traces that no arm trains on, by source; none where the user gives the sources.
    benchmarks
        The benchmarks' problems by name.
    classifier
        The model that scores: a copy, so that a study that goes on after an upgrade scores as it began.
    record
        What was done, as JSON can hold it.
    """

    model: str
    sources: dict[str, list[SourceRow]]
    checks: dict[str, Path]
    benchmarks: dict[str, list[BenchmarkProblem]]
    classifier: Path
    record: dict[str, Any]


def prepare(config: StudyConfig, folder: Path, *, threads: int) -> Prepared:
    """Make or find what the runs share, or go on where this was stopped.

    Parameters
    ----------
    config
        The settings.
    folder
        The study's folder.
    threads
        Threads to pre-train and to score with.

    Raises
    ------
    OptionError
        If the sources hold different problems, a problem's row is too long and that is to fail, or the model
        has no chat template.
    """
    checks: dict[str, Path] = {}
    record: dict[str, Any] = {}
    if config.world is not None and config.base is not None:
        world = build_world(config.world, folder / "world")
        paths = {source: (str(path),) for source, path in world.sources.items()}
        benchmark_files, checks = world.benchmarks, world.checks
        model = str(folder / "base")
        rows = {source: read_sft_rows(paths[source], config.completion) for source in SOURCES}
        texts = [row.trace for source in SOURCES for row in rows[source]]
        texts += [row.prompt[-1]["content"] for row in rows["divergent"]]
        tested = {
            expression_terms(problem.metadata["expression"])
            for path in benchmark_files.values()
            for problem in read_benchmark(path)
            if problem.metadata is not None
        }
        record["base"] = pretrain(
            config.base, texts, config.max_length, Path(model), threads=threads, avoided=tested
        )
    else:
        # The settings were checked.
        assert config.sources is not None  # noqa: S101
        assert config.benchmarks is not None  # noqa: S101
        assert config.model is not None  # noqa: S101
        rows = {source: read_sft_rows(config.sources[source], config.completion) for source in SOURCES}
        benchmark_files = {name: Path(path) for name, path in config.benchmarks.items()}
        model = config.model
    benchmarks = {name: read_benchmark(path) for name, path in benchmark_files.items()}
    tokenizer = load_tokenizer(config.sft_config(model, folder, seed=0))
    pairs = _pairs(rows, tokenizer, config, record)
    classifier = _frozen_classifier(folder / "classifier")
    scorer = BranchScorer(classifier, threads=threads)
    record["classifier"] = {"name": scorer.model.name, "sha256": scorer.model.sha256}
    sources = {}
    for source in SOURCES:
        chosen = [pair[source] for pair in pairs]
        columns = scored_columns([row.trace for row in chosen], scorer, folder / "scores" / f"{source}.jsonl")
        sources[source] = [
            SourceRow(
                problem=row.prompt[-1]["content"],
                trace=row.trace,
                answer=str(row.row.get("answer", "")),
                tokens=row.tokens,
                branch_rate=column["branch_rate"],
            )
            for row, column in zip(chosen, columns, strict=True)
        ]
        record[source] = _describe(chosen, columns)
    write_json(folder / "prepared.json", record)
    return Prepared(model, sources, checks, benchmarks, classifier, record)


def read_prepared(folder: Path) -> dict[str, Any]:
    """Read what was done before the runs."""
    record: dict[str, Any] = read_json(folder / "prepared.json")
    return record


def _frozen_classifier(folder: Path) -> Path:
    """Copy the embedded model, if that was not done before."""
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}-unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(model_path(), unfinished)
        unfinished.rename(folder)
    return folder


def _pairs(
    rows: dict[str, list[SftRow]],
    tokenizer: PreTrainedTokenizerBase,
    config: StudyConfig,
    record: dict[str, Any],
) -> list[dict[str, SftRow]]:
    """Return the rows of each problem that both sources solve, without those that are too long."""
    by_problem: dict[str, dict[str, SftRow]] = {}
    for source in SOURCES:
        count_tokens(rows[source], tokenizer)
        for row in rows[source]:
            known = by_problem.setdefault(row.prompt[-1]["content"], {})
            if source in known:
                raise OptionError(
                    f"{row.place}: source {source} solves this problem twice; give one trace a problem "
                    "(`branching sft` chooses with selection.policy=best_of)"
                )
            known[source] = row
    complete = [pair for pair in by_problem.values() if len(pair) == len(SOURCES)]
    fitting = [pair for pair in complete if all(row.tokens <= config.max_length for row in pair.values())]
    record["problems"] = {
        "all": len(by_problem),
        "solved_by_one_source_only": len(by_problem) - len(complete),
        "too_long": len(complete) - len(fitting),
    }
    if config.too_long == "fail" and len(fitting) < len(complete):
        raise OptionError(
            f"{len(complete) - len(fitting)} problems have a row of more than {config.max_length} tokens; "
            "raise max_length, or set too_long to drop or truncate"
        )
    used = complete if config.too_long == "truncate" else fitting
    if not used:
        raise OptionError(
            f"no problem is left: {len(by_problem)} problems, {len(complete)} of them solved by both "
            f"sources, {len(fitting)} within {config.max_length} tokens"
        )
    return used


def _describe(rows: Sequence[SftRow], columns: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Describe a source; where the teacher says what it planted, check the filter against it."""
    rates = [column["branch_rate"] for column in columns if column["branch_rate"] is not None]
    described: dict[str, Any] = {
        "rows": len(rows),
        "unscored": len(rows) - len(rates),
        "mean_tokens": sum(row.tokens for row in rows) / len(rows),
        "mean_branch_rate": sum(rates) / len(rates) if rates else None,
    }
    planted = [row.row.get("planted") for row in rows]
    if all(planted) and len(rates) == len(rows):
        departures = [one["departures"] for one in planted if one is not None]
        shares = [one["departures"] / one["steps"] for one in planted if one is not None]
        described["mean_departures"] = sum(departures) / len(departures)
        if any(departures):
            described["rank_correlation_with_departures"] = float(spearmanr(rates, departures).statistic)
            described["rank_correlation_with_share"] = float(spearmanr(rates, shares).statistic)
    return described
