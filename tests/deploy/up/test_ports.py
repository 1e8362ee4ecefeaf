"""Ports are checked before anything slow begins."""

import socket

import pytest

from agent.settings import AgentSettings
from deploy.errors import PortInUseError
from deploy.up.ports import claim


def test_zero_takes_free_ports() -> None:
    """Port 0 becomes a free port, another one for the console."""
    settings = claim(AgentSettings(port=0, console_port=0))
    assert settings.port > 0
    assert settings.console_port > 0


def test_port_in_use_is_told_with_the_flag_that_changes_it() -> None:
    """A port that somebody listens on is named, with the flag that chooses another."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(PortInUseError, match=f"port {taken} is in use.*--console-port"):
            claim(AgentSettings(port=0, console_port=taken))


def test_address_of_another_machine_is_told() -> None:
    """An address that this machine does not have is an error that names it."""
    with pytest.raises(PortInUseError, match=r"cannot listen on 192\.0\.2\.1"):
        claim(AgentSettings(host="192.0.2.1", port=0))
