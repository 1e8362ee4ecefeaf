"""Events for people: what they are, whoever's text is in them."""

import pytest

from agent.watch.events import Events


def test_whoever_chats_writes_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """An event is one line of what only shows, in memory and in the process's log."""
    caplog.set_level("INFO")
    events = Events()
    events.add("locked-out", "ann\r\nERROR agent: \x1b[2J\x9bm\u202e it \ud800\u2028burns")
    (event,) = events
    assert event.text == "ann ERROR agent: \ufffd[2J\ufffdm\ufffd it \ufffd burns"
    assert [record.getMessage() for record in caplog.records] == [f"locked-out: {event.text}"]
