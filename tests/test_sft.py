"""Scoring, selecting and fine-tuning: what is kept and why, what stops a run early, resuming."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from classifier.errors import EndpointError, InputFileError, OptionError, RowError
from tests.cli_runner import CommandLine
from tests.toy_language_model import CountingScorer, sft_rows, write_language_model, write_sft_rows

pytest.importorskip("trl", reason="fine-tuning needs the extra sft")

from transformers import TrainerCallback, TrainerControl, TrainerState

from training import sft, sft_scores
from training.settings import checked_settings
from training.sft import run_sft
from training.sft_config import SftConfig
from training.sft_rows import read_sft_rows, sft_row
from training.sft_selection import Selected, select_rows

TRAINER = {"max_steps": 2, "per_device_train_batch_size": 4, "logging_steps": 1, "save_strategy": "no"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_language_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_sft_rows(tmp_path / "data.jsonl")


def config(model: Path, data: Path, /, **changes: Any) -> SftConfig:
    values: dict[str, Any] = {
        "model": str(model),
        "data": [str(data)],
        "completion": "{trace}\nAnswer: {answer}",
        "max_length": 200,
        "trainer": TRAINER,
    }
    return checked_settings(SftConfig, values | changes)


def test_a_run_says_what_it_kept_and_what_it_dropped(model: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    scorer = CountingScorer()
    chosen = config(model, data, selection={"policy": "branch_rate", "max_rate": 0.2})
    record = run_sft(chosen, run, scorer)
    assert record["manifest"]["kept"] == record["rows_trained"] == 12
    assert record["manifest"]["dropped"] == {"policy branch_rate": 8}
    assert record["steps"] == 2
    assert [entry["step"] for entry in record["loss"]] == [1, 2]
    assert 0 < record["completion_tokens_an_epoch"] < record["tokens_an_epoch"]
    dropped = [json.loads(line) for line in (run / "dropped.jsonl").read_text().splitlines()]
    assert {row["branch_rate"] for row in dropped} == {0.3, 0.4}
    assert all(row["row"].startswith(str(data)) for row in dropped)
    assert (run / "model" / "model.safetensors").is_file()
    # A finished run is not run again.
    assert run_sft(chosen, run, CountingScorer(batches=0)) == record
    with pytest.raises(OptionError, match="other settings or data"):
        run_sft(config(model, data, max_length=100), run)


def test_loss_is_on_the_completion_only(model: Path, data: Path, tmp_path: Path) -> None:
    chosen = config(model, data, selection={"policy": "all"})
    tokenizer = sft.load_tokenizer(chosen)
    rows = read_sft_rows(chosen.data, chosen.completion)
    sft.count_tokens(rows, tokenizer)
    selected = select_rows(rows, None, chosen)
    trainer = sft.build_trainer(chosen, sft.trainer_arguments(chosen, tmp_path), tokenizer, selected)
    row = trainer.train_dataset[3]
    learnt = tokenizer.decode([token for token in row["labels"] if token != -100])
    assert learnt == "Begin with 3. Maybe not. Maybe not. Maybe not. 3 + 2 = 5.\nAnswer: 5<|end|>"
    assert tokenizer.decode(row["input_ids"]) == "<|user|>Add 3 and 2.<|assistant|>" + learnt


def test_scoring_goes_on_after_the_service_went_away(
    model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sft_scores, "CHUNK", 8)
    chosen = config(model, data)
    with pytest.raises(EndpointError, match=r"16 of 20 traces are scored and kept .* same command again"):
        run_sft(chosen, tmp_path / "run", CountingScorer(batches=2))
    with (tmp_path / "run" / "scores.jsonl").open("a") as file:
        file.write('{"sha256": "cut off')
    with pytest.raises(OptionError, match=r"scores of the model 5{12}, and the scorer has the model 6{12};"):
        run_sft(chosen, tmp_path / "run", CountingScorer(sha256="6" * 64))
    rest = CountingScorer()
    record = run_sft(chosen, tmp_path / "run", rest)
    assert (record["rows_trained"], record["scorer_sha256"]) == (20, "5" * 64)
    assert rest.scored == [row["trace"] for row in sft_rows(20)][16:]


def test_training_goes_on_at_its_last_checkpoint(model: Path, data: Path, tmp_path: Path) -> None:
    trainer = TRAINER | {"save_strategy": "steps", "save_steps": 1, "max_steps": 3}
    chosen = config(model, data, selection={"policy": "all"}, trainer=trainer)
    whole = run_sft(chosen, tmp_path / "whole")
    run_sft(chosen, tmp_path / "stopped")
    (tmp_path / "stopped" / "run.json").unlink()
    (last,) = (tmp_path / "stopped" / "checkpoints").glob("checkpoint-*")
    state = json.loads((last / "trainer_state.json").read_text())
    assert state["global_step"] == 3
    resumed = run_sft(chosen, tmp_path / "stopped")
    assert resumed["resumed_from"] == "checkpoint-3"
    assert resumed["steps"] == whole["steps"] == 3
    assert resumed["loss"] == whole["loss"]
    assert (tmp_path / "stopped/model/model.safetensors").read_bytes() == (
        tmp_path / "whole/model/model.safetensors"
    ).read_bytes()


class CountingClient(CountingScorer):
    """A client: what it scores with it learns from the service."""

    def __init__(self, *, away: bool = False) -> None:
        super().__init__()
        del self.model
        self._away = away

    def info(self) -> dict[str, Any]:
        if self._away:
            raise EndpointError("http://127.0.0.1:9 cannot be reached")
        return {"model": {"name": "served", "sha256": "7" * 64}}


def test_scores_of_a_service_name_its_model(tmp_path: Path) -> None:
    store = tmp_path / "scores.jsonl"
    assert sft_scores.scored_by(store) is None
    columns = sft_scores.scored_columns(["Maybe not."], CountingClient(), store)
    assert columns == [{"branch_rate": 0.1, "branch_count": 1, "step_count": 10, "branch_error": None}]
    assert sft_scores.scored_by(store) == "7" * 64
    client = CountingClient(away=True)
    with pytest.raises(EndpointError, match=r"1 of 2 traces are scored and kept .* same command again"):
        sft_scores.scored_columns(["Maybe not.", "So 3."], client, store)


class StopAfter(TrainerCallback):
    """Stops a run after some steps, as if it were killed."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **others: Any) -> None:
        if state.global_step == self._steps:
            raise KeyboardInterrupt


