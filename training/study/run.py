"""Run a study: prepare, train and test every arm with every seed, report. Resumable at every run."""

import logging
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from classifier.errors import OptionError
from classifier.scorer import BranchScorer
from training.json_files import read_json, write_json, write_rows
from training.sft import run_sft
from training.study.arms import SourceRow, kept_numbers
from training.study.config import Arm, StudyConfig
from training.study.evaluate import evaluate_benchmarks, evaluate_loss
from training.study.prepare import Prepared, prepare, read_prepared
from training.study.report import write_report
from training.study.results import collect_results
from training.study.workers import begin_worker

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One arm with one seed.

    Parameters
    ----------
    arm
        The arm.
    seed
        The seed.
    folder
        Where it runs; `result.json` in it says that it is finished.
    """

    arm: Arm
    seed: int
    folder: Path

    @property
    def data(self) -> Path:
        """Return the file of the rows to train on."""
        return self.folder / "data.jsonl"

    @property
    def result(self) -> Path:
        """Return the file that is there once the run is finished."""
        return self.folder / "result.json"


def run_study(
    config: StudyConfig,
    folder: Path,
    *,
    processes: int = 1,
    threads: int = 1,
    only_report: bool = False,
) -> dict[str, Any]:
    """Run a study, or go on where it was stopped.

    Parameters
    ----------
    config
        The settings.
    folder
        The study's folder.
    processes
        Runs that go on at the same time, each on a GPU of its own as far as there are GPUs.
    threads
        Threads of each.
    only_report
        Write the report of what is finished and run nothing.

    Returns
    -------
    dict
        What `results.json` holds.

    Raises
    ------
    OptionError
        If the folder holds another study, or an arm would be empty.
    """
    _claim(folder, config, only_report=only_report)
    torch.set_num_threads(threads)
    runs = planned_runs(config, folder)
    if not only_report:
        prepared = prepare(config, folder, threads=threads)
        logger.info("Before training: %s", {key: prepared.record[key] for key in prepared.sources})
        write_arms(runs, prepared.sources)
        _run_all([run for run in runs if not run.result.is_file()], config, prepared, processes, threads)
    finished = [run for run in runs if run.result.is_file()]
    records = [read_json(run.result) for run in finished]
    if not records:
        raise OptionError(f"{folder} has no finished run to report; run the study without --report first")
    check_runs(records)
    results = collect_results(config, read_prepared(folder), records)
    write_json(folder / "results.json", results)
    write_report(results, folder)
    return results


def planned_runs(config: StudyConfig, folder: Path) -> list[PlannedRun]:
    """Return the runs in the order in which they go: one seed of every arm before the next seed."""
    arms = config.planned_arms()
    main, sweep = arms[: len(config.arms)], arms[len(config.arms) :]
    return [
        PlannedRun(arm, seed, folder / "arms" / arm.name / f"seed-{seed}")
        for group in (main, sweep)
        for seed in config.seeds
        for arm in group
        if seed in config.seeds_of(arm)
    ]


def write_arms(runs: list[PlannedRun], sources: dict[str, list[SourceRow]]) -> None:
    """Write the rows of every run, before any of them begins.

    Raises
    ------
    OptionError
        If an arm would be empty, or filters of the same fraction keep different numbers.
    """
    counts: dict[float, int] = {}
    for run in runs:
        rows = sources[run.arm.source]
        numbers = kept_numbers(run.arm, rows, run.seed)
        if run.arm.kind not in ("divergent", "convergent"):
            expected = counts.setdefault(run.arm.keep, len(numbers))
            if len(numbers) != expected:
                raise OptionError(
                    f"arm {run.arm.name} keeps {len(numbers)} rows where another filter keeps {expected}; "
                    "the sources must have the same problems"
                )
        write_rows(
            run.data,
            [
                {"problem": row.problem, "trace": row.trace, "answer": row.answer}
                for row in (rows[number] for number in numbers)
            ],
        )


def check_runs(records: list[dict[str, Any]]) -> None:
    """Check that runs differ in nothing but arm, seed and data, after the trainer's own filtering too.

    Raises
    ------
    OptionError
        If they do; the report would compare what cannot be compared.
    """
    settings = {
        repr(
            {
                **record["sft"]["config"],
                "data": None,
                "trainer": {**record["sft"]["config"]["trainer"], "seed": None, "data_seed": None},
            }
        )
        for record in records
    }
    if len(settings) > 1:
        raise OptionError("the runs were made with different settings; run the study in a new folder")
    filtered: dict[float, set[int]] = {}
    for record in records:
        sft = record["sft"]
        if sft["rows_trained"] != record["rows"]:
            raise OptionError(
                f"arm {record['arm']}, seed {record['seed']}: the trainer saw {sft['rows_trained']} of "
                f"{record['rows']} rows; the arms would be of unequal size. Set max_length higher"
            )
        if record["kind"] not in ("divergent", "convergent"):
            filtered.setdefault(record["keep"], set()).add(sft["rows_trained"])
    for keep, counts in filtered.items():
        if len(counts) > 1:
            raise OptionError(
                f"filters that keep {keep:g} trained on different numbers of rows: {sorted(counts)}"
            )


def run_one(run: PlannedRun, config: StudyConfig, prepared: Prepared, threads: int) -> None:
    """Train and test one arm with one seed, or go on where that was stopped.

    Parameters
    ----------
    run
        The arm and the seed.
    config
        The settings.
    prepared
        What the runs share.
    threads
        Threads.
    """
    torch.set_num_threads(threads)
    started, cpu_started = time.perf_counter(), time.process_time()
    sft = run_sft(config.sft_config(prepared.model, run.data, run.seed), run.folder)
    scorer = BranchScorer(prepared.classifier, threads=threads)
    model = run.folder / "model"
    files = {"trained": run.data, **prepared.checks}
    loss = evaluate_loss(
        model, files, config.completion, config.evaluation.loss_rows, config.max_length, scorer
    )
    benchmarks = evaluate_benchmarks(
        model, prepared.benchmarks, config.evaluation, run.seed, scorer, run.folder / "responses"
    )
    write_json(
        run.result,
        {
            "arm": run.arm.name,
            "kind": run.arm.kind,
            "keep": run.arm.keep,
            "seed": run.seed,
            "rows": sft["manifest"]["rows"],
            "model": {"name": scorer.model.name, "sha256": scorer.model.sha256},
            "sft": sft,
            "loss": loss,
            "benchmarks": benchmarks,
            "seconds": time.perf_counter() - started,
            "cpu_seconds": time.process_time() - cpu_started,
            "load_average": os.getloadavg()[0],
            "threads": threads,
        },
    )


def _run_all(
    runs: list[PlannedRun], config: StudyConfig, prepared: Prepared, processes: int, threads: int
) -> None:
    gpus = visible_gpus()
    # Left to itself, the trainer would spread one run over all GPUs, and so change the size of its batches.
    if processes == 1 and len(gpus) < 2:
        for number, run in enumerate(runs, start=1):
            logger.info("Run %d of %d: %s, seed %d", number, len(runs), run.arm.name, run.seed)
            run_one(run, config, prepared, threads)
        return
    context = multiprocessing.get_context("spawn")
    free = context.Queue()
    for number in range(processes):
        free.put(gpus[number % len(gpus)] if gpus else "")
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=begin_worker, initargs=(free,)
    ) as pool:
        tasks = {pool.submit(run_one, run, config, prepared, threads): run for run in runs}
        try:
            for number, task in enumerate(as_completed(tasks), start=1):
                task.result()
                logger.info(
                    "Finished %d of %d: %s, seed %d",
                    number,
                    len(runs),
                    tasks[task].arm.name,
                    tasks[task].seed,
                )
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def visible_gpus() -> list[str]:
    """Return the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def _claim(folder: Path, config: StudyConfig, *, only_report: bool) -> None:
    path = folder / "study.json"
    identity = config.model_dump(mode="json")
    if path.is_file() and read_json(path) != identity:
        raise OptionError(
            f"{folder} holds a study with other settings; give another folder, or delete this one"
        )
    if not path.is_file():
        if only_report:
            raise OptionError(f"{folder} holds no study to report")
        write_json(path, identity)
