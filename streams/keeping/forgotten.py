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
from streams.records import DeadLetter, Forgotten, speaker

TOPIC: Topic = "forgotten"
# Where a principal's words may lie in the log.
SAID: tuple[Topic, ...] = ("turns", "feedback", "judgements", "notes")

_CREATED = re.compile(rb'"created_ms"\s*:\s*(\d{1,18})\b')

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


def said_by(value: bytes, principal: str) -> int | None:
    """Return when a record's principal said it, if it is this one; None for everybody else's."""
    if json.dumps(principal, ensure_ascii=False).encode() not in value:
        return None  # most records: not worth parsing
    spoken = speaker(value)
    return spoken[1] if spoken is not None and spoken[0] == principal else None


def covers_letter(record: Forgotten, letter: DeadLetter, *times_ms: int) -> bool:
    """Tell whether what a dead letter holds is forgotten, as far as it can be read.

    times_ms: when the letter was written down, beside its own moment
    """
    said_ms = _said_in(letter, record.principal)
    moments = {record.principal: record.created_ms}
    return said_ms is not None and covers(
        moments, record.principal, said_ms, letter.created_ms, *times_ms
    )


def _said_in(letter: DeadLetter, principal: str) -> int | None:
    """Return when a principal said what a letter holds; None where it is not known as theirs.

    Where the letter does not say when, it is 0: too much is forgotten rather than too little.
    """
    if letter.speaker is not None:
        return (letter.said_ms or 0) if letter.speaker == principal else None
    payload = base64.b64decode(letter.payload_base64)
    if not quotes(payload, principal):
        return None
    if (spoken := speaker(payload)) is not None:
        return spoken[1] if spoken[0] == principal else None
    found = _CREATED.search(payload)
    return int(found[1]) if found else 0


def quotes(payload: bytes, principal: str) -> bool:
    """Tell whether a payload that may be cut or damaged names the principal as its own.

    >>> quotes(b'{"kind":"feedback","principal":"ann","sco', "ann")
    True
    """
    name = re.escape(json.dumps(principal, ensure_ascii=False).encode())
    return re.search(rb'"principal"\s*:\s*' + name, payload) is not None