@pytest.mark.parametrize("steps", [5, 7])
def test_drawing_by_weight_goes_on_where_it_was_stopped(
    steps: int, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An epoch has five steps: one run stops between two epochs, the other within the second.
    trainer = TRAINER | {
        "save_strategy": "steps",
        "save_steps": 1,
        "max_steps": -1,
        "num_train_epochs": 3,
        "learning_rate": 0.01,
    }
    chosen = config(model, data, selection={"policy": "all"}, weight_strength=3.0, trainer=trainer)
    whole = run_sft(chosen, tmp_path / "whole", CountingScorer())
    build = sft.build_trainer

    def stopping(*given: Any) -> Any:
        built = build(*given)
        built.add_callback(StopAfter(steps))
        return built

    with monkeypatch.context() as patch:
        patch.setattr(sft, "build_trainer", stopping)
        with pytest.raises(KeyboardInterrupt):
            run_sft(chosen, tmp_path / "stopped", CountingScorer())
    resumed = run_sft(chosen, tmp_path / "stopped", CountingScorer())
    assert (resumed["resumed_from"], resumed["steps"]) == (f"checkpoint-{steps}", 15)
    assert resumed["loss"] == whole["loss"]


def test_order_weights_and_policies(model: Path, data: Path, tmp_path: Path) -> None:
    rows = read_sft_rows([str(data)], "{trace}")
    scores = sft_scores.scored_columns(
        [row.trace for row in rows], CountingScorer(), tmp_path / "scores.jsonl"
    )

    def select(**changes: Any) -> Selected:
        return select_rows(rows, scores, config(model, data, **changes))

    everything = {"policy": "all"}
    rising = [
        row.trace.count("Maybe") for row in select(selection=everything, order="least_branching_first").rows
    ]
    assert rising == sorted(rising)
    falling = [
        row.trace.count("Maybe") for row in select(selection=everything, order="most_branching_first").rows
    ]
    assert falling == rising[::-1]
    weighed = select(selection=everything, weight_strength=1.0)
    assert weighed.weights is not None
    assert weighed.weights[0] > weighed.weights[4]
    assert len(select(selection={"policy": "branch_count", "max_count": 1}).rows) == 8
    assert len(select(selection={"policy": "best_of", "problem": "kind"}).rows) == 2
    per_group = select(selection={"policy": "branch_rate", "keep": 0.2, "by": "kind"})
    assert Counter(row.row["kind"] for row in per_group.rows) == {"even": 2, "odd": 2}
    assert per_group.manifest["selection"]["groups"]["odd"]["kept"] == 2


def test_batches_of_like_length_hold_every_row_and_pad_less(model: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    long_and_short = [{**row, "trace": "So. " * (1 + index % 30)} for index, row in enumerate(sft_rows(60))]
    data.write_text("".join(json.dumps(row) + "\n" for row in long_and_short))

    def padded(order: str) -> int:
        chosen = config(model, data, selection={"policy": "all"}, order=order)
        tokenizer = sft.load_tokenizer(chosen)
        rows = read_sft_rows(chosen.data, chosen.completion)
        sft.count_tokens(rows, tokenizer)
        arguments = sft.trainer_arguments(chosen, tmp_path)
        trainer = sft.build_trainer(chosen, arguments, tokenizer, select_rows(rows, None, chosen))
        batches = list(trainer.get_train_dataloader())
        assert sum(len(batch["input_ids"]) for batch in batches) == len(rows)
        return sum(batch["input_ids"].numel() for batch in batches)

    assert padded("length_grouped") < 0.9 * padded("shuffled")


def test_drawing_by_weight_prefers_rows_that_branch_less(model: Path, data: Path, tmp_path: Path) -> None:
    chosen = config(model, data, selection={"policy": "all"}, weight_strength=3.0)
    tokenizer = sft.load_tokenizer(chosen)
    rows = read_sft_rows(chosen.data, chosen.completion)
    sft.count_tokens(rows, tokenizer)
    scores = sft_scores.scored_columns(
        [row.trace for row in rows], CountingScorer(), tmp_path / "scores.jsonl"
    )
    selected = select_rows(rows, scores, chosen)
    trainer = sft.build_trainer(chosen, sft.trainer_arguments(chosen, tmp_path), tokenizer, selected)
    sampler = trainer._get_train_sampler()
    assert isinstance(sampler, sft.WeighedSampler)
    drawn: Counter[int] = Counter()
    for epoch in range(20):
        sampler.set_epoch(epoch)
        drawn.update(number % 5 for number in sampler)
    assert drawn[0] > 5 * drawn[4]


def test_a_low_rank_adapter_can_be_trained(model: Path, data: Path, tmp_path: Path) -> None:
    lora = {"r": 2, "target_modules": ["q_proj", "v_proj"]}
    run_sft(config(model, data, selection={"policy": "all"}, lora=lora), tmp_path / "run")
    assert (tmp_path / "run" / "model" / "adapter_config.json").is_file()
    with pytest.raises(OptionError, match=r"lora: .*rank_of_all"):
        run_sft(config(model, data, selection={"policy": "all"}, lora={"rank_of_all": 2}), tmp_path / "other")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"max_length": 40, "too_long": "fail"},
            r"rows are longer than max_length=40 tokens, the first is .*data",
        ),
        (
            {"max_length": 1},
            r"no row is left to train on: of 20, 20 dropped \(longer than max_length=1 tokens\)",
        ),
        ({"selection": {"policy": "branch_count", "max_count": 0}, "max_length": 10}, "no row is left"),
        ({"max_length": 5, "too_long": "truncate"}, "the trainer left out 20 of 20 rows"),
        ({"trainer": {"learning_speed": 1}}, "trainer.learning_speed is no setting"),
        ({"trainer": {"packing": True}}, "trainer.packing follows from other settings"),
        ({"model": "/no/such/model"}, "'/no/such/model' has no tokenizer"),
        ({"data": ["/no/such/file.jsonl"]}, "no/such/file"),
    ],
)
def test_bad_settings_stop_before_training(
    model: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    message: str,
) -> None:
    def train(*given: Any, **others: Any) -> None:
        raise AssertionError("training began")

    monkeypatch.setattr(sft.WeighedTrainer, "train", train)
    with pytest.raises((OptionError, InputFileError), match=message):
        run_sft(config(model, data, **changes), tmp_path / "run", CountingScorer())


