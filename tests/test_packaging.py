"""What the distribution declares, and what its wheel holds."""

import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.specifiers import SpecifierSet

import classifier

ROOT = Path(__file__).parent.parent
EXTRAS = {
    "cpu",
    "gpu",
    "client",
    "report",
    "remote",
    "train",
    "sft",
    "study",
    "serve",
    "ray",
    "datatrove",
    "docs",
    "test",
}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        declared: dict[str, Any] = tomllib.load(file)["project"]
    return declared


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_metadata() -> None:
    declared = metadata.metadata("branching-classifier")
    assert declared["Version"] == classifier.__version__
    assert declared["Requires-Python"] == ">=3.11"
    assert declared["License-Expression"] == "Apache-2.0"
    assert set(declared.get_all("Provides-Extra") or []) == EXTRAS


def test_core_dependencies_are_light(project: dict[str, Any]) -> None:
    names = {requirement.split(">=")[0] for requirement in project["dependencies"]}
    assert names == {"numpy", "tokenizers", "pyarrow", "typer", "rich", "zstandard", "filelock"}


def test_entry_points_can_be_loaded(project: dict[str, Any]) -> None:
    declared = {**project["scripts"], **project["entry-points"]["branching.commands"]}
    for name, target in declared.items():
        module, function = target.split(":")
        assert callable(getattr(import_module(module), function)), name


def test_only_ranges_are_required_and_pins_are_elsewhere(project: dict[str, Any]) -> None:
    extras = [requirement for extra in project["optional-dependencies"].values() for requirement in extra]
    assert not [requirement for requirement in project["dependencies"] + extras if "==" in requirement]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    assert pins["torch"] == "2.13.0", "this very version has a build without CUDA"


def test_pins_install_on_the_oldest_python(project: dict[str, Any]) -> None:
    """What `make constraints` writes down on a newer Python must not need one: lower such a pin by hand."""
    oldest = project["requires-python"].removeprefix(">=") + ".0"
    too_new = [
        f"{one.metadata['Name']} {one.version} needs Python {one.metadata['Requires-Python']}"
        for one in metadata.distributions()
        if "Requires-Python" in one.metadata and oldest not in SpecifierSet(one.metadata["Requires-Python"])
    ]
    assert not too_new


@pytest.mark.slow
def test_wheel_content(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    for package in ("classifier", "training", "serving"):
        assert f"{package}/py.typed" in sizes
    files = ("model.onnx", "tokenizer.json", "card.json")
    model = [f"classifier/{folder}/{name}" for folder in ("default", "fast") for name in files]
    assert sum(sizes[name] for name in model) <= 45_000_000
    page = {path.name for path in (ROOT / "serving" / "page").iterdir()}
    assert "index.html" in page
    assert {f"serving/page/{name}" for name in page} <= sizes.keys()
    licences = [name for name in sizes if ".dist-info/licenses/" in name]
    assert sorted(Path(name).name for name in licences) == ["LICENSE", "NOTICE"]
    roots = {name.split("/")[0] for name in sizes}
    assert {root for root in roots if not root.endswith(".dist-info")} == {
        "classifier",
        "training",
        "serving",
    }


def test_citation_and_changelog_name_this_version(project: dict[str, Any]) -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == classifier.__version__
    assert (citation["title"], citation["license"]) == (project["name"], project["license"])
    assert {"cff-version", "message", "authors"} <= set(citation)
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {classifier.__version__}" in changes
