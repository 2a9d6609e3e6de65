"""The API's documentation at `/docs`: Swagger UI from the installed package, nothing from elsewhere."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from zaptrix.web.api.send.examples import FILES_PATH, example_files

_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {"Content-Security-Policy": _CSP, "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"}
_CACHED: Final = {**_HEADERS, "Cache-Control": "public, max-age=3600"}

_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Zaptrix API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<script defer src="/docs/swagger-ui-bundle.js"></script>
<script defer src="/docs/start.js"></script>
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. The description itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
</body>
</html>
"""
_START: Final = b"""window.addEventListener("DOMContentLoaded", () => {
  SwaggerUIBundle({
    url: "/openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    persistAuthorization: false,
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
    validatorUrl: null,
  });
});
"""
_FILES: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}


def _folder() -> Path:
    """Where the package keeps the files of Swagger's own build. It is not imported: that would load Flask."""
    found = find_spec("flask_swagger_ui")
    assert found is not None, "the lock names it"
    assert found.origin is not None, "a package on disk"
    return Path(found.origin).parent / "dist"


def _example_handlers() -> list[HTTPRouteHandler]:
    headers = {**_CACHED, "Content-Security-Policy": "default-src 'none'; sandbox"}
    return [_handler(f"{FILES_PATH}{each.name}", each.content, each.type, headers) for each in example_files()]


def docs_handlers(description: bytes) -> list[HTTPRouteHandler]:
    """Handlers for the page, its files and the description."""
    pages = [
        _handler("/docs", _PAGE, "text/html", _HEADERS),
        _handler("/docs/start.js", _START, "text/javascript", _CACHED),
        _handler("/openapi.json", description, "application/json", _HEADERS),
    ]
    folder = _folder()
    files = [_handler(f"/docs/{name}", (folder / name).read_bytes(), kind, _CACHED) for name, kind in _FILES.items()]
    return pages + files + _example_handlers()


def _handler(path: str, content: bytes, kind: str, headers: dict[str, str]) -> HTTPRouteHandler:
    async def give() -> Response[bytes]:
        return Response(content, media_type=kind, headers=headers)

    handler: HTTPRouteHandler = get(path, include_in_schema=False)(give)
    return handler
