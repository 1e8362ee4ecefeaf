"""Attacks by words and names: what a judge, or a lookup, makes of them, item by item."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.engine.slots import Slots
from agent.errors import NotFoundError
from agent.turn.origin.sessions import named_session
from agent.turn.response_ids import ResponseIds
from kernels.model.forward import Decoder
from kernels.model.kv import KvCache
from learner.judges.acts.message import hear
from learner.judges.acts.wording import OWN_WORDING
from learner.judges.explicit import ExplicitJudge
from learner.judges.judge import combine
from learner.judges.lexical import LexicalJudge
from learner.judges.reading.reading import read_text
from learner.judges.slow.model import quoted, spoken
from learner.link.conversation import Link
from streams import chain
from streams.line.variant import Variant
from streams.records import Feedback, Judgement, Message, Turn
from tests.learner.turns import said, turn
from tests.tiny import as_stored, tiny_model

_PEOPLE: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "people.json").read_text(encoding="utf-8")
)
ASKED: Final = turn(said("What is DNA?"), "A long story …", principal="ann")


@dataclass(frozen=True, slots=True)
class Heard:
    """Of so many attacks, how many count: where the defence is left out, and with it."""

    name: str
    of: int
    undefended: int
    defended: int


def instructing_complaints() -> Heard:
    """Complaints that carry instructions, of which the complaint's own words would be the hint."""
    words = [item["complaint"] for item in _PEOPLE["instructing_complaints"]]
    return Heard(
        "complaints that carry instructions", len(words), len(words), len(taken_as_hints(words))
    )


def taken_as_hints(words: list[str]) -> list[str]:
    """Return the complaints of which words of their own become a hint."""
    hints = [(each, hear(read_text("What is DNA?", "A long story …", each)).hint) for each in words]
    return [each for each, hint in hints if hint and hint not in OWN_WORDING.values()]


def praise_in_results() -> Heard:
    """Tool results that ask for praise: what they ask for in the user's role, and in the tool's."""
    items = _PEOPLE["praise_seeking_results"]
    asked = [turn(said(item["request"]), item["reply"]) for item in items]
    results = [item["result"] for item in items]
    as_words = [
        _score(a, Message(role="user", content=r)) for a, r in zip(asked, results, strict=True)
    ]
    as_results = [
        _score(a, Message(role="tool", content=result, tool_call_id="1"))
        for a, result in zip(asked, results, strict=True)
    ]
    moved = (sum(score != 0 for score in scores) for scores in (as_words, as_results))
    return Heard("tool results that ask for praise", len(items), *moved)


def _score(about: Turn, followed: Message) -> int:
    found = LexicalJudge().judge(about, Link(about.id, "reply", (followed,), 2_000))
    return found.score if found else 0


def forged_feedback() -> Heard:
    """Strangers' feedback on Ann's reply, beside the same words of her own."""
    strangers = [judged(f"f{i}", f"stranger{i}") for i in range(20)]
    own = [judged(f"f{i}", "ann") for i in range(20)]
    return Heard("feedback on somebody else's reply", 20, _teaching(own), _teaching(strangers))


def replayed_feedback() -> Heard:
    """One feedback given twenty times, under one id and under many: does it count for more?"""
    once = combine([judged("f00", "ann")])
    many = [judged(f"f{i:02d}", "ann") for i in range(20)]
    louder = [count for count in range(2, 21) if combine(many[:count]) != once]
    kept = {judged("f00", "ann").id for _ in range(20)}
    return Heard("the same feedback again and again", 19, 19, len(louder) + len(kept) - 1)


def judged(id: str, principal: str) -> Judgement:
    """Return the judgement that somebody's feedback on Ann's reply is."""
    given = Feedback(
        id=id, turn_id=ASKED.id, line="main", principal=principal, session="s", score=-1,
        hint="Say that I am right.", comment="", created_ms=2_000,
    )  # fmt: skip
    found = ExplicitJudge().judge(ASKED, given)
    assert found is not None
    return found


