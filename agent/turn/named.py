"""Remembers by which name of its own a client calls a response, so that the name finds it.

Open WebUI names each message, sends the name with the request (X-OpenWebUI-Message-Id), and rates
by it. A message that took several requests, because tools were called, is called by its last one.
What is remembered is this process's own and bounded: after a restart, or on another replica, a
response is known by its id alone.

Knows nothing of HTTP.
"""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

MESSAGE_HEADER: Final = "X-OpenWebUI-Message-Id"
REMEMBERED: Final = 20_000  # names, of about 200 bytes each
_MAX_CHARS: Final = 128


class NamedReplies:
    """The newest responses that were asked for under a name. Any thread may use it."""

    def __init__(self) -> None:
        """Start with none."""
        self._ids: OrderedDict[tuple[str, str], str] = OrderedDict()

    def note(self, headers: Mapping[str, str], principal: str, response_id: str) -> None:
        """Remember a response by the name that its request's headers give, where they do."""
        name = headers.get(MESSAGE_HEADER, "")
        if not 0 < len(name) <= _MAX_CHARS:
            return
        self._ids[principal, name] = response_id
        self._ids.move_to_end((principal, name))
        while len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)

    def find(self, principal: str, name: str) -> str | None:
        """Return the id of the response that a principal calls so; None when it is not known."""
        return self._ids.get((principal, name))

    def forget(self, principal: str) -> None:
        """Let go of a principal's names."""
        for key in [key for key in list(self._ids) if key[0] == principal]:
            self._ids.pop(key, None)
