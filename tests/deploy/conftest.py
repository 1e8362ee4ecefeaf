"""A home with a log and a store that hold a little history."""

from pathlib import Path
from typing import Any

import pytest

from streams.line import ledger
from streams.log.contract import outgoing
from streams.open import open_log
from streams.records import Message, Recipe, Rollout, Sampling, Turn
from streams.settings import StreamsSettings
from streams.store.store import open_store
from streams.store.tables import JudgementRow, TurnRow

BASE = "0" * 16


def recipe(number: int, parent: str) -> Recipe:
    """Make a recipe that fits its parent."""
    return Recipe(
        line="main",
        number=number,
        parent=parent,
        strategy="es",
        noise="rank1",
        key=f"{number:016x}",
        coefficients=[3, -1],
        step=2,
        sigma_log2=-4,
        layers=[1],
        modules=["up_proj"],
        scales=[-3],
        mask="m" * 64,
        digest="d" * 64,
    )


def rollout(seq: int, version: str, previous: str, **other: Any) -> Rollout:
    """Make the rollout of a version."""
    values: dict[str, Any] = {
        "id": f"rollout-{seq}-{version}",
        "line": "main",
        "state": "completed",
        "verb": "promote",
        "reason": "better",
        "who": "learner",
        "created_ms": seq,
    }
    return Rollout(seq=seq, version=version, previous=previous, **(values | other))


def turn(number: int, asked: str) -> Turn:
    """Make a turn."""
    return Turn(
        id=f"turn-{number}",
        line="main",
        version=BASE,
        principal="anonymous",
        session="s",
        prefix_key="a" * 64,
        key="b" * 64,
        messages=[Message(role="user", content=asked)],
        reply=Message(role="assistant", content=f"reply {number}"),
        prompt_token_ids=[1],
        token_ids=[2],
        logprobs=[-0.5],
        sampling_logprobs=[-0.5],
        sampling=Sampling(temperature=1, top_p=1, max_tokens=8, seed=0),
        finish_reason="stop",
        learn=True,
        purpose="main",
        created_ms=number,
    )


@pytest.fixture
def streams(tmp_path: Path) -> StreamsSettings:
    """Return the settings of an empty home."""
    return StreamsSettings(home=tmp_path / "home")


@pytest.fixture
def taught(streams: StreamsSettings) -> StreamsSettings:
    """Return a home with two versions of which the second serves, and two turns, one judged."""
    first = recipe(1, BASE)
    second = recipe(2, first.version)
    store, log = open_store(streams), open_log(streams)
    with store.transaction() as session:
        for each in (first, second):
            ledger.append(session, each, created_ms=each.number)
        for number, asked in ((1, "first"), (2, "[bold]second[/bold]")):
            record = turn(number, asked)
            row = TurnRow(
                state="judged",
                sequence=number,
                record=record.model_dump(mode="json"),
                taken_ms=record.created_ms,
                **record.model_dump(
                    include={
                        "id", "line", "version", "principal", "session", "key", "prefix_key",
                        "created_ms",
                    }
                ),
            )  # fmt: skip
            session.add(row)
        session.add(
            JudgementRow(
                id="j",
                turn_id="turn-2",
                principal="anonymous",
                source="lexical",
                score=-1,
                confidence=0.9,
                hint="be brief",
                evidence="asked for less",
                created_ms=3,
            )
        )
    rollouts = (rollout(1, first.version, BASE), rollout(2, second.version, first.version))
    log.append(outgoing("rollouts", "main", each) for each in rollouts)
    log.close()
    store.close()
    return streams
