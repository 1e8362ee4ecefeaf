"""What is forgotten: the records that say so, and which other records they concern.

A Forgotten record on the topic `forgotten`, which is kept for ever, takes back all that its
principal said up to its moment. Whoever reads turns or feedback reads that topic first, from its
beginning; so what is still in the log, in a spool, or comes again, never counts any more. What the
principal says afterwards counts.
"""

import base64
import json
import re
from collections.abc import Mapping

from streams.log.contract import Log, Topic, records_now
from streams.records import DeadLetter, Forgotten

TOPIC: Topic = "forgotten"
# Where a principal's words may lie in the log.
SAID: tuple[Topic, ...] = ("turns", "feedback", "judgements", "notes")

Moments = Mapping[str, int]  # principal → the moment, Unix milliseconds


def read_all(log: Log) -> list[Forgotten]:
    """Return every Forgotten record of the log, oldest first.

    raises: LogUnavailableError
    """
    return [record for record in records_now(log, TOPIC) if isinstance(record, Forgotten)]


def covers(moments: Moments, principal: str, *times_ms: int) -> bool:
    """Tell whether what a principal said is forgotten.

    times_ms: when it was said, and when it was written down, by clocks that may disagree: one of
        them before the moment is enough

    >>> covers({"ann": 5}, "ann", 7, 5), covers({"ann": 5}, "ann", 6), covers({"ann": 5}, "bob", 1)
    (True, False, False)
    """
    return principal in moments and min(times_ms) <= moments[principal]


def speaker(value: bytes) -> tuple[str, int] | None:
    """Return whose a record is and when they said it; None where it does not say.

    Reads records that this build cannot decode, too: whose they are must not depend on it.

    >>> speaker(b'{"kind":"feedback","v":99,"principal":"ann","created_ms":5}')
    ('ann', 5)
    """
    try:
        body = json.loads(value)
        principal, said_ms = body["principal"], body["created_ms"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not (isinstance(principal, str) and isinstance(said_ms, int)):
        return None
    return principal, said_ms


def said_by(value: bytes, principal: str) -> int | None:
    """Return when a record's principal said it, if it is this one; None for everybody else's."""
    if json.dumps(principal, ensure_ascii=False).encode() not in value:
        return None  # most records: not worth parsing
    spoken = speaker(value)
    return spoken[1] if spoken is not None and spoken[0] == principal else None


def letter_of(letter: DeadLetter, principal: str) -> bool:
    """Tell whether a dead letter holds a record of the principal, as far as it can be read."""
    return quotes(base64.b64decode(letter.payload_base64), principal)


def quotes(payload: bytes, principal: str) -> bool:
    """Tell whether a payload that may be cut or damaged names the principal as its own.

    >>> quotes(b'{"kind":"feedback","principal":"ann","sco', "ann")
    True
    """
    name = re.escape(json.dumps(principal, ensure_ascii=False).encode())
    return re.search(rb'"principal"\s*:\s*' + name, payload) is not None
