"""Dead letters: records that nobody could use, kept with the cause until somebody decides.

A dead letter lives on the topic `dead-letters`, as it came; what became of it (sent again, or
dropped) is a second record there. So the list needs no database, and whoever can read the log can
see and settle it. A record has one letter, however often it is read: the letter is named by the
place where it stood.
"""

import base64
import hashlib
import time
from dataclasses import dataclass
from typing import Any

from streams.errors import ConflictError
from streams.log.contract import Entry, Log, Outgoing, Topic, outgoing, records_now
from streams.records import DeadLetter, DeadLetterClosed, speaker

TOPIC: Topic = "dead-letters"
# What a letter needs beside the payload: names, cause, JSON.
ENVELOPE_BYTES = 4096
MAX_CAUSE_CHARS = 500
NOWHERE = -1  # the partition of what never stood in the log
MAX_PRINCIPAL_CHARS = 64  # four times one of ours: a longer name would not fit in beside the rest


@dataclass(frozen=True, slots=True)
class LetterState:
    """A dead letter and what became of it."""

    letter: DeadLetter
    closed: DeadLetterClosed | None


def of_entry(entry: Entry, cause: str, *, max_bytes: int, now_ms: int) -> DeadLetter:
    """Make the dead letter of an entry, to be put on `dead-letters` (streams.store.outbox).

    max_bytes: the log's record limit; a payload that does not fit is cut
    """
    place = f"{entry.partition.topic}/{entry.partition.number}/{entry.offset}"
    return DeadLetter(
        id=_name(place),
        topic=entry.partition.topic,
        partition=entry.partition.number,
        offset=entry.offset,
        key=entry.key,
        record_id=entry.id,
        cause=cause[:MAX_CAUSE_CHARS],
        created_ms=now_ms,
        **_held(entry.value, max_bytes),
    )


def of_outgoing(record: Outgoing, cause: str, *, max_bytes: int, now_ms: int) -> Outgoing:
    """Make the dead letter of a record that the log will never take, ready for the log."""
    letter = letter_of(record, cause, max_bytes=max_bytes, now_ms=now_ms)
    return outgoing(TOPIC, letter.id, letter)


def letter_of(record: Outgoing, cause: str, *, max_bytes: int, now_ms: int) -> DeadLetter:
    """Make the dead letter of a record that never reached the log."""
    return DeadLetter(
        id=_name(f"{record.topic}//{record.id}"),
        topic=record.topic,
        partition=NOWHERE,
        offset=-1,
        key=record.key,
        record_id=record.id,
        cause=cause[:MAX_CAUSE_CHARS],
        created_ms=now_ms,
        **_held(record.value, max_bytes),
    )


def read_all(log: Log) -> list[LetterState]:
    """Return every dead letter that the log holds, oldest first, with what became of it.

    raises: LogUnavailableError
    """
    letters: dict[str, DeadLetter] = {}
    closed: dict[str, DeadLetterClosed] = {}
    for record in records_now(log, TOPIC):  # an unreadable one has no letter of its own
        match record:
            case DeadLetter():
                letters.setdefault(record.id, record)
            case DeadLetterClosed():
                closed.setdefault(record.letter, record)
    return [LetterState(letter, closed.get(letter.id)) for letter in letters.values()]


def find(log: Log, name: str) -> LetterState:
    """Return the dead letter whose id begins with `name`.

    raises: KeyError when none or several do
    """
    found = [each for each in read_all(log) if each.letter.id.startswith(name)]
    if len(found) != 1:
        raise KeyError(f"{len(found)} dead letters are named {name}…: give more of the id")
    return found[0]


def payload(letter: DeadLetter) -> bytes:
    """Return the record's bytes, as far as the letter holds them."""
    return base64.b64decode(letter.payload_base64)


def redrive(log: Log, name: str, *, who: str) -> DeadLetter:
    """Append the record again where it came from, and close its letter.

    A crash in between leaves the letter open; sent twice, the readers use it once, by its id.

    raises: KeyError; ConflictError when it is closed already, or was cut and cannot be sent, or is
        the question of a judge, which nobody would read there
    """
    letter = _open_letter(log, name)
    if letter.topic == "judgements" and letter.partition == NOWHERE:
        raise ConflictError(
            f"{letter.id}: it was to be asked of a judge and never stood in the log, and sent there"
            " it asks nobody; it can only be dropped"
        )
    value = payload(letter)
    if len(value) != letter.payload_bytes:
        raise ConflictError(
            f"{letter.id}: only {len(value)} of {letter.payload_bytes} bytes were kept, too many"
            " for the log; it can only be dropped"
        )
    topic: Topic = letter.topic  # type: ignore[assignment]
    log.append([Outgoing(topic=topic, key=letter.key, id=letter.record_id, value=value)])
    _close(log, letter, "redrive", who)
    return letter


def drop(log: Log, name: str, *, who: str) -> DeadLetter:
    """Close a dead letter for good.

    raises: KeyError; ConflictError when it is closed already
    """
    letter = _open_letter(log, name)
    _close(log, letter, "drop", who)
    return letter


def _open_letter(log: Log, name: str) -> DeadLetter:
    found = find(log, name)
    if found.closed is not None:
        verb, who = found.closed.verb, found.closed.who
        raise ConflictError(f"{found.letter.id} is closed: {verb} by {who}")
    return found.letter


def _close(log: Log, letter: DeadLetter, verb: str, who: str) -> None:
    closed = DeadLetterClosed.model_validate(
        {
            "id": f"{letter.id}-closed",
            "letter": letter.id,
            "verb": verb,
            "who": who,
            "created_ms": int(time.time() * 1000),
        }
    )
    log.append([outgoing(TOPIC, letter.id, closed)])


def _name(place: str) -> str:
    return hashlib.sha256(place.encode()).hexdigest()[:16]


def _held(value: bytes, max_bytes: int) -> dict[str, Any]:
    """What a letter holds of a record: its bytes, as far as they fit, and whose a cut one is."""
    room = max(0, (max_bytes - ENVELOPE_BYTES) * 3 // 4)  # base64 makes 4 bytes of 3
    held: dict[str, Any] = {
        "payload_base64": base64.b64encode(value[:room]).decode(),
        "payload_bytes": len(value),
    }
    # What is cut off may be the name: whoever is forgotten must be found in it all the same.
    spoken = speaker(value) if len(value) > room else None
    if spoken is not None and len(spoken[0]) <= MAX_PRINCIPAL_CHARS:
        held["speaker"], held["said_ms"] = spoken
    return held
