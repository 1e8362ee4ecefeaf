"""The operators' console: see what serves and what is learned, and take a version back.

For others: this module.
"""

from agent.console.app import build_console

__all__ = ["build_console"]
