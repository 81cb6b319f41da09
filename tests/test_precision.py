"""Other precisions of a model: made from float32, checked against it, sealed with the figures."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import typer
from typer.testing import CliRunner

from classifier import BranchScorer
from classifier.errors import InputFileError, OptionError, OutputFileError
from classifier.model_folder import read_model_folder
from tests.toy_training import CONVERGENT, DEPARTURES, write_encoder
from training import precision_agreement
from training.config import TrainingConfig
from training.export import export_model
from training.export_command import export
from training.model import StepClassifier, load_encoder, special_layout
from training.onnx_graphs import load_float32
from training.outliers import split_outliers
from training.precision import AgreementError, calibration_inputs, export_precision
from training.precision_agreement import Agreement, measure_agreement
from training.quantise import channel_ranges

_SENTENCES = [
    template.format(n=number)
    for number in (3, 41)
    for template in (*CONVERGENT, *(text for texts in DEPARTURES.values() for text in texts))
]
# Each text repeats one sentence, so that rates lie far apart even where the weights are random.
TEXTS = [" ".join([sentence] * (4 + index % 3)) for index, sentence in enumerate(_SENTENCES)]
WIDE_CHANNEL = 5
SHIPPED_LIMITS = (precision_agreement.RANK_CORRELATION_LIMIT, precision_agreement.RATE_DIFFERENCE_LIMIT)


@pytest.fixture(scope="module", autouse=True)
def wider_limits() -> Iterator[None]:
    """Random weights with texts of a few words agree less than a trained model on real traces."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(precision_agreement, "RANK_CORRELATION_LIMIT", 0.98)
        monkeypatch.setattr(precision_agreement, "RATE_DIFFERENCE_LIMIT", 0.03)
        yield


