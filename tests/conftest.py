"""What every test shares: an environment without network, telemetry or colours, and the labelled data."""

import os
from pathlib import Path

import pytest

# Set here and not in a fixture: libraries read these when they are imported, and test modules import them.
os.environ.update(
    HF_HUB_OFFLINE="1",
    BENTOML_DO_NOT_TRACK="True",
    ORT_DISABLE_TELEMETRY="1",
    NO_COLOR="1",
    COLUMNS="120",
)
os.environ.pop("FORCE_COLOR", None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of traces and labelled steps that lies beside the repository, or skip the test."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the traces and labelled steps (../shared/data) are not beside the repository")
    return folder


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests on the event loop that the service runs on."""
    return "asyncio"
