"""Tells whether a text is what a client has made of another: cut, marked, rendered, wrapped.

Where hashes differ, questions and replies are compared here, by the letters and figures that are
read of them (learner.link.letters). Bold marks, bullets, quotes and links look different in every
client, words do not.

Everything takes time in proportion to the texts, whatever they hold. Knows nothing of turns.
"""

import re
from collections.abc import Iterable
from typing import Final

from learner.link.letters import bare, letters, read, untagged, without_blocks
from learner.link.normal import normal, spoken

# So many letters of a whole text must be left when a client has trimmed it: less stands anywhere.
# Characters of Chinese and Japanese count twice.
LEFT_CHARS: Final = 16
_EASTERN: Final = "\u2e80"
# What clients put where they have left something out.
_OUT: Final = r"(?:truncated|omitted|cut|stopped|snip)"
_DOTS: Final = r"(?:\.{3}|…)"
_GAP: Final = re.compile(
    rf"\[{_DOTS}(?:\s?{_OUT}\s?{_DOTS}?)?\]|\[{_OUT}\s?{_DOTS}?\]|[<(]{_OUT}[>)]"
    rf"|{_DOTS}(?:\s{{0,3}}(?:read|show|see) more\s*\Z)?",
    re.IGNORECASE,
)
# Where no gap is marked, so much of the whole must be left: others say some of the same lines.
_MOST: Final = 2 / 3
# What they put behind a reply that somebody has stopped: "[interrupted by user]", "*stopped*", ⏹.
_NOTE: Final = re.compile(
    r"\s*(?:[\[(（【*_]{1,3}[^\[\]()（）【】\n]{2,40}[\])）】*_]{1,3}|[⏹■]\ufe0f?)\s*\Z"
)
# What stands for a reply that was left out: nothing but a note, or dots.
_MARK: Final = re.compile(r"\s*+(?:[\[(（【<*_]{1,3}[^\n]{0,60}[\])）】>*_]{1,3}|[.…]*)\s*\Z")
# Where a note may stand, from the end.
_NOTE_CHARS: Final = 60
_OPENING: Final = re.compile(r"<([a-z][\w-]{0,40})(?:\s[^<>]{0,200})?>", re.IGNORECASE)
# What may stand between a short question and the edge of its line: "ann: hi", "[12:03] hi".
_BEFORE: Final = tuple(":]>)：】")
_BEHIND: Final = tuple("<[(")
# The same of a reply: a name, and no sentence.
_NAME: Final = re.compile(r"\W{0,3}\w[\w -]{0,40}\W{0,2}[:：>\])】]\W{0,3}")
# How long ago, in eight languages; and the hour in words, in English.
_UNIT: Final = (
    r"(?:s(?:ec|eg|ek)?|m(?:in)?|h|d|(?:sec|seg|sek|min|hour|heure|hor|stund|std|or[ae]|day|tag|jour|d[ií]a"
    r"|giorn|segund|sekund|second)[^\W\d]{0,6})\b\.?"
)
_AGO: Final = (
    rf"\b\d{{1,3}}\s?{_UNIT}\s(?:ago|fa|atrás)\b|\b(?:vor|il y a|hace|há)\s\d{{1,3}}\s?{_UNIT}"
    r"|\d{1,3}\s?(?:秒|分钟?|小时|時間|天|日)前|\bjust now\b"
)
_HOUR: Final = (
    r"\b(?:\d{1,2}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve) o['’]clock\b"
)
# A day or a moment, which clients put around questions, and around old ones anew.
_TIME: Final = (
    r"(?:\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\b\d{4}-W\d\d(?:-[1-7])?\b"
    r"|\b\d{1,2}:\d\d(?::\d\d)?|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b|\b1[6-9]\d{8}(?:\d{3})?\b"
    rf"|{_AGO}|{_HOUR})"
)
_MOMENT: Final = re.compile(_TIME, re.IGNORECASE)
_TIMES: Final = rf"{_TIME}(?:,?\s{{1,2}}(?:at\s)?{_TIME})?"
# One as a program writes it, to the second; people ask for no such.
_EXACT: Final = (
    r"(?:\d{4}-\d\d-\d\d(?:T\d\d:\d\d|\s\d\d:\d\d:\d\d)[\d:.Z+-]{0,20}|\d{4}-W\d\d-[1-7]\b"
    r"|\b1[6-9]\d{8}(?:\d{3})?\b)"
)
# One with its day in words, in eight languages, as clocks write it.
_WEEKDAY: Final = (
    r"(?:mon|tue|wed|thu|fri|sat|sun|die|mit|don|fre|sam|son|lun|mar|mi[eé]|jue|vie|s[aá]b|dom|mer"
    r"|jeu|ven|dim|seg|ter|qua|qui|sex|gio|周|星期)[^\W\d]{0,8}(?:-feira)?\.?"
)
_MONTH: Final = (
    r"(?:jan|ene|gen|f[eé][bv]|m[aä]r|apr|abr|avr|ma[iy]|mag|jun|jui|giu|jul|lug|aug|ago|aoû|sep|set"
    r"|o[ck]t|out|ott|nov|d[eé][cz]|dic)[^\W\d]{0,8}\.?"
)
_DAY: Final = r"\d{1,2}(?:st|nd|rd|th|er|\.)?"
_DATE: Final = (
    rf"(?:(?:{_MONTH}[ -]{_DAY}|{_DAY}[ -](?:de )?{_MONTH})(?:,?[ -](?:del? )?\d{{4}})?"
    r"|\d{4}年\d{1,2}月\d{1,2}日)"
)
_AT: Final = r",?\s{1,2}(?:(?:at|um|à|às|a las|alle(?: ore)?)\s)?"
_ZONE: Final = r"(?:\s(?:utc|gmt|ces?t|[ecmp][sd]t|bst|ist|jst)\b)?(?:\s\d{4}\b)?"
_SPOKEN: Final = (
    rf"(?:{_WEEKDAY}{_AT})?(?:{_DATE}{_AT}(?:{_WEEKDAY}{_AT})?)?{_TIMES}"
    rf"(?:\s?[ap]\.?m\b\.?)?{_ZONE}"
)
_IN_BRACKETS: Final = rf"[^\[\](){{}}\n]{{0,40}}?{_TIME}[^\[\](){{}}\n]{{0,40}}"
_WHO: Final = r"[\w .'@-]{1,40}"
_ENDS: Final = r"(?:^|(?<=[.!?…。？！]))\s{0,4}"
# What stands before one that tells when something was asked.
_LABEL: Final = (
    r"(?:(?:current|local|server|system|utc)[ _-]?(?:date|day|time)(?:[ _]?(?:and|&|/)[ _]?time)?"
    r"|today['’]s (?:date|time)|date[ _]?(?:and|&|/)?[ _]?time|time[ _]?stamp"
    r"|aktuelle[sr]? (?:datum|uhrzeit|zeit)"
    r"|(?:fecha|hora|heure|date|data|ora) (?:actual|actuelle|atual|attuale)"
    r"|当前时间|当前日期|現在時刻)"
)
# The same with nothing between it and the moment: "Today: a table at 19:00" asks for one.
_NOW: Final = (
    r"(?<!\w )(?:now|today|jetzt|heute|ahora|hoy|maintenant|agora|hoje|adesso|oggi|现在|現在)"
)
# The same before an exact one only, as a line's or a field's name: people write these, too.
_FIELD: Final = (
    r"(?:^[^\w\n]{0,6}|[\"'])(?:date|time|sent(?:[ _]at)?)[\"'*_]{0,3}\s?[:=：][\"'*_\s]{0,4}"
)
# What may stand between: "heute ist der 5. März", "hoy es el 5 de marzo".
_ARTICLE: Final = r"(?:(?<=[a-zéè]\s)(?:the|it is|der|den|es|el|il|le|dia)\s)?"
_IS: Final = r"[\"'*_]{0,3}\s?(?:[:=：]|is|ist|es|est|è|é)[\"'*_\s]{0,4}"
# Where a moment tells when something was asked, and is no part of it: at the edge of a line in
# brackets, behind a label, before who said it, or alone. "Wake me at 7:00" asks for one.
_STAMP: Final = re.compile(
    "|".join(
        (
            rf"^[^\w\n]{{0,4}}?[\[(（【]{_IN_BRACKETS}[\])）】]",
            rf"^{_WHO}[\[(（]{_IN_BRACKETS}[\])）]\s?[:：]",
            rf"[\[【]{_IN_BRACKETS}[\]】]\s*$",
            rf"{_ENDS}[(（]{_IN_BRACKETS}[)）]\s*$",
            rf"(?:{_LABEL}{_IS}(?:[^\W\d]{{2,12}}\.?,?\s{{1,2}}){{0,2}}?|{_NOW}{_IS}"
            rf"{_ARTICLE}|{_ENDS}(?:it(?:['’]s|\sis) (?:now|currently)\s|now it(?:['’]s|\sis)\s"
            rf"|es ist jetzt\s|现在是\s?))(?P<told>{_SPOKEN})",
            rf"{_FIELD}{_EXACT}",
            rf"^\s{{0,4}}{_TIMES}\s{{1,3}}(?:[-–—|]\s{{1,3}}{_WHO}[:：]|<{_WHO}>)\s",
            rf"^\s{{0,4}}{_EXACT}",
            rf"{_ENDS}{_EXACT}\s*$",
        )
    ),
    re.IGNORECASE | re.MULTILINE,
)
# Where a prompt that was made of a question has it: behind "Question:", or below such a heading.
_QUESTION: Final = re.compile(
    r"^[\W_]{0,6}(?:(?:user['’]?s?[ _])?(?:question|query|request)|user (?:message|input)|frage|"
    r"pregunta|domanda|pergunta|问题|用户(?:消息|问题)为?|質問)[*_ ]{0,3}[:：\n]\s{0,4}(.{1,2000})",
    re.IGNORECASE | re.MULTILINE,
)


