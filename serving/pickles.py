"""Keeps pickles out: BentoML's inner services unpickle whatever says that it is one."""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class RefusePickle:
    """Refuses requests whose content type names a pickle; ASGI middleware.

    Parameters
    ----------
    app
        What answers the others.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on."""
        headers = scope.get("headers", ()) if scope["type"] == "http" else ()
        if any(name == b"content-type" and b"pickle" in value.lower() for name, value in headers):
            await Response("pickles are not accepted here", status_code=415)(scope, receive, send)
            return
        await self._app(scope, receive, send)
