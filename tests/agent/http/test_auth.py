"""Keys become principals, and nothing else does."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import KeyRefusedError
from agent.http.auth import ANONYMOUS, Keys

ANN, BOB = "ann's key", "bob's key"


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


KEYS = Keys({"ann": hashed(ANN), "bob": hashed(BOB).upper()})


def test_a_key_is_its_own_principal() -> None:
    """The principal is the beginning of the key's hash, whatever the case of the setting."""
    assert KEYS.principal({"Authorization": f"Bearer {ANN}"}) == hashed(ANN)[:16]
    assert KEYS.principal({"Authorization": f"bearer {BOB}"}) == hashed(BOB)[:16]


def test_without_keys_everybody_is_the_same_principal() -> None:
    """Nobody can choose a principal by choosing a key that nobody checks."""
    open_to_all = Keys({})
    given: list[dict[str, str]]
    given = [{}, {"Authorization": "Bearer a"}, {"Authorization": ""}, {"x-api-key": "b"}]
    assert {open_to_all.principal(headers) for headers in given} == {ANONYMOUS}


def test_a_key_may_come_in_either_header() -> None:
    """Anthropic's clients send x-api-key; what Authorization says as a bearer counts first."""
    assert KEYS.principal({"x-api-key": ANN}) == hashed(ANN)[:16]
    both = {"Authorization": f"Bearer {BOB}", "x-api-key": ANN}
    assert KEYS.principal(both) == hashed(BOB)[:16]
    basic = {"Authorization": "Basic eDp5", "x-api-key": ANN}
    assert KEYS.principal(basic) == hashed(ANN)[:16]


@given(st.sampled_from(["Authorization", "x-api-key", "other"]), st.text())
def test_what_is_no_key_is_refused(header: str, value: str) -> None:
    """Any header but a known key is a 401 that says how to send one."""
    with pytest.raises(KeyRefusedError) as caught:
        KEYS.principal({header: value})
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


def test_the_hash_of_a_key_is_not_a_key() -> None:
    """Who reads the settings cannot use what they read."""
    with pytest.raises(KeyRefusedError):
        KEYS.principal({"Authorization": f"Bearer {hashed(ANN)}"})
