"""Writes JSON that was begun as a grammar of JSON has it: that takes one spelling of a character.

A model or a client may write others, as valid: escapes of what needs none, and more white space.

Knows nothing of grammars.
"""

import json
import re
from typing import Final

from agent.constrain.source import MAX_SPACE

_PARTS: Final = re.compile(rf'"(?:[^"\\]|\\.)*+"?|[ \n\r\t]{{{MAX_SPACE + 1},}}', re.DOTALL)
# One that is whole: of half of a surrogate pair, the other half is still to come.
_ESCAPE: Final = re.compile(
    r'\\(?:["\\/bfnrt]|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}'
    r"|u(?![dD][89a-fA-F])[0-9a-fA-F]{4})"
)


def as_held(begun: str) -> str:
    r"""Return the beginning of a JSON text in a grammar's spelling; what it says stays the same.

    >>> print(as_held(r'{"a\/b": "caf\u00e9 \ud83d\ude00 \\u00e9 \n \ud8'))
    {"a/b": "café 😀 \\u00e9 \n \ud8
    """
    return _PARTS.sub(_part, begun)


def _part(found: re.Match[str]) -> str:
    if found[0].startswith('"'):
        return _ESCAPE.sub(_character, found[0]).replace("\x7f", "\\u007f")
    return found[0][:MAX_SPACE]


def _character(escape: re.Match[str]) -> str:
    return json.dumps(json.loads(f'"{escape[0]}"'), ensure_ascii=False)[1:-1]
