"""The log lines of a process, whoever's text is in them."""

import logging
import sys

from deploy.up.logs import OneLine


def test_a_record_is_one_line_and_its_trace_is_indented() -> None:
    """What a client sent, or a fault quotes of it, neither begins a line nor steers a terminal."""
    try:
        raise ValueError("bad \x1b[2J\nERROR agent: forged")
    except ValueError:
        record = logging.LogRecord(
            "a.b", logging.ERROR, __file__, 1, "%s fails", ("/v1\nERROR agent: forged",),
            sys.exc_info(),
        )  # fmt: skip
    first, *trace = OneLine("%(levelname)-7s %(name)s: %(message)s").format(record).split("\n")
    assert first == "ERROR   a.b: /v1 ERROR agent: forged fails"
    assert trace[-2:] == ["  ValueError: bad \ufffd[2J", "  ERROR agent: forged"]
    assert all(line.startswith("  ") for line in trace)
