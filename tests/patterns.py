"""Finds our regular expressions, and texts that may take them for ever to refuse.

Such a text repeats what a repetition in the pattern may take, and ends with what fits nothing:
where the same letters can be taken in two ways, every repetition doubles what is tried.
"""

import ast
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib import import_module
from itertools import product
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, Final

OURS: Final = ("agent", "learner", "streams")
Pattern = re.Pattern[str] | re.Pattern[bytes]

_ROOT: Final = Path(__file__).parent.parent
_PARSER: Final[Any] = import_module("re._parser")
# Of the texts that a part of a pattern may take, so many are tried: all alternatives of a list.
_MOST: Final = 24
_MOST_BEFORE: Final = 3  # and of what stands before a repetition
# A repetition of fewer costs little, however it is taken.
_LONG: Final = 16
_ENDS: Final = ("\x01", "x")  # in no class but the negated ones, and in many
# Doubled at each repetition, the first of these are found; the last is as long as a short wish.
_TIMES: Final = (16, 20, 24, 400)
_LONG_CHARS: Final = (10_000, 40_000)  # pasted texts, from their beginning on
_OF_KIND: Final = {
    "CATEGORY_DIGIT": "0", "CATEGORY_NOT_DIGIT": "a", "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": "a", "CATEGORY_WORD": "a", "CATEGORY_NOT_WORD": "-",
}  # fmt: skip
_ANY: Final = tuple("a -0\"'.:(\n")


def patterns(packages: Collection[str] = OURS) -> dict[str, Pattern]:
    """Return the patterns that modules hold, or write where they use them, each by its place."""
    found: dict[str, Pattern] = {}
    for package in packages:
        for info in walk_packages(import_module(package).__path__, f"{package}."):
            if info.name.endswith("__main__"):
                continue
            try:
                module = import_module(info.name)
            except ImportError:
                continue  # what it adapts is not installed here
            for name, value in vars(module).items():
                for number, each in enumerate(_held(value, set())):
                    found[f"{info.name}:{name}:{number}"] = each
        for file in sorted((_ROOT / package).rglob("*.py")):
            for line, each in _written(file):
                found[f"{file.relative_to(_ROOT)}:{line}"] = each
    alike = {each: place for place, each in found.items()}
    return {place: each for each, place in alike.items()}


def _held(value: Any, seen: set[int]) -> Iterator[Pattern]:
    if isinstance(value, re.Pattern):
        yield value
    elif id(value) not in seen:
        seen.add(id(value))
        for each in _parts(value):
            yield from _held(each, seen)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, tuple | list | set | frozenset):
        return value
    if isinstance(value, type):
        return vars(value).values() if value.__module__.partition(".")[0] in OURS else ()
    if is_dataclass(value):
        return [getattr(value, each.name, None) for each in fields(value)]
    return ()


def _written(file: Path) -> Iterator[tuple[int, Pattern]]:
    """Yield what is given to a function of `re` as it stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="re"), attr=attr),
                args=[ast.Constant(value=str() | bytes() as said), *_],
            ) if attr not in ("compile", "escape"):
                yield node.lineno, re.compile(said)


def slowest(pattern: Pattern, *, most_s: float) -> tuple[float, str]:
    """Return the longest that a pattern took of the processor for a text, and how it is made.

    most_s: after what takes longer, nothing more is tried
    """
    worst = (0.0, "")
    for before, repeated in _repetitions(pattern):
        tried: list[tuple[int, tuple[Any, ...]]] = [
            *((times, (pattern.search, pattern.fullmatch)) for times in _TIMES),
            *((chars // len(repeated), (pattern.match,)) for chars in _LONG_CHARS),
        ]
        for end, (times, ways) in product(_ENDS, tried):
            took_s = _took_s(before + repeated * times + end, ways)
            worst = max(worst, (took_s, f"{before!r} + {repeated!r} * {times} + {end!r}"))
            if took_s > most_s:
                return worst
    return worst


def _took_s(text: str, ways: Sequence[Any]) -> float:
    said = text.encode() if isinstance(ways[0].__self__.pattern, bytes) else text
    start_s = time.thread_time()
    for way in ways:
        way(said)
    return time.thread_time() - start_s


def _repetitions(pattern: Pattern) -> list[tuple[str, str]]:
    """Return what may be repeated in a pattern, behind what leads there and by itself."""
    source = pattern.pattern
    if isinstance(source, bytes):
        source = source.decode("latin-1")
    texts = _Texts()
    texts.of(_PARSER.parse(source, pattern.flags & ~re.ASCII))
    return list(dict.fromkeys(texts.repeated))


class _Texts:
    """Texts that the parts of a pattern may take, and those among them that may be repeated."""

    def __init__(self) -> None:
        self.repeated: list[tuple[str, str]] = []
        self._groups: dict[int, list[str]] = {}

    def of(self, parts: Iterable[tuple[Any, Any]]) -> list[str]:
        """Return texts that parts one behind the other take."""
        found = [""]
        for kind, part in parts:
            found = _some(map("".join, product(found, self._of_one(str(kind), part, found))))
        return found

    def _of_one(self, kind: str, part: Any, before: Sequence[str]) -> list[str]:
        match kind:
            case "LITERAL":
                return [chr(part)]
            case "NOT_LITERAL":
                return [each for each in _ANY if each != chr(part)][:2]
            case "ANY":
                return list(_ANY[:2])
            case "IN":
                return _of_class(part)
            case "BRANCH":
                return _some(text for branch in part[1] for text in self.of(branch))
            case "SUBPATTERN":
                self._groups[part[0]] = self.of(part[3])
                return self._groups[part[0]]
            case "ATOMIC_GROUP":
                return self.of(part)
            case "GROUPREF":
                return self._groups.get(part, [""])[:1]
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, repeated = part
                return self._of_repetition(least, most, repeated, before)
        return [""]  # it takes nothing: an edge, or what must stand before or behind

    def _of_repetition(self, least: int, most: int, part: Any, before: Sequence[str]) -> list[str]:
        once = self.of(part)
        if most >= _LONG:
            leading = dict.fromkeys(("", *before[:_MOST_BEFORE]))
            self.repeated += [(lead, text) for lead in leading for text in once if text]
        more = [text * (least + 1) for text in once] if most > least else []
        return _some([*(text * least for text in once), *more])


def _of_class(parts: Sequence[tuple[Any, Any]]) -> list[str]:
    found: list[str] = []
    for kind, part in parts:
        match str(kind):
            case "LITERAL":
                found.append(chr(part))
            case "RANGE":
                found += [chr(part[0]), chr(part[1])]
            case "CATEGORY":
                found.append(_OF_KIND[str(part)])
    if str(parts[0][0]) == "NEGATE":
        return [each for each in _ANY if each not in found][:4]
    return _some(found)


def _some(texts: Iterable[str]) -> list[str]:
    """Return some of many texts, from the first to the last."""
    found = list(dict.fromkeys(texts))
    step = max(1.0, len(found) / _MOST)
    return [found[int(place * step)] for place in range(min(len(found), _MOST))]
