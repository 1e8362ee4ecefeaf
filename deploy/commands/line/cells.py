"""Cells of the tables that commands print: times and figures."""

from datetime import datetime


def moment(unix_ms: int) -> str:
    """Return a time of this machine, without the year."""
    return datetime.fromtimestamp(unix_ms / 1000).strftime("%m-%d %H:%M:%S")


def signed(value: object) -> str:
    """Return a figure with its sign, or a dash where there is none."""
    return f"{value:+.3g}" if isinstance(value, float) else "–"
