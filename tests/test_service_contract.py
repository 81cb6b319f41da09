"""The OpenAPI document and what the service does: schemathesis looks for differences."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from serving.app import create_app
from serving.endpoints import Endpoints
from serving.schemas import ErrorBody
from serving.settings import Settings
from tests.service_process import running_service

EXAMPLES = 40
SECONDS = 240


def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    with running_service(tmp_path / "service", encoder="debug") as service:
        run = subprocess.run(
            [
                *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run"),
                f"{service.url}/openapi.json",
                *("--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"),
            ],
            cwd=tmp_path,
            env=os.environ
            | {
                "SCHEMATHESIS_HOOKS": "tests.schemathesis_hooks",
                "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
            },
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        assert "Tested: 7" in run.stdout
        assert "Traceback" not in service.text()

        document = httpx.get(f"{service.url}/openapi.json", timeout=20).json()
        for path in ("/v1/score", "/v1/filter"):
            operation = document["paths"][path]["post"]
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            definition = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert definition["properties"]["traces"]["items"] == {}
            for example in definition["examples"]:
                answer = httpx.post(f"{service.url}{path}", json=example, timeout=60)
                assert answer.status_code == 200
            assert operation["responses"]["503"]["headers"].keys() == {"Retry-After"}
        assert document["components"]["schemas"]["ErrorBody"]["required"] == ["error", "error_type"]
        assert ErrorBody.model_fields.keys() == {"error", "error_type", "detail"}


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_paths_are_documented(path: str) -> None:
    assert path in create_app(Endpoints(Settings())).openapi()["paths"]
