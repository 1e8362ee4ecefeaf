"""Serves front-end files under a strict content security policy.

Only files that were there at the start have a route, so no request names a path. A page may load
scripts, styles and data from its own origin only, runs no inline script or style, and cannot turn
text into HTML (Trusted Types), so text of models and users stays text.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from aiohttp import web

_SHARED = Path(__file__).parent / "static"

HEADERS = {
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Not no-referrer: that would make a form's Origin "null", and the console checks it.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Asked for every time, answered 304 while it is the same: an upgrade shows at once.
    "Cache-Control": "no-cache",
}

# Named here because the system's own table differs from machine to machine.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def page(path: str, file: Path) -> web.RouteDef:
    """The route that serves one file at a path, from memory: it is read once, here."""
    body = file.read_bytes()
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = HEADERS | {"Content-Type": _TYPES[file.suffix], "ETag": f'"{tag}"'}

    async def serve(request: web.Request) -> web.Response:
        known = request.if_none_match or ()
        if any(each.value in (tag, "*") for each in known):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers=headers)

    return web.get(path, serve)


def files(prefix: str, folder: Path) -> Iterator[web.RouteDef]:
    """A route for every front-end file under a folder, below a prefix; HTML has its own."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in _TYPES and file.suffix != ".html":
            yield page(f"{prefix}/{file.relative_to(folder).as_posix()}", file)


def shared_files() -> Iterator[web.RouteDef]:
    """The routes of what all pages share: the theme, the icon, vendored files."""
    return files("/static", _SHARED)
