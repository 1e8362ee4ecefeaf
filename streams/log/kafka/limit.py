"""Calls that might never return: each is waited for up to a limit, on a thread of its own.

kafka-python's callers wait for its I/O thread without a limit, and so does its close. Whoever waits
for them here goes on after the limit. What stays behind then is a daemon thread, until its call
ends or the process does. Knows nothing of Kafka.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TypeVar

from streams.errors import LogUnavailableError

Answer = TypeVar("Answer")


class NoAnswerError(LogUnavailableError):
    """A client did not do what it should have done long ago: give it up and open another."""


def within(
    limit_s: float, call: Callable[[], Answer], *, late: Callable[[Answer], object] | None = None
) -> Answer:
    """Return what a call returns, or raise what it raises, if it does so in time.

    late: is given what a call returned that nobody waited for any more, such as an open connection
    raises: NoAnswerError

    >>> within(1.0, lambda: 3)
    3
    """
    outcome: Future[Answer] = Future()

    def run() -> None:
        try:
            answer = call()
        except BaseException as cause:  # raised where the call is waited for
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(cause)
            return
        if outcome.set_running_or_notify_cancel():
            outcome.set_result(answer)
        elif late is not None:
            with suppress(Exception):
                late(answer)

    threading.Thread(target=run, name="kafka-call", daemon=True).start()
    wait([outcome], limit_s)
    if outcome.cancel():
        raise NoAnswerError(
            f"Kafka's client has not answered for {limit_s:g} s and is given up: the next try"
            " opens another"
        )
    return outcome.result()
