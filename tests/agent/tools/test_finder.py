"""Tool calls are found in a reply however it is cut into tokens, in the form of each family."""

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.tools.calls import (
    Broken,
    Call,
    CallBegun,
    CallEnded,
    CallGrown,
    Found,
    Growing,
)
from agent.tools.finder import CallFinder
from agent.tools.format import Format
from agent.tools.hermes import HERMES
from agent.tools.llama import LLAMA
from agent.tools.mistral import MISTRAL, MISTRAL_NAMED
from agent.tools.pythonic import PYTHONIC

PIECES = st.sampled_from(
    ["<", "tool_call>", "<tool_call>", "</tool_call>", '{"name": "f", "arguments": {}}', "text",
     "\n", "</", "{", "}", '"', "[", "]", "<tool_", "call>"]
)  # fmt: skip


def found(*pieces: str, form: Format = HERMES, cut: bool = False) -> list[Growing]:
    """Feed a finder piece by piece, and join the neighbouring texts that it gives."""
    finder = CallFinder(form)
    given = [item for piece in pieces for item in finder.feed(piece)] + finder.finish(cut=cut)
    joined: list[Growing] = []
    for item in given:
        if isinstance(item, str) and joined and isinstance(joined[-1], str):
            joined[-1] += item
        else:
            joined.append(item)
    return joined


CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
WEATHER = Call("weather", '{"city": "Oslo"}')


def test_a_call_is_found_between_text() -> None:
    """Text before and after a call stays text, in order."""
    assert found(f"Let me see.\n{CALL} Done.") == ["Let me see.\n", WEATHER, " Done."]


def test_two_calls_are_two() -> None:
    """Parallel calls, in tags of their own or as one list, are each a call."""
    body = CALL[len("<tool_call>") : -len("</tool_call>")]
    assert found(CALL + CALL) == [WEATHER, WEATHER]
    assert found(f"<tool_call>[{body}, {body}]</tool_call>") == [WEATHER, WEATHER]


GROWS_CALL = '{"name": "weather", "arguments": {"a": '
INSIDE = CALL[len("<tool_call>\n") : -len("\n</tool_call>")]
DOUBLED: list[tuple[str, list[Found]]] = [
    (f"<tool_call>{CALL}</tool_call>", [WEATHER]),
    (f"<tool_call>\n{CALL} </tool_call>", [WEATHER]),
    (f"{CALL}\n</tool_call>\n</tool_call> Done.", [WEATHER, " Done."]),
    (f"{CALL}\nDone.", [WEATHER, "\nDone."]),
    (f"<tool_call>{INSIDE}<tool_call>{INSIDE}</tool_call>", [WEATHER, WEATHER]),
    (f"<tool_call>{INSIDE}\n{INSIDE}</tool_call>", [WEATHER, WEATHER]),
    (f"<tool_call>{INSIDE}, {INSIDE}</tool_call>{CALL}", [WEATHER, WEATHER, WEATHER]),
    (f"<tool_call>{INSIDE}</tool_ca", [WEATHER]),
    (f"<tool_call>```json\n{INSIDE}\n```</tool_call>", [WEATHER]),
    (f'<tool_call>{{"type": "function", "function": {INSIDE}}}</tool_call>', [WEATHER]),
    ("a </tool_call> b", ["a </tool_call> b"]),
    ("<tool_call><tool_call></tool_call>", [Broken("<tool_call><tool_call></tool_call>")]),
]


@pytest.mark.parametrize(("text", "expected"), DOUBLED, ids=lambda each: str(each)[:40])
@given(sizes=st.lists(st.integers(1, 30), max_size=20))
def test_tags_that_come_twice_or_not_at_all_are_no_text(
    text: str, expected: list[Found], sizes: list[int]
) -> None:
    """However the reply is cut into tokens, and whether calls are told while they grow or not."""
    pieces, rest = list[str](), text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert found(*pieces, rest) == found(*text) == expected
    names = [each.name if isinstance(each, Call) else each for each in expected]
    told = said(grown(text, *sizes))
    assert [each.name if isinstance(each, Call) else each for each in told] == names


@given(st.lists(st.integers(1, 12), max_size=30))
def test_the_cut_into_tokens_changes_nothing(sizes: list[int]) -> None:
    """However the reply is cut, the same text and calls come out."""
    text, pieces = f"a < b {CALL} and <tool_call>broken</tool_call> <tool", []
    rest = text
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    assert found(*pieces, rest) == found(text)


