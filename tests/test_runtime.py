"""Exactly one kind of ONNX Runtime must be installed, and it sends no usage data."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from classifier.errors import DependencyError
from classifier.runtime import require_one_onnxruntime


def pretend_installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def distribution(name: str) -> object:
        if name not in names:
            raise metadata.PackageNotFoundError(name)
        return object()

    monkeypatch.setattr(metadata, "distribution", distribution)


def test_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch)
    with pytest.raises(DependencyError, match=r"pip install 'branching-classifier\[cpu\]'"):
        require_one_onnxruntime()


def test_both(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_installed(monkeypatch, "onnxruntime", "onnxruntime-gpu")
    with pytest.raises(ImportError, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
        require_one_onnxruntime()


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu"])
def test_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend_installed(monkeypatch, name)
    require_one_onnxruntime()


@pytest.mark.parametrize(
    "code",
    [
        "from classifier import BranchScorer; BranchScorer().score('Add both. So x = 4.')",
        "import training.export",
        "import serving.window_encoder as encoder; encoder.check_encoder(encoder.Settings(device='cpu'))",
    ],
)
def test_no_telemetry(code: str, tmp_path: Path) -> None:
    # ONNX Runtime sends nothing where it takes itself to be under test, which these variables tell it.
    hidden = ("CI", "ORT_DISABLE_TELEMETRY", "GITHUB_ACTIONS", "XDG_CACHE_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    subprocess.run(
        [sys.executable, "-c", f"{code}; import onnxruntime"],
        env=environment | {"HOME": str(tmp_path)},
        check=True,
    )
    # With telemetry on it keeps an identifier and a database there.
    assert not [path for path in tmp_path.rglob("*") if "microsoft" in str(path).lower()]
