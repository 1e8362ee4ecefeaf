"""A note acts in its principal's prompts from the moment that the log has it, and nowhere else."""

import hashlib
from dataclasses import replace

import pytest

from agent.notes.notes import LISTED, Notes, notes_act
from agent.settings import AgentSettings
from agent.tools.served import Served
from agent.turn.ask import Ask
from streams.records import Forgotten, Message, Note, NoteState
from tests.agent.conftest import Api, StartApi

KEYS = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}


def note(
    principal: str,
    text: str = "Answer in one short sentence only.",
    *,
    state: NoteState = "active",
    number: int = 1,
    line: str = "main",
) -> Note:
    return Note(
        id=f"{principal}{number}{state}", note=f"note_{number:024x}", line=line,
        principal=principal, text=text, state=state, created_ms=1_000 * number,
        version=7 if state == "retired" else None,
    )  # fmt: skip


def of(name: str) -> str:
    return KEYS[name][:16]


@pytest.fixture
async def keyed(start_api: StartApi) -> Api:
    """An API with two people, one of whom has a note; she asks."""
    api: Api = await start_api(keys=KEYS)
    api.service.notes.take(note(of("ann")))
    api.headers = {"Authorization": "Bearer ann"}
    return api


async def test_the_note_is_in_the_prompt_and_the_turn_says_so(keyed: Api) -> None:
    """The prompt grows by its words, and the messages stay as they were sent."""
    await keyed.chat("Hi there")
    await keyed.chat("Hi there", notes=False)
    noted, plain = keyed.turns()
    assert noted.notes == ["note_000000000000000000000001"]
    assert plain.notes == []
    assert len(noted.prompt_token_ids) - len(plain.prompt_token_ids) == 6
    assert noted.messages == plain.messages


async def test_nobody_else_is_touched(keyed: Api) -> None:
    """Another principal, another line, a chore, tools, and a form are left as they are."""
    keyed.service.notes.take(note(of("ann"), number=2, line="other"))
    tool = {"type": "function", "function": {"name": "look"}}
    await keyed.chat("Hi", tools=[tool])
    keyed.headers |= {"X-Turn-Type": "side"}
    await keyed.chat("Hi")
    keyed.headers = {"Authorization": "Bearer bob"}
    await keyed.chat("Hi")
    assert [turn.notes for turn in keyed.turns()] == [[], [], []]


async def test_tools_of_the_agents_own_disturb_no_note(keyed: Api) -> None:
    """Whoever chats is told an answer, whatever the agent looks up for it."""
    notes, tool = keyed.service.notes, {"type": "function", "function": {"name": "look"}}
    theirs = {"type": "function", "function": {"name": "edit"}}
    ask = Ask(
        principal=of("ann"), session="s", line="main", model="quickset", purpose="main",
        learn=True, messages=[Message(role="user", content="Hi")], tools=[tool],
        parallel_calls=True, samplings=(), served={"look": Served("test", tool)},
    )  # fmt: skip
    assert len(notes.acting(ask)[0].notes) == 1
    assert notes.acting(replace(ask, tools=[tool, theirs]))[0].notes == ()


