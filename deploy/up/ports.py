"""Ports: whether one is free, said before anything slow begins."""

import errno
import socket

from agent.settings import AgentSettings
from deploy.errors import PortInUseError


def claim(settings: AgentSettings) -> AgentSettings:
    """Check that both ports of the agent can be bound, and choose one for each that is 0.

    raises: PortInUseError saying which port of which address cannot be had, and what to do
    """
    port = _claim(settings.host, settings.port, flag="--port")
    console_port = _claim(settings.console_host, settings.console_port, flag="--console-port")
    return settings.model_copy(update={"port": port, "console_port": console_port})


def _claim(host: str, port: int, *, flag: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as door:
        # As the server itself does, so that a port in TIME_WAIT counts as free here too.
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            door.bind((host, port))
        except OSError as cause:
            raise PortInUseError(_why(cause, host, port, flag)) from cause
        return int(door.getsockname()[1])


def _why(cause: OSError, host: str, port: int, flag: str) -> str:
    if cause.errno == errno.EADDRINUSE:
        return f"port {port} is in use: stop what listens there, or choose another with {flag}"
    if cause.errno == errno.EACCES:
        return f"port {port} needs more rights: choose one above 1023 with {flag}"
    return f"cannot listen on {host}:{port}: {cause.strerror or cause}"


def url(host: str, port: int) -> str:
    """Return the address that a person on this machine opens.

    >>> url("0.0.0.0", 8321)
    'http://127.0.0.1:8321'
    """
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    if ":" in reached and not reached.startswith("["):
        reached = f"[{reached}]"
    return f"http://{reached}:{port}"
