"""Reads corrections and praise in the user's next words; no model.

Only user messages count: what a tool returned, or a page that was fetched, is never a reward, and
neither is text that the user quotes or pastes as code. A new topic is 0. The rules (phrases.py)
name themselves in the evidence.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final, Literal

from learner.judges.judge import Evidence, Judge, KindOfEvidence, Source, judgement_id
from learner.judges.phrases import RULES, Phrases
from learner.link.conversation import Link
from learner.settings import LearnerSettings
from streams.records import Judgement, Message, Turn, canonical_json

# People react first and go on afterwards; what stands later in a long message is a topic.
SENTENCES: Final = 3
# A complaint is short. A hint longer than this would drown the question that it is added to.
HINT_CHARS: Final = 400
# No more of a message than this is read: what follows cannot be a reaction any more.
READ_CHARS: Final = 1000
# Two questions with this share of equal characters are the same question asked again.
SAME_QUESTION: Final = 0.85
# A retry may be a lost connection: weak evidence, not a complaint.
RETRY_CONFIDENCE: Final = 0.15

_QUOTED: Final = re.compile(
    r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|^\s*>.*?$|\"[^\"]*\"|“[^”]*”|«[^»]*»", re.S | re.M
)
_NEXT_QUESTION: Final = re.compile(r"\s*[:：]\s.*[?？]$")
_SENTENCE: Final = re.compile(r"[^.!?…。！？\n]+[.!?…。！？]*")
_COMPILED: Final = [(rule, [re.compile(pattern) for pattern in rule.patterns]) for rule in RULES]


class LexicalJudge:
    """Rules over the next state."""

    source: Source = "lexical"
    reads: KindOfEvidence = Link

    def judge(self, turn: Turn, evidence: Evidence) -> Judgement | None:
        """Return a verdict, 0 for a plain new topic; None when no user has spoken yet."""
        link = evidence
        if not isinstance(link, Link):
            return None
        if link.kind == "retry":
            return _judgement(turn, link, -1, RETRY_CONFIDENCE, "the same request again", None)
        words = _user_words(link.messages)
        if not words:
            return None
        if link.kind == "branch":
            return _judgement(turn, link, 0, RETRY_CONFIDENCE, "the request was edited", None)
        found = match(words)
        if found is not None:
            rule, sentence = found
            hint = _hint(rule, sentence)
            return _judgement(turn, link, rule.score, rule.confidence, rule.name, hint)
        if _asked_again(turn.messages, words):
            return _judgement(turn, link, -1, 0.6, "the same question again", None)
        return _judgement(turn, link, 0, 0.2, "a new topic", None)


def open_judge(_: LearnerSettings) -> Judge:
    """Open it; it has no settings."""
    return LexicalJudge()


def match(words: str) -> tuple[Phrases, str] | None:
    """Return the first rule that a sentence of the message's opening fulfils, and that sentence.

    >>> rule, sentence = match("Thanks, but that's wrong. What about Rome?") or (None, "")
    >>> rule and rule.name, sentence
    ('says it is wrong', "Thanks, but that's wrong.")
    >>> match("My commute is too long, what can I do?") is None
    True
    """
    opening = _sentences(words)[:SENTENCES]
    for rule, patterns in _COMPILED:
        for sentence in opening:
            clauses = _clauses(sentence.casefold().replace("’", "'"))
            if any(pattern.match(clause) for clause in clauses for pattern in patterns):
                return rule, sentence
    return None


def _sentences(words: str) -> list[str]:
    plain = _QUOTED.sub(" ", words[:READ_CHARS])
    return [found.group().strip() for found in _SENTENCE.finditer(plain) if found.group().strip()]


def _clauses(sentence: str) -> list[str]:
    """A sentence, and what stands after its first "but": people soften a complaint."""
    _, _, rest = sentence.partition(" but ")
    return [sentence, rest] if rest else [sentence]


def _hint(rule: Phrases, sentence: str) -> str | None:
    """What the reply should have done: what the rule understood, or the user's own sentence."""
    if rule.wish:
        return rule.wish
    if not rule.hint:
        return None
    # "In one sentence, please: what is rust?" wishes something of the next answer as well; what is
    # asked there is not to be answered in the place of what was asked here
    wish = _NEXT_QUESTION.sub("", " ".join(sentence.split()))
    return wish[:HINT_CHARS]


def _asked_again(messages: Sequence[Message], words: str) -> bool:
    asked, again = _user_words(messages[-1:])[:READ_CHARS], words[:READ_CHARS]
    if min(len(asked), len(again)) < 8:  # "yes", "more" and "go on" are often said twice
        return False
    matcher = SequenceMatcher(None, asked.casefold(), again.casefold(), autojunk=False)
    return matcher.quick_ratio() >= SAME_QUESTION and matcher.ratio() >= SAME_QUESTION


def _user_words(messages: Sequence[Message]) -> str:
    return "\n".join(m.content for m in messages if m.role == "user" and m.content).strip()


def _judgement(
    turn: Turn,
    link: Link,
    score: Literal[-1, 0, 1],
    confidence: float,
    evidence: str,
    hint: str | None,
) -> Judgement:
    said = canonical_json([link.kind, *(message.model_dump() for message in link.messages)])
    return Judgement(
        id=judgement_id(turn.id, "lexical", said),
        turn_id=turn.id,
        line=turn.line,
        version=turn.version,
        principal=turn.principal,
        source="lexical",
        score=score,
        confidence=confidence,
        hint=hint,
        evidence=evidence,
        created_ms=link.created_ms,
    )
