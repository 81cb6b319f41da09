"""Finds branching in chain-of-thought traces: score traces, keep the ones that converge."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from classifier.runtime import require_one_onnxruntime, turn_off_telemetry
from classifier.version import __version__

if TYPE_CHECKING:
    from classifier.scorer import BranchScorer, StepScore, TraceScore
    from classifier.selection import BranchFilter

require_one_onnxruntime()
turn_off_telemetry()

_HOMES = {
    "BranchFilter": "classifier.selection",
    "BranchScorer": "classifier.scorer",
    "StepScore": "classifier.scorer",
    "TraceScore": "classifier.scorer",
}

__all__ = ["BranchFilter", "BranchScorer", "StepScore", "TraceScore", "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import classifier` stays quick."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'classifier' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
