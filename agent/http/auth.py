"""Turns a request's API key into its principal, which is answerable for what it teaches.

Keys are known by their SHA-256 only, and compared in constant time, each with every known one. A
server without keys has one principal, "anonymous", whatever key a client sends: whoever
chose their own principal could pass for a quorum.

Knows nothing of sessions, nor of what a principal may do.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from agent.errors import KeyRefusedError

ANONYMOUS = "anonymous"
KEY_HEADER = "x-api-key"
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Keys:
    """The API keys that this server knows."""

    def __init__(self, hashes: Mapping[str, str]) -> None:
        """Keep the keys' hashes.

        hashes: name → SHA-256 of the key, hex
        """
        self._hashes = {name: digest.lower() for name, digest in hashes.items()}

    def __bool__(self) -> bool:
        """Whether a key is asked for."""
        return bool(self._hashes)

    def known(self, key: str) -> tuple[str, str] | None:
        """The name and the hash of a key; None when it is not known here."""
        given = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()
        # no early exit: how long this takes tells nothing of which key was nearly right
        names = [name for name, each in self._hashes.items() if hmac.compare_digest(given, each)]
        return (names[0], given) if names else None

    def principal(self, headers: Mapping[str, str]) -> str:
        """The principal of a request: the first 16 hex digits of its key's hash.

        headers: case-insensitive; the key stands in Authorization ("Bearer <key>", OpenAI's
            clients; "Basic …", whose password it is, Langfuse's) or in x-api-key (Anthropic's)
        raises: KeyRefusedError when keys are set and this is none of them

        >>> Keys({}).principal({"Authorization": "Bearer whatever"})
        'anonymous'
        """
        if not self:
            return ANONYMOUS
        key = _key_of(headers)
        if not key:
            why = (
                "an API key is needed: send the header Authorization: Bearer <key>, "
                "or x-api-key: <key>"
            )
            raise KeyRefusedError(why, headers=_CHALLENGE)
        known = self.known(key)
        if known is None:
            raise KeyRefusedError("the API key is not known here", headers=_CHALLENGE)
        return known[1][:16]


def _key_of(headers: Mapping[str, str]) -> str:
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    if (given := headers.get(KEY_HEADER, "").strip()) or scheme.lower() != "basic":
        return given
    try:
        return base64.b64decode(key.strip(), validate=True).decode().partition(":")[2]
    except ValueError:  # no base64, or no UTF-8
        return ""