def test_too_long_rows_are_dropped_or_truncated_and_counted(model: Path, data: Path, tmp_path: Path) -> None:
    rows = read_sft_rows([str(data)], "{trace}")
    sft.count_tokens(rows, sft.load_tokenizer(config(model, data)))
    limit = sorted(row.tokens for row in rows)[9]
    longer = sum(row.tokens > limit for row in rows)
    assert 0 < longer < 20
    cut = {"selection": {"policy": "all"}, "completion": "{trace}", "max_length": limit}
    dropped = run_sft(config(model, data, **cut, too_long="drop"), tmp_path / "drop")
    assert dropped["rows_trained"] == 20 - longer
    assert dropped["manifest"]["dropped"] == {f"longer than max_length={limit} tokens": longer}
    truncated = run_sft(config(model, data, **cut, too_long="truncate"), tmp_path / "truncate")
    assert (truncated["rows_trained"], truncated["manifest"]["truncated"]) == (20, longer)


def test_a_model_without_a_chat_template(data: Path, tmp_path: Path) -> None:
    bare = write_language_model(tmp_path / "bare", chat_template=False)
    with pytest.raises(OptionError, match=r"has no chat template.*trainer\.chat_template_path"):
        run_sft(config(bare, data), tmp_path / "run", CountingScorer())