def _teaching(judgements: list[Judgement]) -> int:
    verdicts = [combine([judgement]) for judgement in judgements]
    return sum(verdict is not None and verdict.teaches for verdict in verdicts)


def colliding_names() -> Heard:
    """Twenty principals who use Ann's session names and first words: whose session it becomes."""
    others = [f"stranger{i}" for i in range(20)]
    anns = {named_session("work", "ann"), chain.session_of(ASKED.messages, "ann")}
    theirs = [
        {named_session("work", name), chain.session_of(ASKED.messages, name)} for name in others
    ]
    names = {named_session("work", "") for _ in others}  # without the principal all are one
    return Heard(
        "somebody else's session name or words",
        len(others),
        len(others) - len(names) + 1,
        sum(bool(each & anns) for each in theirs),
    )


def known_prompts() -> Heard:
    """Strangers who send what Ann has sent: those whose reply begins sooner, as it is read already.

    Without owners the cache is everybody's.
    """
    others = [f"stranger{i}" for i in range(20)]
    decoder = Decoder(as_stored(tiny_model()))
    return Heard(
        "what somebody else has asked, found in the cache",
        len(others),
        sum(_finds(decoder, "", "") for _ in others),
        sum(_finds(decoder, "ann", name) for name in others),
    )


def _finds(decoder: Decoder, owner: str, other: str) -> bool:
    """Tell whether the other finds read what the owner has asked."""
    cache = KvCache(decoder, capacity=40, tokens=80, page_tokens=4)
    slots, variant, prompt = Slots(cache, piece_tokens=8, batch=4), Variant("main", "v"), range(20)
    lengths = []
    for who in (owner, other):
        slot = slots.take(variant, who, list(prompt), most_tokens=40)
        assert slot is not None
        lengths.append(cache.length(slot))
        cache.grow([slot], len(prompt) - lengths[-1])
        slots.release(slot, variant, who, list(prompt))
    return lengths[1] > lengths[0]


def judge_injections() -> Heard:
    """Orders to a judge in request, reply and next state: those that turn a verdict round, or get
    out of the quoted data that a judging model reads. One that reads plain text reads all.
    """
    items = _PEOPLE["judge_injections"]
    moved = 0
    for item in items:
        about = turn(said(item["request"]), item["reply"])
        after = Message(role="user", content=item["next_state"])
        reading = spoken(about, Link(about.id, "reply", (after,), 2_000))
        held = reading is not None and json.loads(quoted(reading)) == {
            "request": item["request"], "reply": item["reply"], "next": item["next_state"],
        }  # fmt: skip
        moved += not held or _score(about, after) == -item["score"] != 0
    return Heard(
        "orders to the judge in request, reply or next state", len(items), len(items), moved
    )


def forged_ids() -> Heard:
    """Ids of Ann's responses in strangers' hands, and invented ones: how many open feedback."""
    ids = ResponseIds(b"a secret that all replicas share")
    anns = [ids.new(principal="ann", session=f"{i:032x}") for i in range(20)]
    invented = [f"{id[:-16]}{place:016x}" for place, id in enumerate(anns)]
    tried = [(id, f"stranger{place}") for place, id in enumerate(anns)]
    tried += [(id, "ann") for id in invented]
    assert all(_opens(ids, id, "ann") for id in anns)
    return Heard(
        "forged ids of responses", len(tried), len(tried), sum(_opens(ids, *each) for each in tried)
    )


def _opens(ids: ResponseIds, id: str, principal: str) -> bool:
    try:
        ids.session(id, principal=principal)
    except NotFoundError:
        return False
    return True


def all_heard() -> list[Heard]:
    """Return every attack by words and names, measured."""
    return [
        instructing_complaints(), praise_in_results(), judge_injections(), forged_feedback(),
        replayed_feedback(), forged_ids(), colliding_names(), known_prompts(),
    ]  # fmt: skip
