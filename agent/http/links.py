"""Signs addresses that let whoever holds one rate one response, until a moment, without a key.

<response id>.<principal>.<when it ends>.<tag>: the tag is an HMAC over the rest, so that any
replica proves a link that another has made, and no record of links is kept. It says whose response
it is, since feedback is that principal's own.

Knows nothing of HTTP, nor of what is said by a link.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final

from agent.errors import ForbiddenError

# Links travel by mail and end: twice the digits of a response id's tag, as they are tried offline.
_TAG_DIGITS: Final = 32
_LINK: Final = re.compile(
    rf"(?P<response>[A-Za-z0-9_-]{{1,160}})\.(?P<principal>[A-Za-z0-9_-]{{1,64}})"
    rf"\.(?P<ends>[0-9]{{1,12}})\.(?P<tag>[0-9a-f]{{{_TAG_DIGITS}}})"
)


@dataclass(frozen=True, slots=True)
class Link:
    """What a link that holds allows."""

    response_id: str
    principal: str
    ends_s: int  # Unix seconds


class FeedbackLinks:
    """Makes links and proves them."""

    def __init__(self, secret: bytes) -> None:
        """Take the secret that all replicas of this service share."""
        self._secret = secret

    def sign(self, link: Link) -> str:
        """Return a link as text that an address may hold as it is."""
        said = f"{link.response_id}.{link.principal}.{link.ends_s}"
        return f"{said}.{self._tag(said)}"

    def read(self, text: str, *, now_s: float) -> Link:
        """Prove a link.

        raises: ForbiddenError when we did not sign it, or it has ended
        """
        found = _LINK.fullmatch(text)
        said = text.rpartition(".")[0]
        if found is None or not hmac.compare_digest(found["tag"], self._tag(said)):
            raise ForbiddenError("this link is not one of ours", code="link_invalid")
        link = Link(found["response"], found["principal"], int(found["ends"]))
        if link.ends_s <= now_s:
            raise ForbiddenError("this link has ended: ask for a new one", code="link_expired")
        return link

    def _tag(self, said: str) -> str:
        # what is signed begins unlike any response id's, so that neither tag passes for the other
        text = f"rate/{said}".encode()
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()[:_TAG_DIGITS]
