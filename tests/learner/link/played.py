"""Plays behaviours to the learner's intake, and reads what it has linked.

python -m tests.learner.link.played    # each behaviour: replies to link, linked, wrong
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlmodel import select

from learner.intake import take
from streams.log.contract import Entry, Partition
from streams.records import Message, Turn, encode
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import TurnRow
from tests.learner.link.behaviours import every
from tests.learner.link.conftest import RULES
from tests.learner.link.script import Behaviour, Step
from tests.learner.turns import turn

GAP_MS = 20_000


def turns_of(behaviour: Behaviour, *, principal: str, start_ms: int = 1_000_000) -> list[Turn]:
    """What the agent records of a behaviour."""
    found = []
    for place, step in enumerate(behaviour.steps):
        options = dict(step.options)
        named = options.pop("from", None)
        id = options.pop("id", f"{place}")
        found.append(
            turn(
                step.messages,
                step.reply,
                id=f"{principal}:{id}",
                principal=principal,
                created_ms=start_ms + place * GAP_MS,
                follows=f"{principal}:{named}" if named else None,
                **options,
            )
        )
    return found


@dataclass(frozen=True)
class Outcome:
    """What became of a behaviour: replies that something follows, how many of them were linked to
    it, and how many to something else."""

    name: str
    expected: int
    linked: int
    wrong: int


def tagged(behaviour: Behaviour, tag: str) -> Behaviour:
    """The same behaviour of a person who has another name for bread."""

    def renamed(message: Message) -> Message:
        calls = [
            {**each, "function": {**each["function"], "name": f"{each['function']['name']}{tag}"}}
            for each in message.tool_calls or []
        ]
        text = message.content and message.content.replace("bread", f"bread{tag}")
        return message.model_copy(update={"content": text, "tool_calls": calls or None})

    steps = [
        Step([renamed(m) for m in step.messages], renamed(step.reply), step.follows, step.options)
        for step in behaviour.steps
    ]
    return Behaviour(behaviour.name, steps)


def play(store: Store, turns: Sequence[Turn]) -> None:
    """Let the learner take turns, one by one."""
    for place, each in enumerate(turns):
        entry = Entry(Partition("turns", 0), _next_offset(store), "k", each.id, encode(each), place)
        with store.transaction() as session:
            take(session, [entry], RULES)


def _next_offset(store: Store) -> int:
    with store.reading() as session:
        return len(session.exec(select(TurnRow.id)).all())


def outcome(store: Store, behaviour: Behaviour, turns: Sequence[Turn]) -> Outcome:
    """Read how a behaviour was linked."""
    with store.reading() as session:
        next_turn = dict(session.exec(select(TurnRow.id, TurnRow.next_turn)).all())
    wanted = {
        turns[step.follows].id: turns[place].id
        for place, step in enumerate(behaviour.steps)
        if step.follows is not None
    }
    got = {each.id: next_turn[each.id] for each in turns if next_turn[each.id]}
    linked = sum(got.get(id) == by for id, by in wanted.items())
    wrong = sum(wanted.get(id) != by for id, by in got.items())
    return Outcome(behaviour.name, len(wanted), linked, wrong)


def alone(folder: Path) -> list[Outcome]:
    """Play every behaviour as a principal of its own."""
    store = open_store(StreamsSettings(home=folder))
    found = []
    for place, behaviour in enumerate(every()):
        turns = turns_of(behaviour, principal=f"p{place}")
        play(store, turns)
        found.append(outcome(store, behaviour, turns))
    store.close()
    return found


def crowded(folder: Path) -> list[Outcome]:
    """Play all behaviours at the same time, without keys: everybody is one principal.

    Each speaks of a bread of its own; "Too long, please." and many replies are everybody's.
    """
    store = open_store(StreamsSettings(home=folder))
    everybody = [tagged(behaviour, str(place)) for place, behaviour in enumerate(every())]
    played = []
    for place, behaviour in enumerate(everybody):
        turns = turns_of(behaviour, principal="everybody", start_ms=1_000_000 + 137 * place)
        named = {each.id: f"{each.id}/{place}" for each in turns}
        played.append(
            [
                each.model_copy(
                    update={"id": named[each.id], "follows": named.get(each.follows or "")}
                )
                for each in turns
            ]
        )
    everything = (each for turns in played for each in turns)
    play(store, sorted(everything, key=lambda each: each.created_ms))
    found = [outcome(store, *each) for each in zip(everybody, played, strict=True)]
    store.close()
    return found


def main() -> int:
    """Print the table."""
    for name, played in (("each by itself", alone), ("all at once, without keys", crowded)):
        with TemporaryDirectory() as folder:
            found = played(Path(folder))
        print(f"\n{name}")
        for each in found:
            print(f"  {each.name:60} {each.linked} of {each.expected} linked, {each.wrong} wrong")
        print(f"  {told(found)}")
    return 0


def told(found: Sequence[Outcome]) -> str:
    """The share of what was linked, in a line."""
    expected, linked = sum(x.expected for x in found), sum(x.linked for x in found)
    whole = sum(x.linked == x.expected and not x.wrong for x in found)
    return (
        f"{whole} of {len(found)} behaviours, {linked} of {expected} replies"
        f" ({linked / expected:.1%}), {sum(x.wrong for x in found)} wrong links"
    )


if __name__ == "__main__":
    sys.exit(main())
