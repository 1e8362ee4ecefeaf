"""The operators' console: see what serves and what is learned, and take a version back.

For others: this module.

access/ decides whom it lets in, views/ what a page shows (one file each), read/ what all
share (one file a section), site and render how a page is made of it, live how open pages hear what
changed, write and letters what may be changed.
"""

from agent.console.app import build_console

__all__ = ["build_console"]
