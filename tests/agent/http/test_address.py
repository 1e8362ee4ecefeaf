"""Under which address a server is asked: what the client says of it, or settings do."""

import pytest
from aiohttp.test_utils import make_mocked_request

from agent.errors import InvalidError
from agent.http.address import address_of


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("x", "http://x"),
        ("Chat.example.org:8321", "http://chat.example.org:8321"),
        ("my_service:80", "http://my_service"),
        ("127.0.0.1:8321", "http://127.0.0.1:8321"),
        ("[::1]:8321", "http://[::1]:8321"),
    ],
)
def test_the_host_header_names_the_address(host: str, address: str) -> None:
    """A name, or a number of either kind, with a port or without."""
    assert address_of(make_mocked_request("GET", "/", {"Host": host})) == address


@pytest.mark.parametrize(
    "host",
    ["", "a:99999", "a:b", "a:", "ÿ", "[::1", "a b", "a/b", "u@evil", "a?b", "a#b", "a..b\n"],
)
def test_a_host_header_that_names_nothing_is_refused(host: str) -> None:
    """It is the client's fault, and none that the log has to tell."""
    with pytest.raises(InvalidError, match="Host header") as told:
        address_of(make_mocked_request("GET", "/", {"Host": host}))
    assert told.value.code == "host_invalid"


def test_settings_know_better() -> None:
    """Whatever the client, or a proxy in front, says."""
    request = make_mocked_request("GET", "/", {"Host": "a:b"})
    assert address_of(request, "https://chat.example.org/ai") == "https://chat.example.org/ai"
