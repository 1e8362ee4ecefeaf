"""Wrong keys: counted under what sent them, told once, bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.console.access.guesses import (
    MAX_FAILURES,
    MAX_TRACKED,
    WINDOW_S,
    Guesses,
    of_address,
    of_key,
    of_name,
)
from agent.errors import BusyError


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now_s


@pytest.mark.parametrize("source", [of_address("10.0.0.1"), of_key("old key"), of_name("anna")])
def test_a_guesser_is_locked_out_and_nobody_else(source: str) -> None:
    """Wrong keys count under their own source, are told once, and are forgotten in time."""
    told: list[str] = []
    clock = Clock()
    guesses = Guesses(clock, told=told.append)
    for _ in range(MAX_FAILURES):
        guesses.prove_few([source, "another"])
        guesses.count([source])
    with pytest.raises(BusyError, match="60 seconds") as caught:
        guesses.prove_few(["another", source])
    assert caught.value.headers == {"Retry-After": "60"}
    assert told == [source]
    guesses.prove_few(["another"])
    clock.now_s += WINDOW_S + 1
    guesses.prove_few([source])


def test_one_key_from_many_addresses_is_locked_out() -> None:
    """A key that was withdrawn, and that many machines still send, is not looked up for ever."""
    guesses = Guesses(Clock())
    for number in range(MAX_FAILURES):
        guesses.count([of_address(f"10.0.0.{number}"), of_key("withdrawn")])
    with pytest.raises(BusyError):
        guesses.prove_few([of_address("10.0.1.1"), of_key("withdrawn")])
    guesses.prove_few([of_address("10.0.1.1"), of_key("another")])


@given(st.lists(st.integers(0, 3 * MAX_TRACKED), max_size=50), st.integers(0, 2 * MAX_TRACKED))
def test_many_guessers_cost_no_more_memory(before: list[int], more: int) -> None:
    """Whatever is sent, a bounded number of sources is kept, the newest among them."""
    guesses = Guesses(Clock())
    for number in (*before, *range(more), 7):
        guesses.count([f"address {number}"])
    assert len(guesses._wrong) <= MAX_TRACKED
    assert "address 7" in guesses._wrong


def test_an_address_of_the_same_network_is_the_same_guesser() -> None:
    """One machine has a whole network of IPv6 addresses to itself."""
    assert of_address("2001:db8:1:2::3") == of_address("2001:db8:1:2:ffff::4%eth0")
    assert of_address("2001:db8:1:3::3") != of_address("2001:db8:1:2::3")
    assert of_address(None) == of_address(None)