@given(st.lists(PIECES))
def test_text_is_never_lost(pieces: list[str]) -> None:
    """What is no call comes out exactly as it went in, as text or as what is broken."""
    text, items = "".join(pieces), found(*pieces)
    if not any(isinstance(item, Call) for item in items):
        assert "".join(i.raw if isinstance(i, Broken) else str(i) for i in items) == text


def test_text_is_not_held_back_longer_than_needed() -> None:
    """Only what may be the beginning of a tag waits."""
    finder = CallFinder(HERMES)
    assert finder.feed("a < b") == ["a < b"]
    assert finder.feed(" <tool") == [" "]
    assert finder.feed("box") == ["<toolbox"]


@pytest.mark.parametrize(
    "inside",
    ["not JSON", "{}", '{"name": 3}', '{"name": ""}', "[]", "3",
     '{"name": "f", "arguments": [1]}', '{"name": "f", "arguments": "x"}',
     '{"name": "f", "arguments": {"x": NaN}}', '{"name": "f", "arguments": "\\ud800"}',
     "[" * 100_000],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_what_is_no_call_is_told_as_broken(inside: str) -> None:
    """Broken, nameless or unwritable JSON between tags is neither text nor a call."""
    raw = f"<tool_call>{inside}</tool_call>"
    assert found(f"a {raw} b") == ["a ", Broken(raw), " b"]


@pytest.mark.parametrize("name", ['"\\x"', '"a\nb"', '"\\ud800"'], ids=ascii)
def test_a_name_that_cannot_be_read_or_written_is_told_as_broken(name: str) -> None:
    """A bad escape, a raw line end, half a character; also where calls are told as they grow."""
    raw = f'<tool_call>{{"name": {name}, "arguments": {{}}}}</tool_call>'
    assert found(raw) == grown(raw) == [Broken(raw)]


def test_a_reply_that_ends_in_a_call_needs_no_closing_tag() -> None:
    """Small models forget the closing tag; a whole call without it counts."""
    assert found('<tool_call>{"name": "f", "arguments": {}}') == [Call("f", "{}")]
    begun = '<tool_call>{"name": "f", "argum'
    assert found(begun) == [Broken(begun)]
    assert found(begun, cut=True) == [Broken(begun, "cut")]


def test_arguments_are_json_text() -> None:
    """Arguments come as an object or as JSON in a string; both become one JSON text."""
    inner = json.dumps({"x": 1})
    assert found(f'<tool_call>{{"name": "f", "arguments": {json.dumps(inner)}}}</tool_call>') == [
        Call("f", inner)
    ]
    assert found('<tool_call>{"name": "f"}</tool_call>') == [Call("f", "{}")]


OSLO = Call("weather", '{"city": "Oslo"}')
TIME = Call("time.now", '{"zone": "CET", "exact": true, "days": [1, -2], "of": null}')
WRITTEN: list[tuple[Format, str, list[Found]]] = [
    (LLAMA, '{"name": "weather", "parameters": {"city": "Oslo"}}', [OSLO]),
    (LLAMA, ' {"type": "function", "name": "weather", "parameters": {"city": "Oslo"}}', [OSLO]),
    (LLAMA, '<|python_tag|>{"name": "weather", "parameters": {"city": "Oslo"}}', [OSLO]),
    (LLAMA, 'See: <|python_tag|>{"name": "weather", "parameters": {"city": "Oslo"}}',
     ["See: ", OSLO]),
    (LLAMA, '{"name": "weather", "parameters": {"city": "Oslo"}}; '
     '{"name": "weather", "parameters": {"city": "Oslo"}}', [OSLO, OSLO]),
    (LLAMA, '<|python_tag|><|python_tag|>{"name": "weather", "parameters": {"city": "Oslo"}}'
     '<|python_tag|>{"name": "weather", "parameters": {"city": "Oslo"}}<|python_tag|>',
     [OSLO, OSLO]),
    (LLAMA, '[{"name": "weather", "parameters": {"city": "Oslo"}}]', [OSLO]),
    (LLAMA, '[{"name": "Bob", "age": 3}]', ['[{"name": "Bob", "age": 3}]']),
    (LLAMA, '{"name": "Bob", "age": 3}', ['{"name": "Bob", "age": 3}']),
    (LLAMA, '{"answer": 3}', ['{"answer": 3}']),
    (LLAMA, '{"name": "weather", "parameters": {"city": ',
     [Broken('{"name": "weather", "parameters": {"city": ')]),
    (LLAMA, "<|python_tag|>print(3)", [Broken("<|python_tag|>print(3)")]),
    (MISTRAL, '[TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo"}}]', [OSLO]),
    (MISTRAL, '[TOOL_CALLS]{"name": "weather", "arguments": {"city": "Oslo"}}a1B2c3D4e', [OSLO]),
    (MISTRAL, 'Well. [TOOL_CALLS][{"name": "weather", "arguments": {"city": "Oslo"}}, '
     '{"name": "weather", "arguments": {"city": "Oslo"}}]', ["Well. ", OSLO, OSLO]),
    (MISTRAL, '[TOOL_CALLS][TOOL_CALLS] [{"name": "weather", "arguments": {"city": "Oslo"}}]',
     [OSLO]),
    (MISTRAL, "[TOOL_CALLS][TOOL_CALLS]", [Broken("[TOOL_CALLS][TOOL_CALLS]")]),
    (MISTRAL, "[TOOL_CALLS][{]", [Broken("[TOOL_CALLS][{]")]),
    (MISTRAL_NAMED, '[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}', [OSLO]),
    (MISTRAL_NAMED, '[TOOL_CALLS]weather[CALL_ID]a1B2c3D4e[ARGS]{"city": "Oslo"}'
     '[TOOL_CALLS]weather{"city": "Oslo"}', [OSLO, OSLO]),
    (PYTHONIC, '[weather(city="Oslo")]', [OSLO]),
    (PYTHONIC, '[weather(**{"city": "Oslo"}), '
     "time.now(zone='CET', exact=True, days=[1, -2], of=null)]", [OSLO, TIME]),
    (PYTHONIC, '[weather(city="\\ud83d\\ude00 \\/")]',
     [Call("weather", '{"city": "\U0001f600 \\\\/"}')]),
    (PYTHONIC, "[1, 2, 3]", ["[1, 2, 3]"]),
    (PYTHONIC, "[see](https://example.org)", ["[see](https://example.org)"]),
    (PYTHONIC, "[weather(open('x').read())]", [Broken("[weather(open('x').read())]")]),
    (PYTHONIC, "[weather(city=", [Broken("[weather(city=")]),
]  # fmt: skip


@pytest.mark.parametrize(("form", "text", "expected"), WRITTEN, ids=lambda each: str(each)[:40])
def test_each_family_writes_calls_in_its_form(
    form: Format, text: str, expected: list[Found]
) -> None:
    """Calls, answers that look alike, and what is neither; however it is cut into tokens."""
    assert found(text, form=form) == expected
    assert found(*text, form=form) == expected


def grown(
    text: str, *sizes: int, form: Format = HERMES, names: tuple[str, ...] = ("weather",)
) -> list[Growing]:
    """What a finder tells of a reply of these pieces whose calls are told while they grow."""
    finder, told, rest = CallFinder(form, names), list[Growing](), text
    for size in sizes:
        told += finder.feed(rest[:size])
        rest = rest[size:]
    return [*told, *finder.feed(rest), *finder.finish()]


def said(told: list[Growing]) -> list[Found]:
    """The same, each call that grew as a whole."""
    whole: list[Found] = []
    for each in told:
        match each:
            case CallBegun(name):
                whole.append(Call(name, ""))
            case CallGrown(text):
                assert text
                assert isinstance(whole[-1], Call)
                whole[-1] = Call(whole[-1].name, whole[-1].arguments + text)
            case CallEnded():
                assert isinstance(whole[-1], Call)
                json.loads(whole[-1].arguments)
            case str() if whole and isinstance(whole[-1], str):
                whole[-1] += each
            case _:
                whole.append(each)
    return whole


@pytest.mark.parametrize(("form", "text", "expected"), WRITTEN, ids=lambda each: str(each)[:40])
@given(sizes=st.lists(st.integers(1, 12), max_size=30))
@settings(max_examples=20, deadline=None)
def test_calls_that_grow_are_those_that_come_whole(
    form: Format, text: str, expected: list[Found], sizes: list[int]
) -> None:
    """In every family's form, however it is cut; what breaks off is told of with its place."""
    told = said(grown(text, *sizes, form=form))
    halts = [each.halt for each in told if isinstance(each, Broken) and each.halt is not None]
    if not halts:
        assert told == expected
    for halt in halts:  # only where the whole was broken, too
        assert isinstance(expected[-1], Broken)
        assert text[: halt.at].endswith(told[-2].arguments)  # type: ignore[union-attr]


def test_a_call_is_begun_by_its_name_and_grows_by_its_arguments() -> None:
    """Nothing waits for the closing tag, and nothing is told that may be its beginning."""
    finder = CallFinder(HERMES, ("weather",))
    assert finder.feed('<tool_call>\n{"name": "weather", "arguments":') == []
    assert finder.feed(' {"city') == [CallBegun("weather"), CallGrown('{"city')]
    assert finder.feed('": "Os<') == []  # nor a part of a token, which nothing could go on from
    assert finder.feed('lo"}') == [CallGrown('": "Os<lo"}'), CallEnded()]
    assert finder.feed("}\n</tool_call> and") == [" and"]


@pytest.mark.parametrize(
    ("sizes", "text", "good"),
    [((45,), '<tool_call>{"name": "weather", "arguments": {"city": Oslo}}</tool_call>',
      '<tool_call>{"name": "weather", "arguments": {'),
     ((52,), '<tool_call>{"name": "weather", "arguments": {"city": Oslo}}</tool_call>',
      '<tool_call>{"name": "weather", "arguments": {"city":'),
     ((60,), '<tool_call>{"name": "weather", "arguments": {"city": "Oslo}}</tool_call>',
      '<tool_call>{"name": "weather", "arguments": {"city": "Oslo}}'),
     ((52,), '<tool_call>[{"name": "weather", "arguments": {"x": 1', None)],
)  # fmt: skip
def test_where_arguments_break_off_is_told(
    sizes: tuple[int, ...], text: str, good: str | None
) -> None:
    """Up to the last piece that was good; a quote that is not closed ends before the tag."""
    (broken,) = [each for each in grown(text, *sizes) if isinstance(each, Broken)]
    assert broken.halt is not None
    assert text[: broken.halt.at] == (text if good is None else good)
    assert broken.halt.listed == ("[" in text)


@given(st.lists(st.sampled_from(["<", "</", " <", '"<', "x", "</tool_call>", '"', "1", " ", "\n"])))
def test_arguments_break_off_where_a_piece_ends(pieces: list[str]) -> None:
    """What is held back may be a part of a piece, from within which nothing can go on."""
    begun, told = [f"<tool_call>{GROWS_CALL}", *pieces, "\x00"], list[Growing]()
    finder = CallFinder(HERMES, ("weather",))
    for piece in begun:
        told += finder.feed(piece)
    ends = [len("".join(begun[:number])) for number in range(len(begun))]
    halts = [each.halt for each in told if isinstance(each, Broken) and each.halt is not None]
    assert all(halt.at in ends for halt in halts)
    if halts:
        arguments = "".join(each.text for each in told if isinstance(each, CallGrown))
        assert "".join(begun)[: halts[0].at].endswith(arguments)


TAGGED = st.lists(
    st.sampled_from(["</tool_call>", "<tool_call>", "[TOOL_CALLS]", "[ARGS]", '"', "\\", "\n", "}",
                     "{", " ", "x", "<|python_tag|>", "]", ";", "é"]), max_size=6,
).map("".join)  # fmt: skip
WRITES = {
    HERMES: lambda each: "".join(f"<tool_call>{json.dumps(e)}</tool_call>" for e in each),
    MISTRAL: lambda each: f"[TOOL_CALLS]{json.dumps(each)}",
    MISTRAL_NAMED: lambda each: "".join(
        f"[TOOL_CALLS]{e['name']}[ARGS]{json.dumps(e['arguments'])}" for e in each
    ),
    LLAMA: lambda each: "; ".join(json.dumps(e) for e in each),
    PYTHONIC: lambda each: "[{}]".format(
        ", ".join(f"weather(**{json.dumps(e['arguments'])})" for e in each)
    ),
}


@pytest.mark.parametrize("form", WRITES, ids=lambda form: form.name)
@pytest.mark.parametrize("grows", [False, True])
@given(said_=st.lists(st.tuples(TAGGED, TAGGED), min_size=1, max_size=3),
       sizes=st.lists(st.integers(1, 9), max_size=40))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_a_tag_in_an_argument_is_what_is_said(
    form: Format, grows: bool, said_: list[tuple[str, str]], sizes: list[int]
) -> None:
    """Whatever family's: tags in the strings of calls neither open nor end one."""
    each = [{"name": "weather", "arguments": {f"a{name}": text}} for name, text in said_]
    told = said(grown(WRITES[form](each), *sizes, form=form, names=("weather",) if grows else ()))
    assert [(c.name, json.loads(c.arguments)) for c in told if isinstance(c, Call)] == [
        (e["name"], e["arguments"]) for e in each
    ]
    assert all(isinstance(c, Call) for c in told)


@pytest.mark.parametrize("end", ["}}</tool_call>", "}}\n</tool_call>"])
@pytest.mark.parametrize("behind", ["", " Done.", ' It is "fine".', f"\n{CALL}"])
def test_a_quote_without_an_end_takes_nothing_with_it(end: str, behind: str) -> None:
    """Text and calls behind such a call are what they are, but where a quote follows it."""
    told = found(f'<tool_call>{{"name": "weather", "arguments": {{"city": "Oslo{end}{behind}')
    assert isinstance(told[0], Broken)
    if behind == "" or "\n" in end or '"' not in behind.split("\n")[0]:
        last = ["\n", WEATHER] if behind.startswith("\n") else [behind]
        assert told[1:] == (last if behind else [])


@pytest.mark.parametrize(
    ("inside", "calls", "broken"),
    [
        ('{"name": "weather", "arguments": {"city": "Oslo"}', 1, 1),
        ('{"name":"weather","arguments":{"city":"</tool"}}', 1, 0),
        ('{"name": "weather", "arguments": {}, "name": "shell"}', 1, 1),
        ('{"name": "shell", "arguments": {"city": "Oslo"}}', 0, 0),
        ('{"name": "weather", "arguments": [1]}', 0, 1),
        ('{"arguments": {"name": "weather", "arguments": {}}}', 0, 1),
    ],
)
def test_what_else_stands_between_tags(inside: str, calls: int, broken: int) -> None:
    """A call stands as it was told, whatever comes behind it; what has no plain head grows not."""
    text = f"<tool_call>{inside}</tool_call>"
    for sizes in ((), tuple([1] * len(text))):
        told = grown(text, *sizes)
        assert sum(isinstance(each, CallBegun) for each in told) == calls
        assert sum(isinstance(each, Broken) for each in told) == broken


@pytest.mark.parametrize(
    ("form", "begun", "piece"),
    [
        (PYTHONIC, '[weather(text="', "\u6587\u5b57"),
        (MISTRAL_NAMED, "[TOOL_CALLS]", "weather{} [TOOL_CALLS]"),
        (HERMES, f'<tool_call>{GROWS_CALL}"</tool_call> ', "\u6587\u5b57"),
        (HERMES, f"<tool_call>{GROWS_CALL}[", '"</tool_call>", '),
    ],
)
def test_a_long_call_is_not_read_anew_for_each_token(form: Format, begun: str, piece: str) -> None:
    """The server's other replies wait while this one is read: it must not take seconds."""
    finder, began_s = CallFinder(form, ("weather",)), time.process_time()
    for text in (begun, *[piece] * 2000):
        finder.feed(text)
    assert time.process_time() - began_s < 2


@pytest.mark.parametrize(
    ("form", "text"),
    [(PYTHONIC, "[" + " " * 50_000 + "."), (MISTRAL, "[TOOL_CALLS]weather" + " " * 3000)],
)
def test_white_space_without_end_is_read_once(form: Format, text: str) -> None:
    """A model that is caught in a loop writes it to its limit."""
    began_s = time.process_time()
    found(text, form=form)
    assert time.process_time() - began_s < 2


def test_a_call_whose_head_comes_late_is_told_when_it_is_whole() -> None:
    """White space that does not end is no head; the call is one all the same."""
    text = f"<tool_call>{' ' * 2000}{INSIDE}</tool_call>"
    assert grown(text) == grown(text, *[1] * len(text)) == [WEATHER]
