"""Server-sent events: one framing for every API and page.

Knows nothing of what the events say.
"""

import json

from streams.records import Json

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold tokens back
}


def frame(data: Json | str, event: str | None = None) -> bytes:
    r"""One event. data: JSON, or a text of one line.

    >>> frame({"n": 1}), frame("[DONE]"), frame("{}", "ping")
    (b'data: {"n":1}\n\n', b'data: [DONE]\n\n', b'event: ping\ndata: {}\n\n')
    """
    # JSON has no raw line breaks, so the data is always one line.
    if not isinstance(data, str):
        data = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {data}\n\n".encode()
