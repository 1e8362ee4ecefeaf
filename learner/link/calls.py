"""Tells whether a call of a tool, as a client sends it back, is one that a reply has made.

Frameworks put a server's or a module's name before the tool's ("functions.look",
"mcp__files__look"), leave empty arguments out, and add the defaults of those that were not given.

Knows calls as learner.link.pieces.calls_of writes them: JSON of a name and its arguments.
"""

import json
import re
from typing import Any, Final

_PARTS: Final = re.compile(r"[./:]|__")
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


def is_same_call(shown: str, made: str) -> bool:
    """Return whether a call that a request shows is one that was made.

    >>> is_same_call('["functions.look",{"at":"sky","deep":false}]', '["look",{"at":"sky"}]')
    True
    >>> is_same_call('["look",{"at":"sea"}]', '["look",{"at":"sky"}]')
    False
    """
    if shown == made:
        return True
    (name, told), (own, given) = json.loads(shown), json.loads(made)
    if not _is_named_alike(str(name), str(own)):
        return False
    if not isinstance(told, dict) or not isinstance(given, dict):
        return bool(told == given)
    kept = {key: value for key, value in given.items() if value not in _EMPTY}
    return all(key in told and told[key] == value for key, value in kept.items())


def _is_named_alike(one: str, other: str) -> bool:
    """Return whether two names are one, or one is the other behind names of where it is."""
    short, long = sorted((_PARTS.split(one), _PARTS.split(other)), key=len)
    return short == long[-len(short) :]
