"""Dead letters: one a record, listed, sent again or dropped, on every log."""

import pytest

from streams.errors import ConflictError
from streams.log import dead_letters
from streams.log.contract import Entry, Log, Outgoing, Partition, outgoing
from streams.records import DeadLetter, decode, encode


def entry(value: bytes = b"no record", offset: int = 7) -> Entry:
    return Entry(Partition("turns", 1), offset, key="s-1", id="turn-9", value=value, time_ms=5)


def give_up(log: Log, unusable: Entry, cause: str = "not a record") -> str:
    letter = dead_letters.of_entry(unusable, cause, max_bytes=2**16, now_ms=10)
    log.append([outgoing(dead_letters.TOPIC, letter.id, letter)])
    return letter.id


def turns(log: Log) -> list[tuple[str, str, bytes]]:
    subscription = log.subscribe(["turns"], group=None, positions=lambda _: {})
    found: list[Entry] = []
    wanted = sum(log.end_offsets("turns").values())
    while len(found) < wanted:
        found += subscription.poll(wait_s=1)
    subscription.close()
    return [(e.key, e.id, e.value) for e in found]


def test_a_letter_says_where_it_stood_and_why(log: Log) -> None:
    """Cause, topic, partition, offset and the bytes as they came."""
    name = give_up(log, entry())
    [found] = dead_letters.read_all(log)
    letter = found.letter
    assert (letter.topic, letter.partition, letter.offset) == ("turns", 1, 7)
    assert (letter.cause, letter.record_id, letter.key) == ("not a record", "turn-9", "s-1")
    assert dead_letters.payload(letter) == b"no record"
    assert found.closed is None
    assert dead_letters.find(log, name[:6]) == found


def test_a_record_has_one_letter_however_often_it_is_read(log: Log) -> None:
    """Two readers, or one that crashed in between, make one letter."""
    give_up(log, entry())
    give_up(log, entry(), cause="the same again")
    give_up(log, entry(offset=8))
    assert [b.letter.offset for b in dead_letters.read_all(log)] == [7, 8]


def test_a_redriven_record_goes_back_where_it_came_from(log: Log) -> None:
    """Same topic, key, id and bytes; the letter is closed and cannot be sent twice."""
    name = give_up(log, entry(b"\x00\xff"))
    dead_letters.redrive(log, name, who="operator")
    assert turns(log) == [("s-1", "turn-9", b"\x00\xff")]
    [found] = dead_letters.read_all(log)
    assert found.closed is not None
    assert (found.closed.verb, found.closed.who) == ("redrive", "operator")
    with pytest.raises(ConflictError, match="closed: redrive by operator"):
        dead_letters.redrive(log, name, who="operator")


def test_a_dropped_letter_stays_closed(log: Log) -> None:
    """Nothing is sent, and what was given up is still listed as such."""
    name = give_up(log, entry())
    dead_letters.drop(log, name, who="operator")
    [found] = dead_letters.read_all(log)
    assert found.closed is not None
    assert found.closed.verb == "drop"
    assert turns(log) == []
    with pytest.raises(ConflictError, match="closed: drop"):
        dead_letters.drop(log, name, who="operator")


def test_a_record_that_was_cut_can_only_be_dropped(log: Log) -> None:
    """Too large for the log, it is kept as far as it fits, and said to be."""
    record = Outgoing(topic="turns", key="s", id="large", value=b"x" * 2**20)
    letter = dead_letters.of_outgoing(record, "too large", max_bytes=2**16, now_ms=1)
    assert len(letter.value) <= 2**16
    log.append([letter])
    [found] = dead_letters.read_all(log)
    assert found.letter.payload_bytes == 2**20
    with pytest.raises(ConflictError, match="can only be dropped"):
        dead_letters.redrive(log, found.letter.id, who="operator")
    dead_letters.drop(log, found.letter.id, who="operator")


