"""Probe: five small tasks (facts, sums, spelling, copying, format), by what is right and wrong.

Of each item one right continuation stands beside wrong ones, which follow from its check by the
rules below; a test holds them to the rules of the sets' README. So an ability is seen to fall
without a reply being written: `scored` gives each task by itself, for whoever watches them.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Final

from kernels.model.forward import Decoder
from learner.safety.probe import FallProbe, Measurement, Probe
from learner.safety.prompts.sets import Task, Tasks, load_set
from learner.safety.readings.asking import Subject
from learner.safety.readings.choices import Choice, Leads, TokenIds
from learner.safety.readings.phrasings import phrased, spread_over
from learner.safety.readings.sets import Sets
from learner.settings import LearnerSettings
from streams.records import Message

TASKS: Final = ("facts", "sums", "spelling", "copying", "format")

# What a model says that does not keep to a form: none of the checks of form lets it through.
_CHATTER: Final = ("Sure, here is what you asked for:", "I am happy to help you with that, and")
# Few replies begin with the bare answer: these tasks' begin with words before it.
_SAID: Final = {"facts": "The answer is", "sums": "The answer is"}
# Items of the same task whose answers stand as wrong ones.
_NEIGHBOURS: Final = 3


def scored(sets: Sets, decoder: Decoder) -> dict[str, Leads]:
    """Score a version on each of the five tasks; `Leads.right` is the mean right, 0..1."""
    return {
        name: sets.leads(f"tasks.{name}", decoder, partial(choices, task=name)) for name in TASKS
    }


def choices(sets: Sets, task: str) -> list[Choice]:
    """Return a task's items as they are asked, each in five phrasings."""
    items = load_set("tasks", Tasks).tasks[task].items  # type: ignore[index]
    return [
        Choice(
            item=item.id,
            prompt=_begun(sets, task, wording),
            right=sets.tokens(_behind_opening(task, right_reply(item))),
            wrong=sets.tokens(
                *(_behind_opening(task, each) for each in wrong_replies(task, items, item))
            ),
            likelihood="sum" if task in _SAID else "mean",
        )
        for item in spread_over(items, sets.count)
        for wording in phrased(item.prompt)
    ]


def _begun(sets: Sets, task: str, wording: str) -> TokenIds:
    """Return a question up to where right and wrong part."""
    if task not in _SAID:
        return sets.prompt(wording)
    return sets.begun([Message(role="user", content=wording)], _SAID[task])


def _behind_opening(task: str, text: str) -> str:
    return f" {text}" if task in _SAID else text


def right_reply(item: Task) -> str:
    """Return the reply that stands for right."""
    if item.answers is not None:
        return item.answers[0]
    assert item.check is not None  # the schema: answers or a check
    if item.check.number is not None:
        return str(item.check.number)
    return item.check.exact or item.example or ""


def wrong_replies(task: str, items: Sequence[Task], item: Task) -> list[str]:
    """Return replies that look like right ones and are not, by what is checked."""
    right, check = right_reply(item), item.check
    if check is None:
        return _behind(items, item)
    if check.number is not None:
        return [str(check.number + away) for away in (1, -1, 10) if check.number + away >= 0]
    if task == "format":
        return [*([right.swapcase()] if check.case else []), *_CHATTER]
    if re.match(r"(?i)(yes|no)\b", right):
        return ["Yes." if right.lower().startswith("n") else "No."]
    if check.lacks:
        return list(check.lacks)
    if task == "spelling":
        return _misspelt(item, right)
    if check.has and " " in right:
        named = re.compile(re.escape(check.has[0]), re.IGNORECASE)
        return [named.sub(other, right) for other in _named_behind(items, item)]
    return [_turned(right)] if " " in right else _behind(items, item)


def _misspelt(item: Task, right: str) -> list[str]:
    """Return what is spelled wrongly: as the question has it, in another order, by other letters.

    One letter alone is right in a question for a letter: then its neighbours in the alphabet.
    """
    if item.check is not None and item.check.has:
        quoted = re.search(r'"(.+)"', item.prompt)
        text = quoted.group(1) if quoted else item.prompt.partition(": ")[2]
        return [text] if text else [right[:-1]]
    letters = re.findall(r"(?<!\w)\w(?!\w)", right)
    if len(letters) == 1:
        near = [chr(ord(letters[0]) + away) for away in (1, -1)]
        return [each.join(right.rsplit(letters[0], 1)) for each in near if each.isalnum()]
    return [right[::-1]] if letters else [right[:-1], right[:1] + right[2:]]


def _named_behind(items: Sequence[Task], item: Task) -> list[str]:
    """Return what the next items want to be named, as far as it is none of this one's."""
    place = next(n for n, each in enumerate(items) if each is item)
    following = (items[(place + step) % len(items)] for step in range(1, len(items)))
    names = (each.check.has[0] for each in following if each.check and each.check.has)
    own = item.check.has if item.check and item.check.has else []
    return list(dict.fromkeys(name for name in names if name not in own))[:_NEIGHBOURS]


def _behind(items: Sequence[Task], item: Task) -> list[str]:
    """Return the answers of the next items, as far as they are none of this one's."""
    place = next(n for n, each in enumerate(items) if each is item)
    own = {each.lower() for each in [right_reply(item), *(item.answers or ())]}
    following = (items[(place + step) % len(items)] for step in range(1, len(items)))
    found = dict.fromkeys(
        right_reply(each) for each in following if right_reply(each).lower() not in own
    )
    return list(found)[:_NEIGHBOURS]


def _turned(text: str) -> str:
    """Return a text with its words in another order, and its end where it was."""
    bare = text.rstrip(".!?")
    words = bare.split()
    turned = [*words[1:], words[0]]
    return " ".join(turned if turned != words else words[1:]) + text[len(bare) :]


def ask(subject: Subject) -> Measurement:
    """Read the mean lead over the five tasks."""
    found: Mapping[str, Leads] = scored(subject.questions.sets, subject.decoder)
    return Measurement(fmean(each.mean for each in found.values()))


def open_probe(settings: LearnerSettings) -> Probe:
    """Open it with the limit of the settings."""
    title = "lead of right answers to small tasks"
    return FallProbe("tasks", 1, title, "nats", ask, limit=settings.gate_lead_nats, worst=0)