def comes_from(shown: str, whole: str, *, cut: bool) -> bool:
    """Tell whether a client has made a text of a reply.

    It says the same, or parts of it in their order, or all of it with something around it.
    cut: the reply was cut, so that any beginning of it may be all that was seen

    >>> reply = "Rinse it with cold water, then dab it with soap."
    >>> [comes_from(x, reply, cut=False) for x in ("Rinse it with cold … with soap.", "Rinse it")]
    [True, False]
    """
    said = bare(whole)
    if not said:
        return False
    if (_size(said) >= LEFT_CHARS and said in bare(shown)) or _stands_apart(whole, shown):
        return True
    return any(_is_of(text, said, cut=cut) for text in (shown, _without_note(shown)))


def is_mark(text: str) -> bool:
    """Tell whether a text only says that something was left out there.

    >>> [is_mark(x) for x in ("[earlier reply omitted]", "…", "Yes. [1]")]
    [True, True, False]
    """
    return _MARK.match(text) is not None


def holds(one: str, other: str) -> bool:
    """Tell whether one of two questions is the other with something around it.

    A short question must stand on a line of its own, perhaps behind a label: its letters are found
    in any text. Blocks in tags are a client's, and may differ, unless the tag says it is asked.

    >>> holds("<env>a.py</env> Why?", "<env>b.py</env> Why?"), holds("ann: hi", "hi")
    (True, True)
    >>> holds("What is this?", "hi"), holds("Do it: <task>Sing</task>", "Do it: <task>Rest</task>")
    (False, False)
    """
    short, long = sorted((_GAP.sub("", one), _GAP.sub("", other)), key=lambda x: len(normal(x)))
    asked = normal(short)
    if asked and asked in normal(long) and (_size(asked) >= LEFT_CHARS or _on_a_line(asked, long)):
        return True
    rests = [bare(without_blocks(untagged(text), _OPENING)) for text in (one, other)]
    if rests[0] and rests[0] == rests[1]:
        return True
    return _differ_in_moments(one, other) or _made_of_one(one, other)


