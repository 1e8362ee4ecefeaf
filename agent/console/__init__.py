"""The operators' console: see what serves and what is learned, and take a version back.

For others: this module.

access decides whom it lets in, read/ what there is to see (one file a section), live how that
reaches open pages, write what may be changed.
"""

from agent.console.app import build_console

__all__ = ["build_console"]
