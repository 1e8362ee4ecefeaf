"""Dead letters: records that nobody could use, kept with the cause until somebody decides.

A dead letter lives on the topic `dead-letters`, as it came; what became of it (sent again, or
dropped) is a second record there. So the list needs no database, and whoever can read the log can
see and settle it. A record has one letter, however often it is read: the letter is named by the
place where it stood.

Invariant: a letter fits into the log; what is too long in it is cut, the payload first.
"""

import base64
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from streams.errors import ConflictError, RecordTooLargeError
from streams.log.contract import Entry, Log, Outgoing, Topic, outgoing, records_now
from streams.records import DeadLetter, DeadLetterClosed, decode, encode, speaker

TOPIC: Topic = "dead-letters"
# Of key, record id and cause; ours are far shorter, and whoever else appends may name as he likes.
MAX_CHARS = 500
CUT = "…"  # ends a key or an id that was cut
NOWHERE = -1  # the partition of what never stood in the log
SHORTEST_BYTES = 1024  # the lowest limit that settings allow (streams.max_record_bytes)
MAX_PRINCIPAL_CHARS = 64  # four times one of ours: a longer name would not fit in beside the rest


@dataclass(frozen=True, slots=True)
class LetterState:
    """A dead letter and what became of it."""

    letter: DeadLetter
    closed: DeadLetterClosed | None


def of_entry(entry: Entry, cause: str, *, max_bytes: int, now_ms: int) -> DeadLetter:
    """Make the dead letter of an entry, to be put on `dead-letters` (streams.store.outbox).

    max_bytes: the log's record limit; what does not fit is cut
    """
    place = f"{entry.partition.topic}/{entry.partition.number}/{entry.offset}"
    letter = DeadLetter(
        id=_name(place),
        topic=entry.partition.topic,
        partition=entry.partition.number,
        offset=entry.offset,
        key=entry.key,
        record_id=entry.id,
        cause=cause,
        created_ms=now_ms,
        payload_base64="",
        payload_bytes=len(entry.value),
    )
    return _filled(letter, entry.value, max_bytes)


def of_outgoing(record: Outgoing, cause: str, *, max_bytes: int, now_ms: int) -> Outgoing:
    """Make the dead letter of a record that the log will never take, ready for the log.

    Of a dead letter it is the same one, cut to what the log takes.
    """
    if record.topic == TOPIC and isinstance(letter := decode(record.value), DeadLetter):
        fitting = _filled(letter, payload(letter), max_bytes)
    else:
        fitting = letter_of(record, cause, max_bytes=max_bytes, now_ms=now_ms)
    return outgoing(TOPIC, fitting.id, fitting)


def letter_of(record: Outgoing, cause: str, *, max_bytes: int, now_ms: int) -> DeadLetter:
    """Make the dead letter of a record that never reached the log."""
    letter = DeadLetter(
        id=_name(f"{record.topic}//{record.id}"),
        topic=record.topic,
        partition=NOWHERE,
        offset=-1,
        key=record.key,
        record_id=record.id,
        cause=cause,
        created_ms=now_ms,
        payload_base64="",
        payload_bytes=len(record.value),
    )
    return _filled(letter, record.value, max_bytes)


def append_fitting(
    append: Callable[[Sequence[Outgoing]], None],
    record: Outgoing,
    cause: str,
    *,
    max_bytes: int,
    now_ms: int,
) -> None:
    """Append the dead letter of a record that the log does not take, cut to what the log does take.

    A broker's topics may take less than our settings say, and nobody says how much: a letter that
    is refused, too, is cut to half.

    append: to the log
    max_bytes: the log's limit by our settings
    raises: LogUnavailableError; RecordTooLargeError when not even the shortest letter is taken
    """
    while True:
        letter = of_outgoing(record, cause, max_bytes=max_bytes, now_ms=now_ms)
        try:
            append([letter])
            return
        except RecordTooLargeError:
            max_bytes = min(max_bytes, len(letter.value)) // 2
            if max_bytes < SHORTEST_BYTES:
                raise


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

    raises: KeyError; ConflictError when it is closed already, or was cut, payload or names, and
        cannot be sent, or is the question of a judge, which nobody would read there
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
    if letter.key.endswith(CUT) or letter.record_id.endswith(CUT):
        raise ConflictError(
            f"{letter.id}: its key or its id was too long to be kept, and under another it would be"
            " another record; it can only be dropped"
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


def _filled(letter: DeadLetter, value: bytes, max_bytes: int) -> DeadLetter:
    """Put a record's bytes into its letter, as far as they fit; a cut one says whose it is."""
    letter = _trimmed(letter, MAX_CHARS)
    whole = letter.model_copy(update={"payload_base64": base64.b64encode(value).decode()})
    if len(encode(whole)) <= max_bytes:
        return whole
    letter = DeadLetter.model_validate(letter.model_dump(exclude={"v"}) | _said(value))
    chars = MAX_CHARS
    while chars and len(encode(letter)) > max_bytes:
        chars //= 2
        letter = _trimmed(letter, chars)
    room = max(0, max_bytes - len(encode(letter))) // 4 * 3  # base64 makes 4 bytes of 3
    return letter.model_copy(update={"payload_base64": base64.b64encode(value[:room]).decode()})


def _trimmed(letter: DeadLetter, chars: int) -> DeadLetter:
    """Empty a letter of its payload, and cut its names and its cause."""
    names = {"key": letter.key, "record_id": letter.record_id}
    cut = {name: _cut(text, chars) for name, text in names.items()}
    return letter.model_copy(update=cut | {"cause": letter.cause[:chars], "payload_base64": ""})


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[:chars] + CUT


def _said(value: bytes) -> dict[str, Any]:
    """Whose a record is: what is cut off may be the name, and whoever is forgotten must be found.

    Of a name that is too long nothing is told.
    """
    spoken = speaker(value)
    if spoken is None or len(spoken[0]) > MAX_PRINCIPAL_CHARS:
        return {}
    return {"speaker": spoken[0], "said_ms": spoken[1]}
