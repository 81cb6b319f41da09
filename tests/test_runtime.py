"""Exactly one kind of ONNX Runtime must be installed."""

from importlib import metadata

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
