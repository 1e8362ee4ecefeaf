"""Names a response so that its name alone says whose it is: any replica can take feedback on it.

chatcmpl-<nonce><session><tag>, and likewise for the other APIs, whose clients look at the prefix:
the tag is an HMAC over prefix, nonce, session and principal. So no memory
of past responses is needed, feedback on a response of last week or of another replica is taken, an
invented id is not, and nobody can rate a response that was given to somebody else.

Knows nothing of what the response said.
"""

import contextlib
import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from agent.errors import NotFoundError, StartError

SECRET_BYTES = 32
_NONCE_BYTES = 8  # drawn once a response; with the session beside it, collisions do not happen
_TAG_DIGITS = 16  # 64 bits: guessing one costs more requests than a server answers in a lifetime
PREFIXES = ("chatcmpl-", "cmpl-", "msg_", "resp_")
_ID = re.compile(
    rf"({'|'.join(PREFIXES)})([0-9a-f]{{16}})([0-9a-f]{{32}})([0-9a-f]{{16}})(-[0-9]{{1,2}})?"
)


class ResponseIds:
    """Makes ids and proves them."""

    def __init__(self, secret: bytes) -> None:
        """Take the secret that all replicas of this service share."""
        self._secret = secret

    def new(self, *, principal: str, session: str, prefix: str = "chatcmpl-") -> str:
        """Name a new response; its further choices are this name with -1, -2, … behind it.

        prefix: one of PREFIXES
        """
        nonce = secrets.token_hex(_NONCE_BYTES)
        return f"{prefix}{nonce}{session}{self._tag(prefix, nonce, session, principal)}"

    def session(self, response_id: str, *, principal: str) -> str:
        """Return the session of a response of this principal.

        raises: NotFoundError when we never gave this principal such a response; the same for an
            invented id as for somebody else's, so that asking tells nothing
        """
        parts = _ID.fullmatch(response_id)
        if parts is None or not hmac.compare_digest(
            parts[4], self._tag(parts[1], parts[2], parts[3], principal)
        ):
            raise NotFoundError(
                f"no response {response_id[:100]!r} was given to you: take the id from a reply, "
                "and use the key that asked for it",
                param="response_id",
                code="response_not_found",
            )
        return parts[3]

    def _tag(self, prefix: str, nonce: str, session: str, principal: str) -> str:
        # the first ids had one prefix, which was not signed; they stay good
        signed = "" if prefix == "chatcmpl-" else prefix
        text = f"{signed}{nonce}{session}{principal}".encode()
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:_TAG_DIGITS]


def load_secret(file: Path) -> bytes:
    """Read the secret, or make it when there is none; only its owner may read the file.

    raises: StartError when the file is not such a secret
    """
    if not file.exists():
        _make_secret(file)
    text = file.read_text().strip()
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise StartError(f"{file} holds no secret of ours: remove it, and a new one is made")
    return bytes.fromhex(text)


def _make_secret(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(secrets.token_hex(SECRET_BYTES))
        opened.flush()
        os.fsync(opened.fileno())  # ids that were signed must hold after a power cut
    with contextlib.suppress(FileExistsError):  # of two agents that start at once, one's wins
        os.link(draft, file)  # whole or not at all, unlike writing in place
    draft.unlink()
