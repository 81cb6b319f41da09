"""Between the services: windows as texts, batches of windows, and a window that cannot be run."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from classifier.debug_encoder import DebugEncoder
from classifier.errors import ModelError, ProviderError
from classifier.windows import Window
from serving.links import HttpLink, LinkError
from serving.pickles import RefusePickle
from serving.settings import Settings
from serving.window_encoder import FAILED, WindowEncoder, check_encoder
from serving.window_text import (
    probabilities_from_text,
    probabilities_to_text,
    window_from_text,
    window_to_text,
)

FloatArray = npt.NDArray[np.float32]


def window(length: int, steps: int, seed: int = 0) -> Window:
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.choice(np.arange(1, length + 1), steps, replace=False))
    starts = np.concatenate([[0], ends[:-1]])
    return Window(rng.integers(0, 2**31 - 1, length), starts, ends, first_step=seed)


def test_windows_survive_as_text() -> None:
    for seed, (length, steps) in enumerate([(1, 1), (64, 3), (256, 48)]):
        given = window(length, steps, seed)
        found = window_from_text(window_to_text(given))
        for name in ("tokens", "starts", "ends"):
            assert getattr(found, name).dtype == np.int64
            assert getattr(found, name).tolist() == getattr(given, name).tolist()


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", window_to_text(window(8, 2))[:-8]])
def test_text_that_is_no_window(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - whichever reading fails
        window_from_text(text)


def test_probabilities_survive_to_the_bit() -> None:
    given = np.random.default_rng(1).random((5, 4), dtype=np.float32)
    found = probabilities_from_text(probabilities_to_text(given))
    assert found.dtype == np.float32
    assert found.tobytes() == given.tobytes()


class PickyEncoder(DebugEncoder):
    """Notes its calls, and cannot run windows whose first token is 13."""

    def __init__(self) -> None:
        super().__init__(batch_size=4)
        self.calls: list[tuple[int, int]] = []

    def submit(self, windows: Sequence[Window]) -> "Future[list[FloatArray]]":
        self.calls.append((len(windows[0].tokens), len(windows)))
        if any(one.tokens[0] == 13 for one in windows):
            future: Future[list[FloatArray]] = Future()
            future.set_exception(RuntimeError("unlucky"))
            return future
        return super().submit(windows)


def test_batches_are_grouped_by_length_and_spread_over_threads() -> None:
    encoder = PickyEncoder()
    lengths = [256, 64, 256, 256, 128, 256, 256, 256, 256, 256, 256]
    windows = [window(length, 2, seed) for seed, length in enumerate(lengths)]
    texts = [window_to_text(one) for one in windows]
    results = asyncio.run(WindowEncoder(encoder, threads=2).encode(texts))
    assert encoder.calls == [(256, 4), (256, 4), (256, 1), (128, 1), (64, 1)]
    encoder.calls.clear()
    asyncio.run(WindowEncoder(encoder, threads=2).encode(texts[:4]))
    assert encoder.calls == [(256, 2), (256, 1), (64, 1)]
    for one, result in zip(windows, results, strict=True):
        (expected,) = DebugEncoder().submit([one]).result()
        assert probabilities_from_text(result).tobytes() == expected.tobytes()


def test_window_that_cannot_be_run_leaves_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    unlucky = window(64, 2)
    unlucky.tokens[0] = 13
    texts = [window_to_text(window(256, 2)), "nonsense", window_to_text(unlucky)]
    results = asyncio.run(WindowEncoder(PickyEncoder(), threads=1).encode(texts))
    assert [result == FAILED for result in results] == [False, True, True]
    assert "unlucky" in caplog.text


def test_model_and_device_are_checked(tmp_path: Path) -> None:
    check_encoder(Settings(device="cpu"))
    with pytest.raises(ModelError, match="not a model folder"):
        check_encoder(Settings(model=str(tmp_path)))
    with pytest.raises(ProviderError, match="cuda was asked for"):
        check_encoder(Settings(device="cuda"))
    with pytest.raises(ProviderError, match="CUDAExecutionProvider was asked for"):
        WindowEncoder.open(Settings(device="cuda"))


def test_real_encoder_describes_itself() -> None:
    encoder = WindowEncoder.open(Settings(device="cpu", threads=1, batch_size=3))
    assert encoder.describe() == {"providers": ["CPUExecutionProvider"], "threads": 1, "batch_size": 3}


@pytest.mark.parametrize(
    "answer", [Response("no", 503), Response("[]"), Response("nonsense"), Response('{"a": 1}')]
)
def test_link_refuses_answers_that_do_not_fit(answer: Response, tmp_path: Path) -> None:
    async def ask() -> None:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = bytes(answer.body)
            head = f"HTTP/1.1 {answer.status_code} X\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
            writer.close()

        socket = tmp_path / "s"
        server = await asyncio.start_unix_server(handle, socket)
        async with server, HttpLink(f"file://{socket}", timeout=5) as link:
            with pytest.raises(LinkError):
                await link.encode(["one"])

    asyncio.run(ask())


def test_link_to_nowhere(tmp_path: Path) -> None:
    async def ask() -> None:
        async with HttpLink(f"file://{tmp_path}/none", timeout=5) as link:
            with pytest.raises(LinkError, match="does not answer"):
                await link.describe()

    asyncio.run(ask())


def test_pickles_are_refused() -> None:
    async def answer(_: Request) -> Response:
        return Response("fine")

    app = RefusePickle(Starlette(routes=[Route("/", answer, methods=["POST"])]))

    async def ask(content_type: str) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://encoder") as client:
            return (await client.post("/", headers={"content-type": content_type})).status_code

    assert asyncio.run(ask("application/vnd.bentoml+pickle")) == 415
    assert asyncio.run(ask("application/json")) == 200