def test_rows_without_a_score_follow_on_error(model: Path, tmp_path: Path) -> None:
    rows = [*sft_rows(6), {"problem": "Odd one", "trace": "This is unreadable.", "answer": "1"}]
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    selection = {"policy": "branch_rate", "max_rate": 0.0}
    kept = run_sft(config(model, path, selection=selection), tmp_path / "keep", CountingScorer())
    assert kept["rows_trained"] == 3
    dropping = config(model, path, selection=selection | {"on_error": "drop"})
    assert run_sft(dropping, tmp_path / "drop", CountingScorer())["rows_trained"] == 2
    with pytest.raises(RowError, match="nothing to read"):
        run_sft(
            config(model, path, selection=selection | {"on_error": "fail"}), tmp_path / "f", CountingScorer()
        )


def test_conversations_of_the_known_schemas() -> None:
    messages = [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "<think>Hm.</think>So."},
    ]
    row = sft_row({"messages": messages}, "here", "{trace}")
    assert (row.prompt, row.completion, row.trace) == (messages[:1], messages[1:], "Hm.")
    row = sft_row({"prompt": "Why?", "completion": "<think>Hm.</think>So."}, "here", "{trace}")
    assert row.completion == [{"role": "assistant", "content": "<think>Hm.</think>So."}]
    answer = r"\operatorname{trace}(A) = 3"
    row = sft_row(
        {"problem": "Why?", "trace": "Is {answer} 3?", "answer": answer}, "here", "{trace} {answer}"
    )
    assert row.completion[0]["content"] == f"Is {{answer}} 3? {answer}"
    with pytest.raises(InputFileError, match="here: there is no prompt for the trace"):
        sft_row({"trace": "Hm."}, "here", "{trace}")
    with pytest.raises(InputFileError, match="line 3: "):
        sft_row({"problem": "Why?", "trace": ""}, "line 3", "{trace}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "selection.keep=2"], "setting selection.keep"),
        (["--set", "selection.kep=0.5"], "setting selection.kep"),
        (["--set", "keep"], "--set keep: expected NAME=VALUE"),
        (["--set", "selection.policy=branch_count"], "needs max_count"),
        (["--config", "missing.json"], "missing.json: expected a JSON object"),
        (["--set", "order=least_branching_first", "--set", "weight_strength=1"], "leave one out"),
    ],
)
def test_the_command_says_what_is_wrong_with_a_setting(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    result = CommandLine(monkeypatch, capfd)(
        "sft", "in.jsonl", "--model", "m", "-o", tmp_path / "run", *arguments
    )
    assert result.code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()
