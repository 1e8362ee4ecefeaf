"""Names a response so that its name alone says whose it is: any replica can take feedback on it.

chatcmpl-<nonce><session><choices><tag>, and likewise for the other APIs, whose clients look at the
prefix: the tag is an HMAC over prefix, nonce, session, number of choices and principal. So no
memory of past responses is needed, and feedback on a response of last week or of another replica is
taken; an invented id, or one of a choice that was never made, is not found, and nobody can rate a
response that was given to somebody else. The first ids had no number of choices; they stay good.

Knows nothing of what the response said.
"""

import contextlib
import hmac
import os
import re
import secrets
import tempfile
from pathlib import Path

from agent.errors import NotFoundError, StartError

SECRET_BYTES = 32
_NONCE_BYTES = 8  # drawn once a response; with the session beside it, collisions do not happen
_TAG_DIGITS = 16  # 64 bits: guessing one costs more requests than a server answers in a lifetime
PREFIXES = ("chatcmpl-", "cmpl-", "msg_", "resp_")
MAX_CHOICES = 255  # two hex digits
_MAKE = "`openssl rand -hex 32` makes one, the same for all replicas"
_ID = re.compile(
    rf"(?P<prefix>{'|'.join(PREFIXES)})(?P<nonce>[0-9a-f]{{16}})(?P<session>[0-9a-f]{{32}})"
    r"(?P<choices>[0-9a-f]{2})?(?P<tag>[0-9a-f]{16})(-(?P<choice>[1-9][0-9]{0,2}))?"
)


class ResponseIds:
    """Makes ids and proves them."""

    def __init__(self, secret: bytes) -> None:
        """Take the secret that all replicas of this service share."""
        self._hmac = hmac.new(secret, digestmod="sha256")

    def new(
        self, *, principal: str, session: str, choices: int = 1, prefix: str = "chatcmpl-"
    ) -> str:
        """Name a new response; its further choices are this name with -1, -2, … behind it.

        choices: 1 to MAX_CHOICES
        prefix: one of PREFIXES
        """
        nonce, number = secrets.token_hex(_NONCE_BYTES), f"{choices:02x}"
        tag = self._tag(prefix, nonce, session, number, principal)
        return f"{prefix}{nonce}{session}{number}{tag}"

    def session(self, response_id: str, *, principal: str) -> str:
        """Return the session of a response, or of one of its choices, of this principal.

        raises: NotFoundError when we never gave this principal such a response; the same for an
            invented id as for somebody else's, so that asking tells nothing
        """
        found = _ID.fullmatch(response_id)
        if found is None or not self._is_ours(found, principal):
            raise NotFoundError(
                f"no response {response_id[:100]!r} was given to you: take the id from a reply, "
                "and use the key that asked for it",
                param="response_id",
                code="response_not_found",
            )
        return found["session"]

    def _is_ours(self, found: re.Match[str], principal: str) -> bool:
        choices = found["choices"] or ""
        tag = self._tag(found["prefix"], found["nonce"], found["session"], choices, principal)
        if not hmac.compare_digest(found["tag"], tag):
            return False
        return int(found["choice"] or 0) < (int(choices, 16) if choices else MAX_CHOICES)

    def _tag(self, prefix: str, nonce: str, session: str, choices: str, principal: str) -> str:
        # the first ids had one prefix and no number of choices, neither of them signed
        signed = "" if prefix == "chatcmpl-" else prefix
        number = f"{choices}/" if choices else ""
        text = f"{signed}{nonce}{session}{number}{principal}".encode()
        signed_with = self._hmac.copy()
        signed_with.update(text)
        return signed_with.hexdigest()[:_TAG_DIGITS]


def load_secret(named: Path | None, home: Path) -> bytes:
    """Read the secret of the file that is named, or else the home's, which is made where it lacks.

    One that is named is never made: agents that share it would each sign with their own, and take
    no id of the others. Only its owner may read what is made.

    raises: StartError when the file is not there or not such a secret, saying how to make one
    """
    what = f"agent.response_secret: {named}" if named else f"{home / 'response.secret'}"
    try:
        file = (named or home / "response.secret").expanduser()
        if not file.exists():
            if named is not None:
                raise StartError(f"agent.response_secret: there is no file {named}: {_MAKE}")
            _make_secret(file)
        text = file.read_text(errors="replace").strip()
    except (OSError, RuntimeError) as cause:  # RuntimeError: ~name, of nobody
        why = cause.strerror if isinstance(cause, OSError) else cause
        raise StartError(f"{what} cannot be used: {why}") from cause
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        how = _MAKE if named else "remove it, and a new one is made"
        raise StartError(f"{what} holds no secret of ours, {2 * SECRET_BYTES} hex digits: {how}")
    return bytes.fromhex(text)


def _make_secret(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # A name drawn anew: containers that share the home have equal process ids.
    number, name = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    draft = Path(name)
    try:
        with os.fdopen(number, "w") as opened:
            opened.write(secrets.token_hex(SECRET_BYTES))
            opened.flush()
            os.fsync(opened.fileno())  # ids that were signed must hold after a power cut
        with contextlib.suppress(FileExistsError):  # of two agents that start at once, one's wins
            os.link(draft, file)  # whole or not at all, unlike writing in place
    finally:
        draft.unlink(missing_ok=True)
