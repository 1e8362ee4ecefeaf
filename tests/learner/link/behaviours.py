"""What clients do with a conversation between two requests, each as a small script, and how much of
it is linked.

    python -m tests.learner.link.behaviours    # the table: behaviour, replies to link, linked, wrong

A script is a list of steps: a request as the client sends it, the reply that it is given, and which
step's reply what is new in the request follows. Shapes are those of the clients named, written down
from their sources; what people say is made up.
"""

import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlmodel import select

from learner.intake import Rules, take
from learner.judges.open import open_judges
from learner.settings import LearnerSettings
from streams.log.contract import Entry, Partition
from streams.records import Message, Turn, encode
from streams.settings import StreamsSettings
from streams.store.store import Store, open_store
from streams.store.tables import TurnRow
from tests.learner.turns import turn

RULES = Rules(
    line="main",
    judges=open_judges(LearnerSettings()),
    idle_close_ms=10**12,
    max_record_bytes=2**22,
)
GAP_MS = 20_000


def system(text: str) -> Message:
    return Message(role="system", content=text)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def reply(text: str) -> Message:
    return Message(role="assistant", content=text)


def call(name: str, arguments: str, id: str = "call_1", content: str | None = None) -> Message:
    function = {"name": name, "arguments": arguments}
    return Message(
        role="assistant",
        content=content,
        tool_calls=[{"id": id, "type": "function", "function": function}],
    )


def result(text: str, id: str = "call_1") -> Message:
    return Message(role="tool", content=text, tool_call_id=id)


@dataclass(frozen=True)
class Step:
    """One request and its reply.

    follows: the step whose reply the last message is about; None: it is about none
    options: further fields of the turn (tests.learner.turns.turn)
    """

    messages: list[Message]
    reply: Message
    follows: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Behaviour:
    """What a client does; named for the table."""

    name: str
    steps: list[Step]


def ask(*messages: Message, says: str | Message, follows: int | None = None, **options: Any) -> Step:
    """A step."""
    answer = says if isinstance(says, Message) else reply(says)
    return Step(list(messages), answer, follows, options)


BREAD = "For bread, mix 500 g of flour with 350 g of water, let it rise for a night, and bake it."
SHORT = "Flour, water, a night, forty minutes."
RYE = "Take rye for a third of the flour, and ten grams more water."


def plain(*, before: Sequence[Message] = (), **options: Any) -> list[Step]:
    """The client that changes nothing."""
    one = [*before, user("How do I bake bread?")]
    two = [*one, reply(BREAD), user("Too long, please.")]
    three = [*two, reply(SHORT), user("And with rye?")]
    return [
        ask(*one, says=BREAD, **options),
        ask(*two, says=SHORT, follows=0, **options),
        ask(*three, says=RYE, follows=1, **options),
    ]


def changed(change: Callable[[Message], Message], *, given: Callable[[str], str] = str) -> list[Step]:
    """The client that sends back every older message changed.

    given: what the replies were before that
    """
    told = [given(BREAD), given(SHORT), given(RYE)]
    one = [user("How do I bake bread?")]
    two = [*map(change, [*one, reply(told[0])]), user("Too long, please.")]
    three = [*map(change, [*one, reply(told[0]), user("Too long, please."), reply(told[1])])]
    return [
        ask(*one, says=told[0]),
        ask(*two, says=told[1], follows=0),
        ask(*three, user("And with rye?"), says=told[2], follows=1),
    ]


def replies_changed(change: Callable[[str], str], *, given: Callable[[str], str] = str) -> list[Step]:
    """The client that sends back every reply changed."""

    def back(message: Message) -> Message:
        return reply(change(message.content or "")) if message.role == "assistant" else message

    return changed(back, given=given)


def clock(minute: int) -> Message:
    return system(f"You are a helpful assistant.\nCurrent time: 2026-03-01 12:{minute:02d}")


def moving_system() -> list[Step]:
    return [
        Step([clock(place), *step.messages], step.reply, step.follows)
        for place, step in enumerate(plain())
    ]


def memories() -> list[Step]:
    notes = ["", "\n- The user bakes.", "\n- The user bakes.\n- The user likes short answers."]
    return [
        Step(
            [system(f"# Memories{note}"), *step.messages],
            step.reply,
            step.follows,
        )
        for note, step in zip(notes, plain(), strict=True)
    ]