def behind_stamp(text: str) -> str | None:
    """Return what stands behind the moment with which a client begins a text; None: there is none.

    >>> behind_stamp("[2026-03-01 12:00] Why?"), behind_stamp("Current time: 12:00.\\nWhy?")
    ('Why?', 'Why?')
    >>> behind_stamp("12:00 is late. Why?") is None
    True
    """
    stamp = _STAMP.match(text.lstrip())
    rest = text.lstrip()[stamp.end() :].lstrip(" .,;:，。\t\n") if stamp else ""
    return rest or None


def _is_of(text: str, said: str, *, cut: bool) -> bool:
    """Tell whether a text is a reply's letters, or parts of it in their order, line by line."""
    parts = [part for part in _GAP.split(read(text)) if letters(part)]
    if not parts:
        return False
    first = letters(parts[0])
    if "".join(map(letters, parts)) == said or (cut and len(parts) == 1 and said.startswith(first)):
        return True
    pieces = [piece for part in parts for piece in map(letters, part.splitlines()) if piece]
    enough = _size(said) * _MOST if len(parts) == 1 and len(pieces) > 1 else 0
    return sum(map(_size, pieces)) >= max(LEFT_CHARS, enough) and _in_order(pieces, said)


def _stands_apart(whole: str, shown: str) -> bool:
    """Tell whether a reply is the first or the last line of a text, perhaps behind a name."""
    asked = normal(spoken(whole))
    lines = [line for line in shown.splitlines() if line.strip()]
    for line in (*lines[:1], *lines[-1:]):
        name = _NAME.match(line)
        if asked in (normal(line.strip("*_ ")), normal(line[name.end() :]) if name else ""):
            return True
    return False


