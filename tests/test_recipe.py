"""The whole way from labelled toy documents to a model folder that scores."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier import BranchScorer
from classifier.errors import InputFileError, OptionError
from tests.toy_training import toy_config, write_data, write_encoder, write_gold
from training import loop
from training.adapt import HIDDEN_SHARE, GapFiller, adapt_encoder, fill_gaps
from training.config import TrainingConfig, load_config
from training.corpus import Batch, gold_traces
from training.export import ParityError, export_model
from training.finetune import finetune, label_loss, predict
from training.folds import fold_of, load_fold, train_folds
from training.gold import read_gold
from training.heuristic_corpus import heuristic_traces, sample_excerpts
from training.json_files import read_json
from training.kept_out import is_kept_out
from training.model import StepClassifier, load_encoder, special_layout
from training.optimisation import find_device
from training.recipe import TrainingData, prepare_run, train_model
from training.run_row import HEADINGS, run_row
from training.soft_labels import fit_on_gold
from training.trace_files import read_raw_traces


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    return write_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def config(encoder: Path) -> TrainingConfig:
    return dataclasses.replace(
        toy_config(encoder),
        adapt_characters=6_000,
        self_taught_characters=3_000,
        epochs=12,
        batch_tokens=512,
        learning_rate=3e-3,
        folds=2,
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(data: TrainingData, config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    with_heuristics = dataclasses.replace(config, heuristic_characters=4_000)
    # The second fold alone, as on another machine; the run then goes on from it.
    only = train_model(data, folder / "model", folder / "run", with_heuristics, only_fold=1)
    assert len(only["epochs"]) == config.epochs + 1
    assert not (folder / "model").exists()
    record = train_model(data, folder / "model", folder / "run", with_heuristics)
    assert record["parity"] <= 1e-4
    # The last two are those of self-teaching.
    assert [len(fold) for fold in record["epochs"]] == [config.epochs + 1] * 2 + [2]
    assert record["epochs"][1] == only["epochs"]
    return folder


@pytest.fixture(scope="module")
def student(trained: Path, data: TrainingData, config: TrainingConfig) -> Path:
    small = dataclasses.replace(
        config, layers=1, heads=1, feed_forward_units=24, taught_characters=4_000, epochs=10
    )
    taught = dataclasses.replace(data, teacher=trained / "model")
    record = train_model(taught, trained / "student", trained / "student.run", small)
    assert set(record["data"]["teacher"]) == {"model.onnx", "tokenizer.json", "card.json"}
    assert [len(fold) for fold in record["epochs"]] == [10]
    return trained / "student"


def test_the_weights_of_a_fold_can_be_had(trained: Path, data: TrainingData, config: TrainingConfig) -> None:
    config = dataclasses.replace(config, heuristic_characters=4_000)
    folder = trained / "run"
    run = prepare_run(data, folder, config)
    states = []
    for fold in range(2):
        load_fold(run.model, fold, folder)
        states.append({name: weight.clone() for name, weight in run.model.state_dict().items()})
    train_folds(run.model, run.trained, run.unlabelled, run.tokenizer, run.layout, config, folder)
    for name, mean in run.model.state_dict().items():
        torch.testing.assert_close(mean, (states[0][name] + states[1][name]) / 2)
    assert any(not torch.equal(weight, states[1][name]) for name, weight in states[0].items())


@pytest.mark.parametrize("name", ["model", "student"])
def test_trained_model_tells_departures_from_progress(
    name: str, trained: Path, student: Path, tmp_path: Path
) -> None:
    assert student.is_dir()
    scorer = BranchScorer(trained / name)
    branching: list[float] = []
    converging: list[float] = []
    for document in read_gold([write_gold(tmp_path / "test.jsonl", 20, first=400)]):
        scores = scorer.score_steps(document.trace, document.spans)
        for step, score in zip(document.steps, scores, strict=True):
            (branching if step.branches else converging).append(score)
    assert np.mean(branching) > np.mean(converging) + 0.3


def test_card_says_what_was_done(trained: Path) -> None:
    card = BranchScorer(trained / "model").card
    assert card["training_data"]["sources"] == {"toy": card["training_data"]["annotated"]["documents"]}
    assert set(card["training_data"]["files"]["gold"]) == {"train.jsonl"}
    assert card["calibration"]["documents"] > 12
    assert card["calibration"]["rule"]
    assert card["licences"]["training_data"] == ["Apache-2.0"]
    assert card["figures"]["calibration files"]["documents"] == 12
    assert 0.5 < card["figures"]["calibration files"]["average_precision"]["value"] <= 1
    assert card["limits"]
    assert json.loads((trained / "run" / "run.json").read_text())["config"]["epochs"] == 12


def test_a_finished_run_is_a_row_of_a_table(trained: Path) -> None:
    row = dict(zip(HEADINGS, run_row("toy", read_json(trained / "run" / "run.json")), strict=True))
    assert "epochs=12" in row["settings other than the defaults"]
    assert row["minutes"].isdigit()
    assert row["kept out: AP / kappa / rho"].count(" / ") == 2


def test_finished_run_is_not_trained_again(trained: Path, data: TrainingData, config: TrainingConfig) -> None:
    checkpoint = trained / "run" / "fold-1" / "annotated" / "checkpoint.pt"
    before = checkpoint.stat().st_mtime_ns
    again = dataclasses.replace(config, heuristic_characters=4_000)
    train_model(data, trained / "again", trained / "run", again)
    assert checkpoint.stat().st_mtime_ns == before
    text = "Add the two prices. No, that is wrong."
    first, second = (BranchScorer(trained / name).score(text) for name in ("model", "again"))
    assert first.probabilities.tolist() == second.probabilities.tolist()


def test_every_document_is_predicted_by_a_model_that_never_saw_it(
    trained: Path, data: TrainingData, config: TrainingConfig
) -> None:
    card = BranchScorer(trained / "model").card
    forecast = card["figures"]["out of fold, train.jsonl"]
    assert forecast["documents"] == card["training_data"]["annotated"]["documents"]
    assert 0.5 < forecast["average_precision"]["value"] <= 1
    documents = [one for one in read_gold(data.gold) if not is_kept_out(one)]
    folds = [[one.id for one in documents if fold_of(one, config.folds) == fold] for fold in range(2)]
    assert min(map(len, folds)) > 10
    with np.load(trained / "run" / "out_of_fold.npz") as logits:
        assert set(logits) == {name for fold in folds for name in fold}
        assert all(logits[one.id].shape == (len(one.steps), 4) for one in documents)


def test_documents_of_one_identifier_are_refused(
    data: TrainingData, config: TrainingConfig, tmp_path: Path
) -> None:
    twice = dataclasses.replace(data, gold=(*data.gold, write_gold(tmp_path / "more.jsonl", 2)))
    with pytest.raises(OptionError, match="name several labelled documents"):
        train_model(twice, tmp_path / "model", tmp_path / "run", config)


def test_run_folder_of_another_run_is_refused(
    trained: Path, data: TrainingData, config: TrainingConfig
) -> None:
    with pytest.raises(OptionError, match="holds a run with another config"):
        train_model(data, trained / "other", trained / "run", dataclasses.replace(config, seed=2))


def test_interrupted_run_goes_on_to_the_same_weights(
    config: TrainingConfig, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    short = dataclasses.replace(config, epochs=3)
    documents = read_gold(data.gold)[:20]

    def run(folder: Path, stop_before: int | None) -> list[np.ndarray]:
        torch.manual_seed(short.seed)
        loaded, tokenizer = load_encoder(short, None)
        layout = special_layout(short, tokenizer)
        model = StepClassifier(loaded, layout.pad_id, short.dropout)
        traces = gold_traces(documents, tokenizer, layout)
        calls = 0

        def loss(student: StepClassifier, batch: Batch) -> torch.Tensor:
            nonlocal calls
            if calls == stop_before:
                raise KeyboardInterrupt
            calls += 1
            return label_loss(student, batch)

        finetune(model, traces, tokenizer, layout, short, folder, loss=loss)
        return predict(model, traces, layout)

    expected = run(tmp_path / "whole", None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", 8)
    resumed = run(tmp_path / "parts", None)
    for left, right in zip(expected, resumed, strict=True):
        np.testing.assert_array_equal(left, right)


def test_export_that_differs_is_refused(
    config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, tokenizer = load_encoder(config, None)
    layout = special_layout(config, tokenizer)
    model = StepClassifier(loaded, layout.pad_id, config.dropout)
    monkeypatch.setattr("training.export.PARITY_LIMIT", -1.0)
    with pytest.raises(ParityError, match="differ from torch's"):
        export_model(model, tokenizer, layout, tmp_path / "model", {})


def test_too_few_documents(config: TrainingConfig, tmp_path: Path) -> None:
    data = TrainingData(traces=(), gold=(write_gold(tmp_path / "one.jsonl", 1),))
    with pytest.raises(OptionError, match="give more documents"):
        train_model(data, tmp_path / "model", tmp_path / "run", config)


def test_settings_from_file_and_overrides(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"config": {"epochs": 2, "window_lengths": [32, 64]}}))
    config = load_config(path, ["learning_rate=0.01", "seed=7"])
    assert (config.epochs, config.window_lengths, config.learning_rate, config.seed) == (2, (32, 64), 0.01, 7)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["epochs"], "expected NAME=VALUE"),
        (["epoch=3"], "unknown setting 'epoch'"),
        (["epochs=many"], "not a int"),
    ],
)
def test_wrong_settings_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        load_config(None, overrides)


def test_wrong_config_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    for path in (tmp_path / "list.json", tmp_path / "absent.json"):
        with pytest.raises(OptionError, match="expected a JSON object of settings"):
            load_config(path)


def test_trace_files_keep_raw_chains_only(tmp_path: Path) -> None:
    rows = [
        {"trace": "One.", "kind": "raw_cot", "model": "m"},
        {"trace": "Two.", "kind": "direct_output"},
        {"trace": " "},
        {"trace": "Three."},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [trace.trace for trace in read_raw_traces([tmp_path])] == ["One.", "Three."]


@pytest.mark.parametrize("line", ['{"text": "x"}', "[]", "{", '{"trace": null}'])
def test_wrong_trace_files_are_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text(line + "\n")
    with pytest.raises(InputFileError, match=r"a\.jsonl"):
        read_raw_traces([tmp_path])


def test_folder_without_trace_files(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match=str(tmp_path)):
        read_raw_traces([tmp_path])
    assert read_raw_traces([]) == []


def test_without_traces_the_encoder_is_not_adapted(
    data: TrainingData, config: TrainingConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    without = dataclasses.replace(data, traces=())
    short = dataclasses.replace(config, epochs=1, folds=0)
    with caplog.at_level("INFO"):
        record = train_model(without, tmp_path / "model", tmp_path / "run", short)
    assert "the encoder is not adapted" in caplog.text
    assert [len(fold) for fold in record["epochs"]] == [1]
    assert not (tmp_path / "run" / "adapted.pt").exists()


def test_adapted_encoder_guesses_hidden_tokens_better(
    data: TrainingData, config: TrainingConfig, tmp_path: Path
) -> None:
    loaded, tokenizer = load_encoder(config, None)
    layout = special_layout(config, tokenizer)
    rows = read_raw_traces(data.traces)
    streams = [
        trace.stream
        for trace in heuristic_traces(
            sample_excerpts(rows, 6_000, 1), tokenizer, layout, fit_on_gold(read_gold(data.gold))
        )
    ]
    longer = dataclasses.replace(config, adapt_epochs=30, adapt_learning_rate=3e-3)
    epochs = fill_gaps(loaded, streams, tokenizer, layout, longer, tmp_path)
    assert len(epochs) == 30
    assert epochs[-1].loss < epochs[0].loss - 1.0


def test_batches_of_one_shape_hide_as_many_tokens(
    data: TrainingData, config: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sizes that change from step to step cost gigabytes of memory in fragments on a CPU."""
    loaded, tokenizer = load_encoder(config, None)
    layout = special_layout(config, tokenizer)
    seen: list[torch.Tensor] = []
    original = GapFiller.forward

    def record(self: GapFiller, tokens: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        seen.append(hidden)
        return original(self, tokens, hidden)

    monkeypatch.setattr(GapFiller, "forward", record)
    adapt_encoder(loaded, read_raw_traces(data.traces), tokenizer, layout, config, tmp_path)
    assert len(seen) > 1
    assert [int(hidden.sum()) for hidden in seen] == [round(HIDDEN_SHARE * hidden.numel()) for hidden in seen]
    assert not any(hidden[:, 0].any() for hidden in seen)
    assert not torch.equal(seen[0], seen[-1])


def test_adapted_encoder_is_kept_and_shared(
    data: TrainingData, config: TrainingConfig, tmp_path: Path
) -> None:
    rows = read_raw_traces(data.traces)

    def adapted() -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        loaded, tokenizer = load_encoder(config, None)
        adapt_encoder(loaded, rows, tokenizer, special_layout(config, tokenizer), config, tmp_path)
        return loaded.state_dict()

    first = adapted()
    written = (tmp_path / "adapted.pt").stat().st_mtime_ns
    second = adapted()
    assert (tmp_path / "adapted.pt").stat().st_mtime_ns == written
    assert all(torch.equal(weight, second[name]) for name, weight in first.items())
    original = load_encoder(config, None)[0].state_dict()
    assert not all(torch.equal(weight, original[name]) for name, weight in first.items())


def test_device_that_is_not_there_is_refused() -> None:
    assert find_device("cpu") == torch.device("cpu")
    assert find_device(None).type in ("cpu", "cuda")
    for name in ("cuda:99", "abacus"):
        with pytest.raises(OptionError, match=f"--device {name}: torch cannot use it"):
            find_device(name)
