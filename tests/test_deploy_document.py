"""docs/deploy.md: its tables are the service's settings, statuses and paths, and its manifest fits them."""

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from serving import errors
from serving.app import create_app
from serving.command import serve
from serving.endpoints import Endpoints
from serving.limits import Limits
from serving.settings import Settings, variable

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
CHOSEN_ELSEWHERE = {"model", "threads", "batch_size", "api_keys", "api_keys_file", "cors_origins"}
"""Settings whose default is said in words."""


def rows(header: str) -> list[list[str]]:
    """Return the cells of the table with a header."""
    (table,) = re.findall(rf"^\| {header} \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]


def manifests() -> list[dict[str, Any]]:
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    return list(yaml.safe_load_all(block))


def test_every_setting_is_listed() -> None:
    defaults = {one.name: one.default for one in (*fields(Settings), *fields(Limits)) if one.name != "limits"}
    flags = inspect.signature(serve).parameters
    listed = {cells[0].strip("`"): cells for cells in rows("variable")}
    assert listed.keys() == {variable(name) for name in defaults}
    for name, default in defaults.items():
        _, flag, shown, meaning = listed[variable(name)]
        assert flag == (f"`--{name.replace('_', '-')}`" if name in flags else "(none)")
        assert meaning
        if name not in CHOSEN_ELSEWHERE:
            assert shown == f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_every_status_is_listed() -> None:
    # 499 goes to no one, and 500 says that there is a fault.
    statuses = {
        one.status for one in vars(errors).values() if inspect.isclass(one) and hasattr(one, "status")
    }
    assert {int(cells[0]) for cells in rows("status")} == statuses - {499, 500}


def test_every_path_is_listed() -> None:
    listed = " ".join(cells[0] for cells in rows("endpoint"))
    for path in create_app(Endpoints(Settings())).openapi()["paths"]:
        assert path in listed


def test_manifest_fits_the_service() -> None:
    deployment, service = manifests()
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    known = {variable(one.name) for one in (*fields(Settings), *fields(Limits))} | {"BENTOML_HOME"}
    assert {one["name"] for one in container["env"]} <= known
    paths = create_app(Endpoints(Settings())).openapi()["paths"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in paths
    assert container["ports"] == [{"name": "http", "containerPort": Settings().port}]
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    sleep = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > sleep + Limits().drain_timeout
    assert {"cpu", "memory"} <= container["resources"]["limits"].keys()
