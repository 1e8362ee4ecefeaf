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
    assert KEYS.principal(f"Bearer {ANN}") == hashed(ANN)[:16]
    assert KEYS.principal(f"bearer {BOB}") == hashed(BOB)[:16]


def test_without_keys_everybody_is_the_same_principal() -> None:
    """Nobody can choose a principal by choosing a key that nobody checks."""
    open_to_all = Keys({})
    assert {open_to_all.principal(h) for h in (None, "", "Bearer a", "Bearer b")} == {ANONYMOUS}


@given(st.none() | st.text())
def test_what_is_no_key_is_refused(header: str | None) -> None:
    """Any header but a known key is a 401 that says how to send one."""
    with pytest.raises(KeyRefusedError) as caught:
        KEYS.principal(header)
    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


def test_the_hash_of_a_key_is_not_a_key() -> None:
    """Who reads the settings cannot use what they read."""
    with pytest.raises(KeyRefusedError):
        KEYS.principal(f"Bearer {hashed(ANN)}")
