"""Text columns that hold every string of Python, on every database, and return it back unchanged.

PostgreSQL refuses the character NUL, and neither database takes half of a surrogate pair; a user's
text, a hint or a tool's output may hold both. Such a character is stored as the control character
DLE ("data link escape", U+0010) and its number in four hexadecimal digits, and so is a DLE itself;
all other text is stored as it is. JSON columns need none of this: JSON has escapes of its own.
"""

import re
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.types import TypeDecorator
from sqlmodel.sql.sqltypes import AutoString

DLE = "\x10"
_UNSTORABLE = re.compile("[\x00\x10\ud800-\udfff]")
_ESCAPED = re.compile(DLE + "([0-9a-f]{4})")


class AnyText(TypeDecorator[str]):
    """A text column without forbidden characters, in statements and in results."""

    impl = AutoString
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002
        """Return the text as it is stored."""
        return None if value is None else stored(value)

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:  # noqa: ARG002
        """Return the text as it was."""
        return None if value is None else restored(value)


def stored(text: str) -> str:
    r"""Return a text without the characters that a database refuses.

    >>> stored("a\0b")
    'a\x100000b'
    """
    return _UNSTORABLE.sub(lambda found: f"{DLE}{ord(found[0]):04x}", text)


def restored(text: str) -> str:
    """Return the text that was stored."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def hold_any_text(metadata: MetaData) -> None:
    """Make every text column of these tables hold any text."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, AutoString):
                column.type = AnyText()