def developer_notes() -> list[Step]:
    """A note of the developer's comes and goes in the middle."""
    one, two, three = plain()
    note = Message(role="developer", content="The user has opened bread.md.")
    return [
        one,
        Step([*two.messages[:-1], note, two.messages[-1]], two.reply, two.follows),
        Step([*three.messages[:1], note, *three.messages[1:]], three.reply, three.follows),
    ]


def wrapped(question: str, page: str) -> Message:
    return user(
        "### Task:\nRespond to the user query using the provided context.\n"
        f"<context>\n<source id=\"1\">{page}</source>\n</context>\n\n"
        f"<user_query>\n{question}\n</user_query>"
    )


def retriever() -> list[Step]:
    """Open WebUI puts what it found around the last message, and keeps the question alone."""
    one, two = "How do I bake bread?", "Too long, please."
    return [
        ask(wrapped(one, "Bread needs flour."), says=BREAD),
        ask(user(one), reply(BREAD), wrapped(two, "Rye is a grain."), says=SHORT, follows=0),
        ask(
            user(one), reply(BREAD), user(two), reply(SHORT), wrapped("And with rye?", "Rye."),
            says=RYE, follows=1,
        ),
    ]  # fmt: skip


def retriever_unwraps_later() -> list[Step]:
    """The question comes first, and what was found behind it."""

    def with_pages(question: str) -> Message:
        return user(f"{question}\n\nUse these pages:\n1. Bread needs flour.\n2. Rye is a grain.")

    one, two = "How do I bake bread?", "Too long, please."
    return [
        ask(with_pages(one), says=BREAD),
        ask(user(one), reply(BREAD), with_pages(two), says=SHORT, follows=0),
        ask(user(one), reply(BREAD), user(two), reply(SHORT), user("Good."), says=RYE, follows=1),
    ]


def window(size: int) -> list[Step]:
    """The client that sends the last messages only, with a system prompt."""
    questions = ["How do I bake bread?", "Too long, please.", "And with rye?", "And with spelt?",
                 "Which is the best?"]  # fmt: skip
    answers = [BREAD, SHORT, RYE, "As with wheat, but with less water.", "The one that you like."]
    steps, history = [], list[Message]()
    for place, (question, answer) in enumerate(zip(questions, answers, strict=True)):
        history.append(user(question))
        steps.append(
            ask(
                system("Be kind."), *history[-size:],
                says=answer, follows=place - 1 if place else None,
            )
        )  # fmt: skip
        history.append(reply(answer))
    return steps


def window_and_clock() -> list[Step]:
    return [
        Step([clock(place), *step.messages[1:]], step.reply, step.follows)
        for place, step in enumerate(window(4))
    ]


def thinking(place: int = 0) -> list[Step]:
    """The client drops what the model thought."""
    marks = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]"))
    begin, end = marks[place]

    def given(text: str) -> str:
        return f"{begin}They want {len(text)} letters.{end}\n\n{text}"

    def back(text: str) -> str:
        return text.partition(end)[2].strip()

    return replies_changed(back, given=given)


def thinking_in_details() -> list[Step]:
    """Open WebUI keeps a thought as a <details> block and sends the block back."""

    def given(text: str) -> str:
        return f"<think>A thought.</think>\n{text}"

    def back(text: str) -> str:
        said = text.partition("</think>")[2]
        summary = "<summary>Thought for 1 second</summary>\n&gt; A thought."
        return f'<details type="reasoning" done="true" duration="1">\n{summary}\n</details>\n{said}'

    return replies_changed(back, given=given)


CALL = '{"city": "Rome", "days": 2, "units": ["c", "f"]}'
REFORMATTED = '{"units":["c","f"],"days":2.0,"city":"Rome"}'


def tools(*, id: str = "call_1", arguments: str = CALL, sent: bool = True) -> list[Step]:
    """The agent that sends a tool's result back.

    id, arguments: of the call as the client sends it back
    sent: the call's content is "", where it was none
    """
    asked = user("What is the weather in Rome?")
    told = call("weather", CALL)
    back = call("weather", arguments, id, content="" if sent else None)
    answer = "Rain today, sun tomorrow: take an umbrella and leave it there."
    return [
        ask(asked, says=told),
        ask(asked, back, result("rain, then sun", id), says=answer, follows=0),
        ask(
            asked, back, result("rain, then sun", id), reply(answer), user("In Fahrenheit?"),
            says="Sixty, then seventy.", follows=1,
        ),
    ]  # fmt: skip


