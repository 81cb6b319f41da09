"""How the API service reaches the encoder: another process by HTTP, or one in its own."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlparse

import aiohttp

from serving.window_encoder import WindowEncoder

KEEP_ALIVE_SECONDS = 3.0
"""Idle connections are closed before the server's 5 seconds, so that no call meets one that is closing."""


class LinkError(Exception):
    """The encoder cannot be reached, or went away during a call."""


class EncoderLink(Protocol):
    """Reaches an encoder."""

    async def encode(self, texts: Sequence[str]) -> list[str]:
        """Run windows; see `serving.window_encoder.WindowEncoder.encode`. Raises LinkError."""

    async def describe(self) -> dict[str, Any]:
        """Return what the encoder runs on. Raises LinkError."""

    async def close(self) -> None:
        """Let go of connections."""


class LocalLink:
    """An encoder in the same process: for tests, and for `bentoml serve --development`.

    Parameters
    ----------
    encoder
        The encoder.
    """

    def __init__(self, encoder: WindowEncoder) -> None:
        self._encoder = encoder

    async def encode(self, texts: Sequence[str]) -> list[str]:
        """Run windows."""
        return await self._encoder.encode(texts)

    async def describe(self) -> dict[str, Any]:
        """Return what the encoder runs on."""
        return self._encoder.describe()

    async def close(self) -> None:
        """Do nothing."""


class HttpLink:
    """The encoder service that BentoML runs beside the API service.

    BentoML's own client for dependencies pickles, and closes its session every hundred calls while others
    still use it; so this one speaks JSON to the same address.

    Parameters
    ----------
    url
        Where BentoML runs the service: `file://` and the path of a socket, or `http://`.
    timeout
        Seconds that a call may take.
    """

    def __init__(self, url: str, timeout: float) -> None:
        parsed = urlparse(url)
        on_socket = parsed.scheme == "file"
        self._base = "http://encoder" if on_socket else url
        connector: aiohttp.BaseConnector
        if on_socket:
            connector = aiohttp.UnixConnector(unquote(parsed.path), keepalive_timeout=KEEP_ALIVE_SECONDS)
        else:
            connector = aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE_SECONDS)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=timeout), trust_env=False
        )

    async def encode(self, texts: Sequence[str]) -> list[str]:
        """Run windows."""
        found = await self._post("/encode", {"windows": list(texts)})
        if not isinstance(found, list) or len(found) != len(texts):
            raise LinkError("the encoder's answer does not fit the call")
        return found

    async def describe(self) -> dict[str, Any]:
        """Return what the encoder runs on."""
        found = await self._post("/describe", {})
        if not isinstance(found, dict):
            raise LinkError("the encoder's description is not an object")
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        try:
            async with self._session.post(self._base + path, json=body) as response:
                if response.status != 200:
                    raise LinkError(f"the encoder answered {response.status}")
                return await response.json()
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise LinkError(f"the encoder does not answer ({error!r})") from error
