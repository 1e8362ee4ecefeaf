"""Takes off what clients put around a person's words: rules behind them, sources, quotation marks.

A coding agent repeats its rules of form behind every message and tells the model beside it what the
editor shows, a chat page puts what it found around the question, a command line puts its arguments
in quotation marks, a messenger's bridge puts time and name in front, an office's chat writes HTML,
a home's assistant tells where somebody is, a counter how much is left.
What stands behind both the question and what came after the reply is the client's, whatever it
says, and so is what stands in tags that say so (<system-reminder>); what stands in tags that name
it the user's (<user_query>, <feedback>) is the person's. A tool's tags are neither: what is in them
is a program's.

Knows nothing of verdicts.
"""

import re
from itertools import takewhile
from typing import Final

from learner.judges.reading.markup import words_in_markup
from learner.judges.reading.origin import origin
from learner.link.alike import behind_stamp
from learner.link.anew import moved, parted
from learner.link.letters import without_blocks

# No client's rules are longer, and people end two messages with the same few words.
MOST_RULES_CHARS: Final = 40_000
LEAST_RULES_CHARS: Final = 60
_PARAGRAPH: Final = "\n\n"
_RETRIEVER: Final = re.compile(r"\s*### Task:\s+Respond to the user query using the provided cont")
_CONTEXT_END: Final = "</context>"
# What an agent's client tells the model beside the words: where it is, what is open, what it knows.
_OPENING: Final = re.compile(
    r"<((?:[\w-]{0,30}[_-])?(?:reminders?|environment|env|context|attachments?|memory|memories|"
    r"workspace)|(?:environment|attached|ide|open|opened)[_-][\w-]{1,30}|"
    r"(?!tool|exit|result|response|output|function|error|command|test|build)[\w-]{1,30}[_-]"
    r"(?:rules|instructions|info|details|metadata|status|layout|data|time|date|selection|files)|"
    r"[a-z]{1,20}(?:Context|Instructions|Info))(?:\s[^<>]{0,200})?>"
)
# What a client calls the words of the person, and says before them.
_QUERY: Final = re.compile(
    r"\A([^<>]{0,300}?)\s*<(user[_-]?(?:query|request|message|prompt|input|question)|userRequest|"
    r"feedback|task|query)>(.*)</\2>\s*\Z",
    re.DOTALL,
)
_OF_USER: Final = re.compile(r"\A\s*\Z|\bthe user\b", re.IGNORECASE)
_WHOLE: Final = re.compile(r'\A\s*(?:"([^"]+)"|“([^“”]+)”|„([^„“”]+)[“”]|«([^«»]+)»)\s*\Z')
# Who said it when: "[12:03] ann:", "@ann:matrix.org:". A name alone may be an order: "Translate:".
_FRONT: Final = re.compile(
    r"\A\s*(?:\[[^\[\]\n]{0,100}\d{1,2}:\d\d[^\[\]\n]{0,40}\]\s{0,3}|@)"
    r"([*_]{0,2}[^\W\d][\w .'@:-]{0,60}?[*_]{0,2})\s?[:：]\s+(?=\S)"
)
_ASKS: Final = ("?", "？")
# Who reports, and is nobody, beside what learner.judges.reading.origin knows.
_REPORTER: Final = re.compile(
    r"\W*(?:monitor\w*|alert\w*|daemon|services?|agent|bot|server|sensor\w*|worker|process|node|host|"
    r"kernel|watch\w*|heartbeat|sshd|crond|httpd|systemd)\b",
    re.IGNORECASE,
)


def unwrapped(asked: str, said: str) -> tuple[str, str]:
    r"""Return a question and what was said after its reply, without what is the client's.

    >>> rules = "\n\n# Rules\n" + "Every block must use this format, and no other one. " * 2
    >>> unwrapped("Fix it" + rules, "Too long." + rules)
    ('Fix it', 'Too long.')
    >>> unwrapped('"Fix it"', '"Too long."'), unwrapped("Fix it", '"Too long."')
    (('Fix it', 'Too long.'), ('Fix it', '"Too long."'))
    """
    bodies = words_in_markup(asked), words_in_markup(said)
    if bodies[0] and bodies[1]:  # whoever asks so answers so; a page alone was pasted
        asked, said = bodies[0], bodies[1]
    asked, said = _question(asked), _question(said)
    asked, said = _without_rules(asked, said)
    asked, said = _without_fronts(asked, said)
    asked, said = _without_frames(*_without_stamps(asked, said))
    quoted = _WHOLE.match(asked), _WHOLE.match(said)
    if quoted[0] and quoted[1]:
        return quoted[0][quoted[0].lastindex or 0], quoted[1][quoted[1].lastindex or 0]
    return asked, said


def _question(text: str) -> str:
    """What the person said, beside what a client tells and behind what a retriever found."""
    if "<" not in text:
        return text
    rest = text
    if _RETRIEVER.match(text) and _CONTEXT_END in text:
        rest = text.rpartition(_CONTEXT_END)[2]
    rest = without_blocks(rest, _OPENING)
    tagged = _QUERY.match(rest)
    if tagged and _OF_USER.search(tagged[1]):
        rest = tagged[3]
    return rest.strip() or text


def _without_fronts(asked: str, said: str) -> tuple[str, str]:
    """Both without time and name, where one and the same person stands in front of both."""
    fronts = _FRONT.match(asked), _FRONT.match(said)
    if fronts[0] and fronts[1] and fronts[0][1] == fronts[1][1]:
        name = fronts[0][1].strip("*_")
        if _REPORTER.match(name) or origin(f"{name}: it") == "program":
            return asked, said
        return asked[fronts[0].end() :], said[fronts[1].end() :]
    return asked, said


def _without_stamps(asked: str, said: str) -> tuple[str, str]:
    """Both without the moment in front of both, where one asks something: no program's log does.

    Where names stand behind both moments, `_without_fronts` has told whether one person said both.
    """
    if _FRONT.match(asked) and _FRONT.match(said):
        return asked, said
    question, words = behind_stamp(asked), behind_stamp(said)
    if question and words and question.rstrip().endswith(_ASKS):
        return question, words
    return asked, said


def _without_frames(asked: str, said: str) -> tuple[str, str]:
    """Both without a client's head and foot, in which only numbers moved, where both have words."""
    (head, question, foot), (other_head, words, other_foot) = parted(asked), parted(said)
    if (other_head and not moved(head, other_head)) or (other_foot and not moved(foot, other_foot)):
        return asked, said
    framed = other_head or other_foot
    return (question, words) if framed and question and words else (asked, said)


def _without_rules(asked: str, said: str) -> tuple[str, str]:
    """Both without the paragraphs that they end with in common, where more than these is left."""
    ends = [text[-MOST_RULES_CHARS:][::-1] for text in (asked, said)]
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ends, strict=False)))
    begin = said.find(_PARAGRAPH, len(said) - same)
    length = len(said) - begin if begin >= 0 else 0
    if length < LEAST_RULES_CHARS:
        return asked, said
    without = asked[:-length].rstrip(), said[:-length].rstrip()
    return without if all(without) else (asked, said)
