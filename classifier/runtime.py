"""What must be settled before ONNX Runtime is imported: that one kind is installed, and no telemetry."""

import os
from importlib import metadata

from classifier.errors import DependencyError

_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")


def require_one_onnxruntime() -> None:
    """Check that exactly one kind of ONNX Runtime is installed.

    Both kinds unpack into the same folder and overwrite each other, so with both installed it is chance
    which one is imported.

    Raises
    ------
    DependencyError
        If none or both are installed; the message holds the command that mends it.
    """
    installed = [name for name in _DISTRIBUTIONS if _is_installed(name)]
    if not installed:
        raise DependencyError(
            "branching-classifier needs ONNX Runtime, and none is installed. Install one kind: "
            "pip install 'branching-classifier[cpu]', or on a machine with an NVIDIA GPU "
            "pip install 'branching-classifier[gpu]'"
        )
    if len(installed) > 1:
        raise DependencyError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files. Keep one: "
            "pip uninstall -y onnxruntime onnxruntime-gpu && pip install 'branching-classifier[cpu]' "
            "(or [gpu])"
        )


def turn_off_telemetry() -> None:
    """Keep ONNX Runtime from sending usage data, which it does from version 1.29 on unless it is told not to.

    It reads the environment variable when it is first imported; whoever sets another value is heeded.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False
    return True
