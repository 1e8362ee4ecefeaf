"""Tells under which address a server is asked, for what it gives away to be opened or copied.

Knows nothing of the routes behind it.
"""

import re
from typing import Final

from aiohttp import web

from agent.errors import InvalidError

# A name, as DNS and container networks have them, or an address; what else a client may send there
# is no part of one, and must not get into a link.
_HOST: Final = re.compile(r"(?:[\w.~-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.ASCII | re.IGNORECASE)


def address_of(request: web.Request, public_url: str | None = None) -> str:
    """The server's address without a slash at its end, as the request was sent there.

    public_url: as settings know better (agent.public_url); None: they do not

    raises: InvalidError where the Host header names none
    """
    if public_url is not None:
        return public_url
    try:
        if _HOST.fullmatch(request.host):
            return str(request.url.origin())
    except ValueError:  # a port that there is not, a name that DNS cannot have
        pass
    raise InvalidError("the Host header names no server: send name:port", code="host_invalid")
