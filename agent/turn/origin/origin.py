"""What a request says of where it comes from: its client, its trace, and whether it is a resend.

Hashes take in the principal, so that two principals who send the same are not told from their
records to have done so. A header that cannot be read is taken for one that was not sent: none of
them changes the reply.

Knows nothing of what is asked.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from streams.records import canonical_json

CLIENT_HEADER, TRACE_HEADER, RESEND_HEADER = "User-Agent", "traceparent", "Idempotency-Key"
MAX_CLIENT_CHARS = 64
HASH_DIGITS = 32

# W3C Trace Context, sec. 3.2: version, trace id, parent id, flags; later versions may add more.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from.

    client: first product of its User-Agent, such as "OpenAI/Python"
    body_key, idempotency_key: 32 hex digits, the same for the same principal and text
    trace: 32 hex digits
    span: the client's own span, which is the parent of ours, 16 hex digits; not kept with a turn
    """

    client: str | None = None
    body_key: str | None = None
    idempotency_key: str | None = None
    trace: str | None = None
    span: str | None = None


UNKNOWN = Origin()


def origin_of(headers: Mapping[str, str], body: bytes, principal: str) -> Origin:
    """Read where a request comes from.

    headers: case-insensitive
    body: JSON that was read before; how it is spaced and ordered does not matter
    """
    resend = headers.get(RESEND_HEADER)
    trace, span = parent_of(headers.get(TRACE_HEADER))
    return Origin(
        client=client_of(headers.get(CLIENT_HEADER)),
        body_key=_hash(principal, canonical_json(json.loads(body))),
        idempotency_key=_hash(principal, _bytes(resend)) if resend else None,
        trace=trace,
        span=span,
    )


def kept(origin: Origin) -> dict[str, str | None]:
    """What a turn keeps of where it came from."""
    return {
        "client": origin.client,
        "body_key": origin.body_key,
        "idempotency_key": origin.idempotency_key,
        "trace": origin.trace,
    }


def client_of(agent: str | None) -> str | None:
    """The first product of a User-Agent header (RFC 9110, sec. 10.1.5); None when there is none.

    >>> client_of("OpenAI/Python 1.99.0 (linux)"), client_of("(only a comment)"), client_of(None)
    ('OpenAI/Python', None, None)
    """
    product = next(iter((agent or "").split()), "")
    if not product or product.startswith("(") or not product.isascii():
        return None
    return product[:MAX_CLIENT_CHARS] if product.isprintable() else None


def parent_of(header: str | None) -> tuple[str, str | None]:
    """The trace and the span that a traceparent header names, or a new trace when it names none.

    >>> parent_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    ('4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7')
    """
    found = _TRACEPARENT.fullmatch((header or "").strip())
    if found is None or set(found[1]) == {"0"} or set(found[2]) == {"0"}:
        return secrets.token_hex(HASH_DIGITS // 2), None
    return found[1], found[2]


def _hash(principal: str, text: bytes) -> str:
    return hashlib.sha256(principal.encode() + b"\n" + text).hexdigest()[:HASH_DIGITS]


def _bytes(header: str) -> bytes:
    return header.encode("utf-8", "surrogateescape")
