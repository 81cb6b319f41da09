"""The BentoML services: one that answers requests, and one that runs the model.

Serve them with `branching serve`, or with `bentoml serve serving.service:BranchScoring`.
"""

import asyncio
import logging
import os
from typing import Any, Final

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
# BentoML starts dead workers anew, but not where this is set, which it does in the images that it makes.
os.environ.pop("BENTOML_CONTAINERIZED", None)

import bentoml
from bentoml._internal.server.http import traffic

from serving.app import create_app
from serving.endpoints import Endpoints
from serving.engine import Engine
from serving.links import EncoderLink, HttpLink, LocalLink
from serving.pickles import RefusePickle
from serving.settings import Settings
from serving.shutdown import before_stopping, wait_for_siblings
from serving.window_encoder import WindowEncoder, check_encoder

API_NAME: Final = "branch_scoring"
ENCODER_NAME: Final = "window_encoder"
_BATCHER_MILLISECONDS: Final = 600_000
"""BentoML's batcher gives up what it expects to wait longer; waiting is limited in the gateway."""
_DEAD_SECONDS: Final = 120.0
"""With no encoder for so long the process counts as dead, so that whoever watches it starts it anew."""

_LAST_ANSWERS_SECONDS: Final = 1.0
"""For so long at least requests are told that the service is shutting down: they were sent before it was."""

logger = logging.getLogger(__name__)


def _without_timeout(app: Any, timeout: float) -> Any:
    return app


# BentoML's own never cancels its timer, which keeps some kilobytes of each request until the time-out. The
# gateway limits time, so none is needed; BentoML (1.4.39) has no setting for that.
traffic.TimeoutMiddleware = _without_timeout  # type: ignore[assignment, misc]

settings = Settings.from_environment()
endpoints = Endpoints(settings)
app = create_app(endpoints)


@bentoml.service(
    name=ENCODER_NAME,
    workers=settings.encoder_workers,
    resources={} if settings.resolved_device == "cpu" else {"gpu": settings.gpus},
    traffic={"timeout": settings.longest_request},
    runner_probe={"enabled": False},
    logging={"access": {"enabled": False}},
)
class Encoder:
    """Runs windows of fixed lengths through the model, in batches gathered over calls."""

    def __init__(self) -> None:
        _use_own_gpu()
        self._encoder = WindowEncoder.open(settings)

    @bentoml.on_deployment
    def check_model() -> None:
        """Check the model and the device before any process is started."""
        check_encoder(settings)

    @bentoml.on_startup
    async def outlive_callers(self) -> None:
        """On SIGTERM, run on until the API processes have answered their requests."""
        before_stopping(lambda: wait_for_siblings(API_NAME, settings.limits.drain_timeout + 5))

    @bentoml.api(batchable=True, max_batch_size=settings.windows_a_call, max_latency_ms=_BATCHER_MILLISECONDS)
    async def encode(self, windows: list[str]) -> list[str]:
        """Run windows; see `serving.window_encoder.WindowEncoder.encode`."""
        return await self._encoder.encode(windows)

    @bentoml.api
    async def describe(self) -> dict[str, Any]:
        """Return what the encoder runs on."""
        return self._encoder.describe()


_encoder_service: Any = Encoder  # what BentoML's decorator makes of the class
_encoder_service.add_asgi_middleware(RefusePickle)


@bentoml.service(
    name=API_NAME,
    workers=settings.api_workers,
    traffic={"timeout": settings.longest_request},
    runner_probe={"enabled": False},
    http={"host": settings.host, "port": settings.port},
)
@bentoml.asgi_app(app)
class BranchScoring:
    """Scores chain-of-thought traces by how much they branch."""

    encoder = bentoml.depends(Encoder)

    @bentoml.on_startup
    async def start(self) -> None:
        """Load the tokenizer, and reach the encoder."""
        endpoints.start(Engine(settings, _link()))
        before_stopping(self._drain)

    @bentoml.on_shutdown
    async def stop(self) -> None:
        """Let go of the encoder."""
        if endpoints.engine is not None:
            await endpoints.engine.close()

    async def __is_ready__(self) -> bool:
        """Tell whether requests would be answered now."""
        return endpoints.ready

    async def __is_alive__(self) -> bool:
        """Tell whether the process should be left alone."""
        return endpoints.engine is None or endpoints.engine.gateway.down_seconds < _DEAD_SECONDS

    async def _drain(self) -> None:
        _, admission = endpoints.running()
        logger.info("Shutting down: %d requests are in flight", admission.in_flight)
        ends = asyncio.gather(
            admission.drain(settings.limits.drain_timeout), asyncio.sleep(_LAST_ANSWERS_SECONDS)
        )
        if not (await ends)[0]:
            logger.warning("%d requests were not answered in time", admission.in_flight)


def _link() -> EncoderLink:
    url = _encoder_service.url
    if url is None:  # `bentoml serve --development` runs everything in one process
        return LocalLink(WindowEncoder.open(settings))
    return HttpLink(url, timeout=settings.limits.request_timeout)


def _use_own_gpu() -> None:
    """Of the GPUs that BentoML gave to all processes of the encoder, leave this one its own."""
    visible = [gpu for gpu in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu]
    index = bentoml.server_context.worker_index
    if settings.encoder_workers > 1 and visible and index is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible[(index - 1) % len(visible)]