def parallel_tools() -> list[Step]:
    """Results of parallel calls come back in another order, under other ids."""
    calls = Message(
        role="assistant",
        tool_calls=[
            {"id": f"call_{c}", "type": "function", "function": {"name": "weather", "arguments": a}}
            for c, a in (("a", '{"city": "Rome"}'), ("b", '{"city": "Oslo"}'))
        ],
    )
    renamed = calls.model_copy(
        update={"tool_calls": [{**each, "id": f"x{n}"} for n, each in enumerate(calls.tool_calls or [])]}
    )
    asked = user("What is the weather in Rome and Oslo?")
    results = [result("snow", "x1"), result("sun", "x0")]
    answer = "Sun in Rome, snow in Oslo."
    return [
        ask(asked, says=calls),
        ask(asked, renamed, *results, says=answer, follows=0),
        ask(asked, renamed, *results[::-1], reply(answer), user("Thanks!"), says="Any time.", follows=1),
    ]


def merged_users() -> list[Step]:
    """Two messages in a row become one in the next request (llama.cpp, Anthropic's form)."""
    asked = [user("I have flour."), user("How do I bake bread?")]
    both = user("I have flour.\n\nHow do I bake bread?")
    return [
        ask(*asked, says=BREAD),
        ask(both, reply(BREAD), user("Too long, please."), says=SHORT, follows=0),
    ]


def split_users() -> list[Step]:
    """One message becomes two in the next request."""
    both = user("I have flour.\nHow do I bake bread?")
    parts = [user("I have flour."), user("How do I bake bread?")]
    return [
        ask(both, says=BREAD),
        ask(*parts, reply(BREAD), user("Too long, please."), says=SHORT, follows=0),
    ]


def split_reply() -> list[Step]:
    """A reply with words and a call becomes two messages (LangChain's agents)."""
    asked = user("What is the weather in Rome?")
    told = call("weather", CALL, content="I will look it up.")
    return [
        ask(asked, says=told),
        ask(
            asked, reply("I will look it up."), call("weather", CALL), result("rain"),
            says="Rain.", follows=0,
        ),
    ]  # fmt: skip


def trimmed() -> list[Step]:
    """The client keeps the first 40 characters of each reply."""
    return replies_changed(lambda text: text[:40] + "…" if len(text) > 40 else text)


def footnotes() -> list[Step]:
    """The client puts its sources behind each reply."""
    return replies_changed(lambda text: f"{text}\n\nSources: [1] bread.example")


def stopped() -> list[Step]:
    """Somebody stops a reply, and goes on with what was shown."""
    asked = user("How do I bake bread?")
    return [
        ask(asked, says=BREAD, finish_reason="cancelled", delivered=False),
        ask(asked, reply(BREAD[:12]), user("Shorter, please."), says=SHORT, follows=0),
        ask(
            asked, reply(BREAD[:12]), user("Shorter, please."), reply(SHORT), user("Good."),
            says="Fine.", follows=1,
        ),
    ]  # fmt: skip


def named_session(**other: Any) -> list[Step]:
    """A named session whose client rewrites the questions in its history."""
    name = {"session": "chat-7"} | other
    return [
        ask(user("[12:00] ann: How do I bake bread?"), says=BREAD, **name),
        ask(
            user("(earlier) the user asks for bread"), reply(BREAD), user("[12:01] ann: Too long."),
            says=SHORT, follows=0, **name,
        ),
        ask(
            user("(earlier) bread, and that it was too long"), reply(SHORT), user("[12:02] ann: Good."),
            says="Fine.", follows=1, **name,
        ),
    ]  # fmt: skip


def continued_by_name() -> list[Step]:
    """The Responses API: the client names the reply and sends only what is new."""
    return [
        ask(user("How do I bake bread?"), says=BREAD, id="resp-1"),
        ask(user("Too long, please."), says=SHORT, follows=0, id="resp-2", **{"from": "resp-1"}),
        ask(user("And with rye?"), says=RYE, follows=1, id="resp-3", **{"from": "resp-2"}),
    ]


def edited() -> list[Step]:
    """Somebody goes back, and asks otherwise; both go on from the first reply."""
    one = [user("How do I bake bread?"), reply(BREAD)]
    return [
        ask(one[0], says=BREAD),
        ask(*one, user("Too long, please."), says=SHORT, follows=0),
        ask(*one, user("With rye, please."), says=RYE, follows=1),
    ]