async def test_other_apis_have_notes_too(keyed: Api) -> None:
    """Responses and Messages: the same prompt, the same way out."""
    await keyed.post("/v1/responses", {"model": "quickset", "input": "Hi there"})
    await keyed.post("/v1/responses", {"model": "quickset", "input": "Hi", "notes": False})
    said = {"model": "quickset", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    await keyed.post("/v1/messages", said)
    await keyed.post("/v1/messages", said | {"notes": False})
    assert [len(turn.notes) for turn in keyed.turns()] == [1, 0, 1, 0]


async def test_its_person_sees_it_and_takes_it_away(keyed: Api) -> None:
    """Listed with its state; removed at once, written down, and again without a fault."""
    path = "/v1/notes"
    told = await (await keyed.client.get(path, headers=keyed.headers)).json()
    assert told == {
        "object": "list",
        "data": [
            {
                "id": "note_000000000000000000000001",
                "text": "Answer in one short sentence only.",
                "created_at": 1,
                "state": "active",
                "version": None,
            }
        ],
    }
    one = f"{path}/note_000000000000000000000001"
    assert (await keyed.client.delete(one, headers={"Authorization": "Bearer bob"})).status == 404
    for _ in range(2):
        gone = await keyed.client.delete(one, headers=keyed.headers)
        assert await gone.json() == {"id": "note_000000000000000000000001", "deleted": True}
    (record,) = [each for each in keyed.records() if isinstance(each, Note)]
    assert (record.state, record.principal) == ("removed", of("ann"))
    await keyed.chat("Hi")
    assert keyed.turns()[-1].notes == []
    again = await (await keyed.client.get(path, headers=keyed.headers)).json()
    assert again["data"][0]["state"] == "removed"


async def test_what_retired_notes_save_is_counted(keyed: Api) -> None:
    """Six words spent while it acts, six saved once it does not need to."""
    await keyed.chat("Hi")
    keyed.service.notes.take(note(of("ann"), state="retired"))
    await keyed.chat("Hi")
    assert keyed.turns()[-1].notes == []
    text = await (await keyed.client.get("/metrics")).text()
    assert 'quickset_note_tokens_total{what="spent"} 6.0' in text
    assert 'quickset_note_tokens_total{what="saved"} 6.0' in text


async def test_strangers_without_keys_have_none(start_api: StartApi) -> None:
    """Where everybody is one principal and anybody may come, there are no notes at all."""
    api: Api = await start_api(host="0.0.0.0")
    api.service.notes.take(note("anonymous"))
    await api.chat("Hi")
    assert api.turns()[0].notes == []
    assert (await api.client.get("/v1/notes")).status == 404


def test_where_notes_act() -> None:
    """At home, with keys, or where somebody says so."""
    assert notes_act(AgentSettings())
    assert notes_act(AgentSettings(host="0.0.0.0", keys=KEYS))
    assert not notes_act(AgentSettings(host="0.0.0.0"))
    assert notes_act(AgentSettings(host="0.0.0.0", notes="on"))
    assert not notes_act(AgentSettings(notes="off"))


async def as_it_is(record: Note) -> Note:
    """Write a removal down nowhere."""
    return record.model_copy(update={"state": "removed"})


async def test_many_notes_that_act_no_more_hide_none_that_does() -> None:
    """Of the others the newest are told; one that is told no more can be taken away even so."""
    notes = Notes(AgentSettings(), as_it_is)
    notes.take(note("ann"))
    others = range(2, LISTED + 10)
    for number in others:
        notes.take(note("ann", state="removed" if number % 2 else "retired", number=number))
    told = notes.of("ann")
    assert [each.created_ms for each in told] == [
        1_000, *(number * 1_000 for number in others[1 - LISTED :])
    ]  # fmt: skip
    await notes.remove(f"note_{2:024x}", "ann")
    await notes.remove(told[0].note, "ann")
    assert "active" not in {each.state for each in notes.of("ann")}
    for number in range(1_000, 1_000 + LISTED + 5):
        notes.take(note("ann", number=number))
    assert [each.state for each in notes.of("ann")] == ["active"] * (LISTED + 5)


def test_what_is_forgotten_never_acts_again() -> None:
    """Whichever of the two topics is read first; what is wished afterwards counts."""
    notes = Notes(AgentSettings(), as_it_is)
    forgotten = Forgotten(id="f", principal="ann", reason="", who="op", created_ms=1_500)
    notes.take(note("ann"))
    notes.forget(forgotten)
    assert notes.of("ann") == []
    notes.take(note("ann"))
    assert notes.of("ann") == []
    notes.take(note("ann", number=2))
    assert [each.created_ms for each in notes.of("ann")] == [2_000]
