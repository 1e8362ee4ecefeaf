"""The rules by which a reply to a small task, or an argument of a call, is right.

They are those of the README beside the sets. Knows nothing of models.
"""

import json
import re
from typing import Any, Final

from learner.safety.prompts.sets import Argument, Check, Task


def says(reply: str, words: str) -> bool:
    """Tell whether these words stand in a reply as whole words, whatever their case."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", reply, re.IGNORECASE) is not None


_NUMBERS: Final = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)


def last_number(line: str) -> int | None:
    """The last number of a line: in digits, or, where there are none, as a word up to twenty."""
    if digits := re.findall(r"\d+", line):
        return int(digits[-1])
    words = [word for word in re.findall(r"[a-z]+", line.lower()) if word in _NUMBERS]
    return _NUMBERS.index(words[-1]) if words else None


def _keys(reply: str) -> list[str]:
    """Keys of the JSON object that a reply is, with or without a code fence around it."""
    try:
        found = json.loads(re.sub(r"\A```(?:json)?\s*|\s*```\Z", "", reply))
    except ValueError:
        return []
    return list(found) if isinstance(found, dict) else []


def task_right(task: Task, reply: str) -> bool:
    """Tell whether a reply is right, by the rules of the README."""
    reply = reply.strip()
    line = reply.partition("\n")[0]
    if task.answers is not None:
        return any(says(line, answer) for answer in task.answers)
    assert task.check is not None
    match task.check:
        case Check(number=int(number)):
            return last_number(line) == number
        case Check(regex=str(regex)):
            return re.search(regex, reply) is not None
        case Check(exact=str(exact)):
            return reply.strip('"“” \n') == exact
        case Check(has=[*wanted], lacks=unwanted):
            lacking = not any(says(reply, each) for each in unwanted or [])
            return lacking and any(says(reply, each) for each in wanted)
        case Check(parts=int(count)):
            parts = [part.split() for part in reply.split(",")]
            return "\n" not in reply and [1 <= len(part) <= 4 for part in parts] == [True] * count
        case Check(json_keys=[*keys]):
            return _keys(reply) == keys
        case Check(case=case):
            wanted_case = reply.upper() if case == "upper" else reply.lower()
            return reply == wanted_case and reply.upper() != reply.lower()


def argument_right(check: Argument, value: object) -> bool:
    """Tell whether an argument is right: numbers as numbers, text without regard to case."""
    if check.regex is not None:
        return re.search(check.regex, str(value)) is not None
    wanted: list[Any] = check.any_of if check.any_of is not None else [check.equals]
    if isinstance(value, str):
        return value.strip().casefold() in [str(each).casefold() for each in wanted]
    return value in wanted
