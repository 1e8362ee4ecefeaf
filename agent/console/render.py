"""Makes HTML of a view's data: templates that escape every text, and the words for figures.

Texts of models, users and operators are data: nothing marks them as HTML, and the templates put
them between tags or into quoted attributes only.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import ChainableUndefined, Environment, FileSystemLoader

from streams.line.said import did

_TEMPLATES = Path(__file__).parent / "templates"
SHORT: Final = 8  # digits of a version that tell it from all others of a line


class Pages:
    """The templates of the console."""

    def __init__(self) -> None:
        """Find them; each page is read when it is first shown."""
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            # a row that another build wrote lacks what this one shows: a gap, and no failed page
            undefined=ChainableUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "count": count, "number": number, "signed": signed, "percent": percent,
            "sentence": sentence, "short": short, "moment": moment, "seconds": seconds,
            "ranges": ranges, "pretty": pretty, "size": size, "lifted": lifted, "turn_of": turn_of,
            "did": did,
        }  # fmt: skip
        parts = self._environment.get_template("parts.html")
        self._environment.globals["parts"] = parts.module

    def html(self, name: str, values: Mapping[str, Any]) -> str:
        """Return a page. name: of its template, without the ending"""
        return self._environment.get_template(f"{name}.html").render(values)


def number(value: float | None) -> str:
    r"""Write a whole number with its thousands apart.

    >>> number(12345), number(None)
    ('12\u202f345', '–')
    """
    return "–" if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def count(value: int, noun: str) -> str:
    """Write how many there are of something.

    >>> count(1, "turn"), count(2, "reply")
    ('1 turn', '2 replies')
    """
    if value != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number(value)} {noun}"


def signed(value: float | None, digits: int = 2) -> str:
    """Write a number with its sign; of large ones no fractions.

    >>> signed(-0.421), signed(3.0, 0), signed(-21.7), signed(None)
    ('−0.42', '+3', '−22', '–')
    """
    if value is None:
        return "–"
    digits = 0 if abs(value) >= 10 else digits
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def percent(value: float | None) -> str:
    r"""Write a share.

    >>> percent(0.05), percent(0.075), percent(1.0), percent(0.0004)
    ('5\xa0%', '7.5\xa0%', '100\xa0%', '0.04\xa0%')
    """
    if value is None:
        return "–"
    return f"{100 * value:.2f}".rstrip("0").rstrip(".") + "\N{NO-BREAK SPACE}%"


def sentence(text: str) -> str:
    """Begin a text with a capital, where it begins with a word and not with a name in digits.

    >>> sentence("asked again"), sentence("fb86140e0f2fa584 serves")
    ('Asked again', 'fb86140e0f2fa584 serves')
    """
    is_name = any(each.isdigit() for each in text.partition(" ")[0])
    return text if is_name else text[:1].upper() + text[1:]


def short(name: str | None) -> str:
    """The first digits of a version or a digest."""
    return (name or "–")[:SHORT]


def moment(ms: int | None) -> str:
    """Write Unix milliseconds as a moment; the page shows it in the reader's own time.

    >>> moment(1_790_000_000_000)
    '2026-09-21 14:13:20 UTC'
    """
    if ms is None:
        return "–"
    try:
        return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (OverflowError, ValueError, OSError):  # a clock that was never set, or set wildly
        return f"{ms} ms"


def seconds(value: float | None) -> str:
    """Write a time in the unit that fits.

    >>> seconds(0.0841), seconds(12.34), seconds(600), seconds(90_000)
    ('84 ms', '12.3 s', '10 min', '25 h')
    """
    if value is None:
        return "–"
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 120:
        return f"{value:.1f}".removesuffix(".0") + " s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.0f} h"


def size(num_bytes: int) -> str:
    """Write how many bytes something has.

    >>> size(512), size(20_480)
    ('512 B', '20 KiB')
    """
    for unit, least in (("MiB", 2**20), ("KiB", 2**10)):
        if num_bytes >= least:
            return f"{num_bytes / least:.0f} {unit}"
    return f"{num_bytes} B"


def ranges(numbers: list[int]) -> str:
    """Write whole numbers as ranges.

    >>> ranges([22, 23, 24, 27])
    '22–24, 27'
    """
    parts: list[list[int]] = []
    for value in sorted(numbers):
        if parts and value == parts[-1][-1] + 1:
            parts[-1].append(value)
        else:
            parts.append([value])
    return ", ".join(str(part[0]) if len(part) == 1 else f"{part[0]}–{part[-1]}" for part in parts)


def lifted(value: float, low: float, high: float, width: float = 100.0) -> float:
    """Place a value of a scale on a drawing, held within its ends.

    >>> lifted(0.0, -1, 1), lifted(9.0, -1, 1)
    (50.0, 100.0)
    """
    return round(min(max((value - low) / ((high - low) or 1), 0.0), 1.0) * width, 2)


def turn_of(id: str, turns: Mapping[str, Any]) -> Any:
    """Find a turn by its id; None: it is not kept any more."""
    return turns.get(id)


def pretty(value: Any) -> str:
    """Write a JSON value as a person reads it.

    >>> pretty(True), pretty(None), pretty([1, 2]), pretty("x")
    ('yes', 'none', '1, 2', 'x')
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        return ", ".join(map(pretty, value)) or "none"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