def write_texts(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"trace": text}) + "\n" for text in texts), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder with random weights, a head that tells steps apart and one very wide channel."""
    torch.manual_seed(3)
    config = TrainingConfig(
        encoder=str(write_encoder(tmp_path_factory.mktemp("encoder"))),
        vocabulary_size=0,
        window_lengths=(32, 64),
        context_tokens=12,
        max_steps=10,
        max_step_tokens=24,
    )
    encoder, tokenizer = load_encoder(config, None)
    layout = special_layout(config, tokenizer)
    classifier = StepClassifier(encoder, layout.pad_id, 0.0).eval()
    with torch.no_grad():
        classifier.kind_head.weight.mul_(4.0)
        for layer in encoder.encoder.layer:  # type: ignore[union-attr]
            layer.attention.output.LayerNorm.weight[WIDE_CHANNEL] = 3.0
            layer.intermediate.dense.weight[:, WIDE_CHANNEL].div_(3.0)
    folder = tmp_path_factory.mktemp("model") / "fp32"
    export_model(classifier, tokenizer, layout, folder, {"name": "toy"}, threshold=0.4)
    return folder


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("traces") / "toy.jsonl", TEXTS)


@pytest.fixture(scope="module")
def int8(model: Path, traces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("int8") / "made"
    export_precision(model, "int8", output, [traces])
    return output


def test_int8_stands_beside_fp32(model: Path, int8: Path) -> None:
    assert (int8 / "model.onnx").read_bytes() == (model / "model.onnx").read_bytes()
    scorer = BranchScorer(int8, precision="int8")
    assert scorer.model.precision == "int8"
    assert scorer.threshold == 0.4
    figures = scorer.card["precisions"]["int8"]
    assert figures["traces"] == len(TEXTS)
    assert figures["traces_from"] == ["toy.jsonl"]
    assert figures["rank_correlation"] >= 0.98
    assert 0 < figures["largest_rate_difference"] <= 0.03
    assert scorer.card["name"] == "toy"


def test_int8_scales_are_fixed_beforehand(int8: Path) -> None:
    operators = {node.op_type for node in onnx.load(str(int8 / "model-int8.onnx")).graph.node}
    assert "DequantizeLinear" in operators
    assert "DynamicQuantizeLinear" not in operators


def test_int8_scores_do_not_depend_on_the_batch(int8: Path) -> None:
    expected = [BranchScorer(int8, precision="int8").score(text).probabilities for text in TEXTS[:12]]
    for batch_size in (1, 2, 5):
        scores = BranchScorer(int8, precision="int8", batch_size=batch_size).score_batch(TEXTS[:12])
        assert all(np.array_equal(one.probabilities, two) for one, two in zip(scores, expected, strict=True))


def test_precisions_add_up(int8: Path, traces: Path, tmp_path: Path) -> None:
    made = export_precision(int8, "fp16", tmp_path / "both", [traces])
    assert made.agreement.largest_rate_difference <= 0.001
    assert set(made.megabytes) == {"fp32", "fp16"}
    both = tmp_path / "both"
    assert set(BranchScorer(both, precision="fp16").card["precisions"]) == {"int8", "fp16"}
    rates = [BranchScorer(both, precision=name).score(TEXTS[0]).branch_rate for name in ("int8", "fp16")]
    assert rates[0] != rates[1]
    assert rates[0] == BranchScorer(int8, precision="int8").score(TEXTS[0]).branch_rate


def test_disagreement_leaves_nothing(
    model: Path, traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_agreement, "RATE_DIFFERENCE_LIMIT", 0.0)
    with pytest.raises(
        AgreementError, match=r"largest difference of a branch rate is 0\.0\d+, more than 0\.0"
    ):
        export_precision(model, "int8", tmp_path / "made", [traces])
    assert list(tmp_path.iterdir()) == []


def test_command(model: Path, traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    app.command()(export)
    arguments = ["--model", str(model), "--precision", "fp16", "--traces", str(traces), "-o"]
    shown = CliRunner().invoke(app, [*arguments, str(tmp_path / "one")])
    assert shown.exit_code == 0
    assert "rank correlation of branch rates " in shown.stdout
    printed = CliRunner().invoke(app, [*arguments, str(tmp_path / "two"), "--json"])
    assert json.loads(printed.stdout)["agreement"]["traces"] == len(TEXTS)
    monkeypatch.setattr(precision_agreement, "RANK_CORRELATION_LIMIT", 1.1)
    missed = CliRunner().invoke(app, [*arguments, str(tmp_path / "three")])
    assert missed.exit_code == 1
    assert "less than 1.1" in missed.stderr
    assert not (tmp_path / "three").exists()


def test_wrong_calls(model: Path, traces: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="give fp16 or int8"):
        export_precision(model, "fp32", tmp_path / "made", [traces])
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputFileError, match="exists already"):
        export_precision(model, "int8", tmp_path / "there", [traces])
    with pytest.raises(InputFileError):
        export_precision(model, "int8", tmp_path / "made", [tmp_path / "absent.jsonl"])
    few = write_texts(tmp_path / "few.jsonl", TEXTS[:9])
    with pytest.raises(OptionError, match="only 9 of 9 traces"):
        export_precision(model, "fp16", tmp_path / "made", [few])
    assert not (tmp_path / "made").exists()


def test_splitting_outliers_keeps_the_function(model: Path) -> None:
    calibration = calibration_inputs(model, TEXTS)
    path = read_model_folder(model).model_file
    graph = load_float32(path)
    ranges = channel_ranges(graph, calibration)
    wide = [name for name, widths in ranges.items() if widths.argmax() == WIDE_CHANNEL]
    names = split_outliers(graph, ranges)
    assert len(names) == 12
    gathered = {node.input[0] for node in graph.graph.node if node.name.endswith(".gather")}
    assert gathered & set(wide)
    sessions = [onnxruntime.InferenceSession(one) for one in (str(path), graph.SerializeToString())]
    for inputs in calibration:
        expected, actual = (session.run(None, inputs)[0] for session in sessions)
        assert np.abs(actual - expected).max() < 1e-5


def test_calibration_needs_a_scorable_trace(model: Path) -> None:
    with pytest.raises(OptionError, match="none of the traces"):
        calibration_inputs(model, ["  "])


def test_shortfalls() -> None:
    good = Agreement(10, 50, 0.9995, 0.004, 0.001, 0.05, 0.002, equal_over_batch_sizes=True)
    assert good.shortfalls == []
    assert SHIPPED_LIMITS == (0.999, 0.01)
    bad = dataclasses.replace(
        good, rank_correlation=float("nan"), largest_rate_difference=0.04, equal_over_batch_sizes=False
    )
    assert len(bad.shortfalls) == 3


def test_agreement_with_itself_is_perfect(model: Path) -> None:
    agreement = measure_agreement(model, "fp32", [*TEXTS, " "])
    assert agreement.traces == len(TEXTS)
    assert agreement.rank_correlation == pytest.approx(1.0)
    assert agreement.largest_step_difference == 0.0
    same = measure_agreement(model, "fp32", TEXTS[:1] * 10)
    assert same.rank_correlation == 1.0
