"""The ONNX encoder: devices by name, errors that say what to do."""

from pathlib import Path

import numpy as np
import pytest

from classifier.encoder import OnnxEncoder
from classifier.errors import ModelError, OptionError, ProviderError
from classifier.model_folder import read_model_folder
from classifier.windows import Window
from tests.cli_runner import python


def open_encoder(**options: object) -> OnnxEncoder:
    folder = read_model_folder()
    return OnnxEncoder(folder.model_file, folder.layout.max_steps, **options)  # type: ignore[arg-type]


def test_provider_by_short_name() -> None:
    assert open_encoder(providers=["cpu"]).providers == ("CPUExecutionProvider",)


def test_absent_provider_is_an_error() -> None:
    with pytest.raises(ProviderError, match="TensorrtExecutionProvider was asked for"):
        open_encoder(providers=["tensorrt"])
    with pytest.raises(ProviderError, match="NoSuchProvider was asked for"):
        open_encoder(providers=["NoSuchProvider"])


def test_provider_that_falls_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class FallenBack:
        def __init__(self, *_arguments: object, **_options: object) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr("onnxruntime.InferenceSession", FallenBack)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    with pytest.raises(ProviderError, match="fell back to CPUExecutionProvider"):
        open_encoder(providers=["cuda"])


def test_tensorrt_leaves_to_cuda_what_it_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    class Started:
        def __init__(self, *_arguments: object, providers: list[str]) -> None:
            asked.append(providers)

        def get_providers(self) -> list[str]:
            return [*asked[-1], "CPUExecutionProvider"]

    gpu = ["TensorrtExecutionProvider", "CUDAExecutionProvider"]
    monkeypatch.setattr("onnxruntime.InferenceSession", Started)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [*gpu, "CPUExecutionProvider"])
    encoder = open_encoder(providers=["tensorrt"])
    assert encoder.providers == (*gpu, "CPUExecutionProvider")
    assert (encoder.threads, encoder.batch_size) == (1, 256)
    assert open_encoder(providers=["cuda"]).providers == (gpu[1], "CPUExecutionProvider")


def test_a_forked_process_scores_with_its_parents_scorer() -> None:
    # A child that waits for ever is ended by the alarm, and its parent says so.
    run = python(
        """
        import os, signal
        from classifier import BranchScorer

        scorer = BranchScorer(providers=["cpu"], threads=2)
        expected = scorer.score("The sum is 9. Wait, no. It is 13.").branch_rate
        child = os.fork()
        if not child:
            signal.alarm(60)
            assert scorer.score("The sum is 9. Wait, no. It is 13.").branch_rate == expected
        else:
            assert os.waitpid(child, 0)[1] == 0, "the child failed or hung"
            assert scorer.score("The sum is 9. Wait, no. It is 13.").branch_rate == expected
        """
    )
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors


def test_a_forked_process_cannot_use_its_parents_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    class Started:
        def __init__(self, *_arguments: object, **_options: object) -> None: ...

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider"]

    monkeypatch.setattr("onnxruntime.InferenceSession", Started)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    encoder = open_encoder(providers=["cuda"])
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(ProviderError, match="by multiprocessing's method 'spawn'"):
        encoder.submit([])


@pytest.mark.parametrize("options", [{"threads": 0}, {"batch_size": 0}])
def test_wrong_numbers_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(OptionError, match="must be at least 1"):
        open_encoder(**options)


def test_file_that_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(ModelError, match="cannot load"):
        OnnxEncoder(path, 4)


def test_probabilities_have_one_row_a_step() -> None:
    folder = read_model_folder()
    encoder = open_encoder(threads=2)
    length = folder.layout.lengths[0]
    windows = []
    for count in (1, 3):
        tokens = np.full(length, folder.layout.pad_id, dtype=np.int64)
        tokens[:10] = [folder.layout.start_id, *range(50, 59)]
        starts = np.arange(1, 1 + 3 * count, 3)
        windows.append(Window(tokens, starts, starts + 3, first_step=0))
    first, second = encoder.submit(windows).result()
    assert first.shape == (1, 4)
    assert second.shape == (3, 4)
    assert first.dtype == np.float32
    np.testing.assert_allclose(second.sum(axis=1), 1, atol=1e-5)