def asked_twice() -> list[Step]:
    """The same question in two chats, with two replies; the second chat goes on."""
    asked = user("How do I bake bread?")
    return [
        ask(asked, says=BREAD),
        ask(asked, says=SHORT),
        ask(asked, reply(SHORT), user("Good."), says="Fine.", follows=1),
    ]


LONG = "Bake it hotter in the first ten minutes, with a bowl of water below it, then open the door."


def compacted(kept: str) -> list[Step]:
    """The client replaces the history by a summary, and keeps the last exchange (aider, Cline).

    kept: the reply of that exchange
    """
    one, two = plain()[:2]
    summary = user("I spoke to you previously about a number of things.\n- Bread, and how to bake it.")
    shown = [summary, reply("Ok."), two.messages[-1], reply(kept), user("And with rye?")]
    return [one, Step(two.messages, reply(kept), two.follows), Step(shown, reply(RYE), 1)]


def dated_questions() -> list[Step]:
    """The client puts the time before the newest message only."""
    one, two, three = plain()
    steps = []
    for place, step in enumerate((one, two, three)):
        *before, last = step.messages
        stamped = user(f"[2026-03-01 12:{place:02d}] {last.content}")
        steps.append(Step([*before, stamped], step.reply, step.follows))
    return steps


def twenty() -> list[Behaviour]:
    """All behaviours."""
    nfd = lambda text: unicodedata.normalize("NFD", text)  # noqa: E731 - short, and used below
    made: Iterable[tuple[str, list[Step]]] = (
        ("sends everything back as it was (openai, chat page)", plain()),
        ("has a clock in the system prompt (Open WebUI, LibreChat)", moving_system()),
        ("has memories in the system prompt (mem0, Open WebUI)", memories()),
        ("has developer's notes that come and go (opencode, Cline)", developer_notes()),
        ("wraps the last question in what it found (Open WebUI)", retriever()),
        ("puts what it found behind the question (Continue)", retriever_unwraps_later()),
        ("stamps the time on the newest question", dated_questions()),
        ("sends the last four messages only", window(4)),
        ("sends the last two messages only", window(3)),
        ("sends the last four messages, with a clock", window_and_clock()),
        ("drops what was thought in <think>", thinking(0)),
        ("drops what was thought in <thinking>", thinking(1)),
        ("drops what was thought in [THINK]", thinking(2)),
        ("keeps thoughts as <details> (Open WebUI)", thinking_in_details()),
        ("trims white space of replies (LangChain)", replies_changed(str.strip, given=" {}\n\n".format)),
        ("writes CRLF", replies_changed(lambda t: t.replace(", ", ",\r\n"),
                                        given=lambda t: t.replace(", ", ",\n"))),
        ("sends NFD for NFC (macOS)", replies_changed(nfd, given=lambda t: f"Crème brûlée: {t}")),
        ("escapes for HTML", replies_changed(lambda t: t.replace("&", "&amp;").replace("'", "&#39;"),
                                             given=lambda t: f"Salt & flour, baker's way: {t}")),
        ("sends a tool's result back (Agents SDK)", tools()),
        ("renames tool call ids (LangChain, LiteLLM)", tools(id="chatcmpl-tool-9")),
        ("re-formats tool arguments (AI SDK)", tools(arguments=REFORMATTED)),
        ("re-orders parallel results under other ids", parallel_tools()),
        ("merges adjacent user messages", merged_users()),
        ("splits a user message", split_users()),
        ("splits words and call of a reply (LangChain)", split_reply()),
        ("trims replies to 40 characters", trimmed()),
        ("puts footnotes behind replies (Open WebUI)", footnotes()),
        ("keeps what was shown of a stopped reply", stopped()),
        ("names the session, and rewrites history (X-Session-Id)", named_session()),
        ("names the reply it goes on from (Responses API)", continued_by_name()),
        ("edits a question (Open WebUI, LibreChat)", edited()),
        ("asks the same in two chats", asked_twice()),
        ("replaces the history by a summary (aider, Cline)", compacted(LONG)),
        ("replaces the history by a summary, the last reply short", compacted(SHORT)),
    )  # fmt: skip
    return [Behaviour(name, steps) for name, steps in made]


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
    for place, behaviour in enumerate(twenty()):
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
    everybody = [tagged(behaviour, str(place)) for place, behaviour in enumerate(twenty())]
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
    play(store, sorted(sum(played, []), key=lambda each: each.created_ms))
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
