"""The page for people, at `/`: plain files that the browser gets from here and from nowhere else."""

from pathlib import Path
from typing import Any, Final

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

INDEX: Final = "index.html"
PAGE_FOLDER: Final = Path(__file__).with_name("page")
PAGE_PATH: Final = "/page"

_CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Not left to the system's own table, which may lack the type without which browsers run no module."""

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Only our own scripts and styles run, no text can become HTML, and no other page can frame this one."""


class PageFiles(StaticFiles):
    """The files of the page, with the headers that keep it to itself."""

    def __init__(self) -> None:
        super().__init__(directory=PAGE_FOLDER)

    def file_response(self, full_path: Any, *args: Any, **kwargs: Any) -> Response:
        """Make the answer that holds a file, or that says that it has not changed."""
        response = super().file_response(full_path, *args, **kwargs)
        response.headers.update(_HEADERS)
        content_type = _CONTENT_TYPES.get(Path(full_path).suffix)
        if content_type is not None and response.status_code == 200:
            response.headers["Content-Type"] = content_type
        return response