@pytest.mark.parametrize("max_bytes", [2**10, 2**12, 2**16])
@pytest.mark.parametrize(
    ("key", "record_id", "cause", "value"),
    [
        ("k" * 5_000, "turn-9", "not a record", b"x" * 2**16),
        ("k", "\x01" * 2**16, "not a record", b"x" * 2**16),
        ("k", "turn-9", "\x01ß🙂" * 5_000, b"x" * 2**16),
        ("\ud800" * 600, "🙂" * 600, "ß" * 600, b""),
        ("k" * 501, "turn-9", "", b'{"principal":"ann","created_ms":5,"said":"' + b"x" * 2**17),
    ],
)
def test_a_letter_fits_whatever_is_long_in_it(
    max_bytes: int, key: str, record_id: str, cause: str, value: bytes
) -> None:
    """Key, id, cause or payload: one that did not fit would be owed to the log for ever."""
    came = Entry(Partition("turns", 1), 7, key=key, id=record_id, value=value, time_ms=5)
    letter = dead_letters.of_entry(came, cause, max_bytes=max_bytes, now_ms=10)
    assert len(encode(letter)) <= max_bytes
    assert letter.payload_bytes == len(value)
    sent = Outgoing(topic="turns", key=key, id=record_id, value=value)
    outcome = dead_letters.of_outgoing(sent, cause, max_bytes=max_bytes, now_ms=10)
    assert len(outcome.value) <= max_bytes


def test_a_payload_takes_all_the_room_that_the_names_leave() -> None:
    """What fits to the byte is kept whole; of one more byte only what fits."""
    for size in range(60_000, 60_008):
        whole = dead_letters.of_entry(entry(b"x" * size), "", max_bytes=2**20, now_ms=10)
        room = len(encode(whole))
        kept = dead_letters.of_entry(entry(b"x" * size), "", max_bytes=room, now_ms=10)
        assert kept == whole
        cut = dead_letters.of_entry(entry(b"x" * size), "", max_bytes=room - 1, now_ms=10)
        assert size - 6 <= len(dead_letters.payload(cut)) < size


@pytest.mark.parametrize(("key", "record_id"), [("k" * 501, "turn-9"), ("s-1", "i" * 501)])
def test_a_record_whose_name_was_cut_can_only_be_dropped(
    log: Log, key: str, record_id: str
) -> None:
    """Under another key it would come in another order, under another id count as another."""
    came = Entry(Partition("turns", 1), 7, key=key, id=record_id, value=b"{}", time_ms=5)
    name = give_up(log, came)
    with pytest.raises(ConflictError, match="its key or its id was too long"):
        dead_letters.redrive(log, name, who="operator")
    assert turns(log) == []
    dead_letters.drop(log, name, who="operator")


def test_a_letter_that_is_too_long_is_cut_and_stays_the_same_one() -> None:
    """An older build made it, or the log took more then."""
    letter = dead_letters.of_entry(
        entry(b'{"principal":"ann","created_ms":5,"said":"' + b"x" * 2**15 + b'"}'),
        "not a record",
        max_bytes=2**20,
        now_ms=10,
    )
    sent = outgoing(dead_letters.TOPIC, letter.id, letter)
    shorter = dead_letters.of_outgoing(sent, "too large", max_bytes=2**14, now_ms=11)
    assert len(shorter.value) <= 2**14
    kept = decode(shorter.value)
    assert isinstance(kept, DeadLetter)
    assert (kept.id, kept.cause, kept.payload_bytes) == (letter.id, letter.cause, 2**15 + 44)
    assert (kept.speaker, kept.said_ms) == ("ann", 5)


def test_a_judges_question_can_only_be_dropped(log: Log) -> None:
    """Nobody who reads judgements would ask it; so it is not said to be sent."""
    asked = Outgoing(topic="judgements", key="main/s", id="q", value=b"{}")
    log.append([dead_letters.of_outgoing(asked, "no answer", max_bytes=2**16, now_ms=1)])
    [found] = dead_letters.read_all(log)
    with pytest.raises(ConflictError, match="it can only be dropped"):
        dead_letters.redrive(log, found.letter.id, who="operator")
    assert dead_letters.read_all(log) == [found]
    dead_letters.drop(log, found.letter.id, who="operator")


def test_a_name_that_fits_none_or_several_is_said(log: Log) -> None:
    """The error says how many it would be."""
    give_up(log, entry())
    give_up(log, entry(offset=8))
    with pytest.raises(KeyError, match="0 dead letters"):
        dead_letters.find(log, "xyz")
    with pytest.raises(KeyError, match="2 dead letters"):
        dead_letters.find(log, "")


def test_no_letters_are_an_empty_list(log: Log) -> None:
    """A log without dead letters is read in no time."""
    assert dead_letters.read_all(log) == []