def _size(text: str) -> int:
    return len(text) + sum(char >= _EASTERN for char in text)


def _in_order(pieces: Iterable[str], said: str) -> bool:
    place = 0
    for piece in pieces:
        found = said.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _without_note(text: str) -> str:
    end = text.rstrip()
    return end[:-_NOTE_CHARS] + _NOTE.sub("", end[-_NOTE_CHARS:])


def _on_a_line(asked: str, text: str) -> bool:
    for line in map(normal, text.splitlines()):
        before, found, behind = line.partition(asked)
        edges = (not before or before.endswith(_BEFORE), not behind or behind.startswith(_BEHIND))
        if found and all(edges):
            return True
    return False


def _differ_in_moments(one: str, other: str) -> bool:
    """Tell whether two questions are the same but for when they were asked, which both say."""
    if not (_MOMENT.search(one) and _MOMENT.search(other)):
        return False
    rests = _without_stamps(one), _without_stamps(other)
    if rests[0] == one or rests[1] == other:
        return False
    asked = bare(rests[0]), bare(rests[1])
    return bool(asked[0]) and asked[0] == asked[1]


def _without_stamps(text: str) -> str:
    return _STAMP.sub(_without_moment, text)


def _without_moment(stamp: re.Match[str]) -> str:
    told = stamp["told"]  # behind a label, with what else it says of the day
    return stamp[0].removesuffix(told) if told else _MOMENT.sub("", stamp[0])


def _made_of_one(one: str, other: str) -> bool:
    """Tell whether two prompts were made of one question, which both say is one."""
    asked = [
        normal(found[-1]) if (found := _QUESTION.findall(text)) else "" for text in (one, other)
    ]
    return asked[0] != "" and asked[0] == asked[1]
