"""The Bento: it builds, its Dockerfile says what it should, and what was built serves."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from packaging.requirements import Requirement

from classifier import BranchScorer, __version__
from classifier.errors import OptionError
from serving.pins import pinned_requirements
from tests.example_traces import BRANCHING
from tests.service_process import running_service

ROOT = Path(__file__).resolve().parents[1]
PYTHON_OF_THE_IMAGE = (3, 11)
IN_THE_WHEEL = "the model in the wheel"
FILES = {"cpu": "bentofile.yaml", "gpu": "bentofile.gpu.yaml"}


def bentofile(device: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / FILES[device]).read_text())
    return found


@pytest.mark.parametrize("device", FILES)
def test_bentofile_names_this_version(device: str) -> None:
    (wheel,) = bentofile(device)["python"]["wheels"]
    assert wheel == f"dist/branching_classifier-{__version__}-py3-none-any.whl"
    environment = bentofile(device)["docker"]["env"]
    assert (environment["BENTOML_DO_NOT_TRACK"], environment["ORT_DISABLE_TELEMETRY"]) == ("True", "1")
    assert environment["BRANCHING_HOST"] == "0.0.0.0"  # noqa: S104 - a container has its own interfaces


@pytest.mark.parametrize("device", FILES)
def test_requirements_are_pinned_and_complete(device: str) -> None:
    path = ROOT / bentofile(device)["python"]["requirements_txt"]
    found = {Requirement(line).name: Requirement(line) for line in path.read_text().split()}
    assert all(str(one.specifier).startswith("==") for one in found.values())
    if sys.version_info[:2] != PYTHON_OF_THE_IMAGE:
        pytest.skip("other versions of Python need other packages than the image's")
    needed = {Requirement(line).name for line in pinned_requirements(device)}
    assert found.keys() == needed
    for text in metadata.requires("branching-classifier") or ():
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": "serve"}):
            (pin,) = found[wanted.name].specifier
            assert wanted.specifier.contains(pin.version)
    assert ("onnxruntime" in found, "onnxruntime-gpu" in found) == (device == "cpu", device == "gpu")


def test_unknown_device() -> None:
    with pytest.raises(OptionError, match="cpu or gpu"):
        pinned_requirements("tpu")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what a build needs, so that nothing is built in the repository."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("classifier", "serving", "training"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", *FILES.values()):
        shutil.copy(ROOT / name, folder)
    # So that it can be told from the repository's own code.
    card = folder / "classifier" / "default" / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "name": IN_THE_WHEEL}))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("device", FILES)
def test_bento_builds_and_serves(sources: Path, tmp_path: Path, device: str) -> None:
    environment = os.environ | {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "-f", FILES[device]],
        cwd=sources,
        env=environment,
        check=True,
        capture_output=True,
    )
    (bento,) = (one.parent for one in tmp_path.glob("bentos/branching-classifier/*/bento.yaml"))
    dockerfile = (bento / "env" / "docker" / "Dockerfile").read_text()
    assert f"FROM {bentofile(device)['docker']['base_image']} " in dockerfile
    for name, value in bentofile(device)["docker"]["env"].items():
        assert f"ARG {name}={value}\n" in dockerfile
    assert "USER bentoml" in dockerfile
    wheel = bento / "env" / "python" / "wheels" / f"branching_classifier-{__version__}-py3-none-any.whl"
    assert wheel.is_file()
    pinned = (ROOT / bentofile(device)["python"]["requirements_txt"]).read_text().split()
    assert set(pinned) <= set((bento / "env" / "python" / "requirements.txt").read_text().split())
    if device == "gpu":
        return
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    with running_service(tmp_path / "run", serve=str(bento), code=tmp_path / "installed") as service:
        answer = httpx.post(f"{service.url}/v1/score", json={"traces": [BRANCHING]}, timeout=60).json()
        assert answer["model"]["name"] == IN_THE_WHEEL
        assert answer["results"][0]["branch_rate"] == BranchScorer().score(BRANCHING).branch_rate
        assert service.terminate() == 0
