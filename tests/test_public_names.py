"""The exported names, and what importing them costs."""

import subprocess
import sys

import pytest

import classifier


def test_exported_names() -> None:
    assert classifier.__all__ == ["BranchFilter", "BranchScorer", "StepScore", "TraceScore", "__version__"]
    assert dir(classifier) == classifier.__all__
    for name in classifier.__all__:
        assert getattr(classifier, name) is not None


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = classifier.Nothing


def test_import_is_light() -> None:
    code = (
        "import sys, classifier, classifier.cli\n"
        "heavy = {'torch', 'bentoml', 'training', 'serving', 'numpy', 'pyarrow', 'onnxruntime'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_scoring_imports_no_torch() -> None:
    code = (
        "import sys\nfrom classifier import BranchScorer\nBranchScorer().score('One step.')\n"
        "heavy = {'torch', 'transformers', 'bentoml', 'training', 'serving'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
