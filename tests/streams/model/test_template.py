"""Whatever a template can render is found out when it is opened; what it cannot is rewritten."""

import time
from typing import Any

import pytest

from streams.errors import TemplateRefusedError
from streams.model.prompt import Prompt
from streams.model.regroup import joined, one_call_each
from streams.model.template import Template
from streams.model.tool_text import fold_tools
from streams.records import Json, Message
from tests.templates import FAMILIES, KNOWS_SYSTEM, KNOWS_TOOLS, SMOLLM2
from tests.tiny import tiny_tokenizer

NAMES = pytest.mark.parametrize("name", FAMILIES)
TOOL: Json = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
CALL: Json = {
    "id": "call_0123456789abcdef01234567", "type": "function",
    "function": {"name": "add", "arguments": '{"first": "seven"}'},
}  # fmt: skip
TALK = [
    Message(role="user", content="first question"),
    Message(role="assistant", content="first answer"),
    Message(role="user", content="second question"),
]
CALLING = [
    Message(role="user", content="what is it?"),
    Message(role="assistant", content=None, tool_calls=[CALL]),
    Message(role="tool", content="result eight", tool_call_id=CALL["id"]),
]
SYSTEM = Message(role="developer", content="be brief")


def with_template(source: Any) -> Any:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = source
    return tokenizer


@NAMES
def test_what_a_template_can_render_is_found_out(name: str) -> None:
    """Content in parts, the system's words, tools: by rendering a probe."""
    can = Template(FAMILIES[name].tokenizer()).abilities
    assert can.parts == (name == "parts")
    assert can.system == (name in KNOWS_SYSTEM)
    assert can.tools == (name in KNOWS_TOOLS)
    assert can.short_ids == (name == "mistral_tools")
    assert can.alternates == (name == "mistral")
    assert can.one_call == (name == "llama3")
    assert can.text_apart == (name in ("llama3", "mistral_tools"))


def _call(id: str, word: str) -> Json:
    function = {"name": "add", "arguments": f'{{"first": "{word}"}}'}
    return {"id": id, "type": "function", "function": function}


def _result(id: str | None, word: str) -> Message:
    return Message(role="tool", content=word, tool_call_id=id)


USER, BOTH = Message(role="user", content="hazel"), [_call("a", "walnut"), _call("b", "birch")]
SHAPES: dict[str, tuple[list[Message], str]] = {
    "parallel calls": (
        [USER, Message(role="assistant", tool_calls=BOTH), _result("a", "cedar"),
         _result("b", "aspen")], "hazel walnut birch cedar aspen"),
    "results in another order": (
        [USER, Message(role="assistant", tool_calls=BOTH), _result("b", "aspen"),
         _result("a", "cedar"), Message(role="user", content="linden")],
        "walnut birch cedar aspen linden"),
    "one result missing": (
        [USER, Message(role="assistant", tool_calls=BOTH), _result("b", "aspen"),
         Message(role="user", content="linden")], "walnut birch aspen linden"),
    "a result of no id": (
        [USER, Message(role="assistant", tool_calls=BOTH[:1]), _result(None, "cedar")],
        "walnut cedar"),
    "text beside calls": (
        [USER, Message(role="assistant", content="poplar", tool_calls=BOTH), _result("a", "cedar"),
         _result("b", "aspen")], "hazel poplar walnut birch cedar aspen"),
    "a user after a result": (
        [USER, Message(role="assistant", tool_calls=BOTH[:1]), _result("a", "cedar"),
         Message(role="user", content="linden")], "hazel walnut cedar linden"),
    "a result first": ([_result("a", "cedar"), USER], "cedar hazel"),
    "two users": ([USER, Message(role="user", content="linden")], "hazel linden"),
    "two assistants": (
        [USER, Message(role="assistant", content="poplar"),
         Message(role="assistant", content="alder"), Message(role="user", content="linden")],
        "hazel poplar alder linden"),
    "a system later": (
        [USER, Message(role="assistant", content="poplar"), SYSTEM,
         Message(role="user", content="linden")], "hazel poplar brief linden"),
}  # fmt: skip


@NAMES
@pytest.mark.parametrize("offered", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_of_a_conversation_loses_words_or_is_refused(
    name: str, shape: str, offered: bool
) -> None:
    """Where a template takes no such messages, they are cut or joined, and none is left out."""
    tokenizer = FAMILIES[name].tokenizer()
    messages, words = SHAPES[shape]
    text = tokenizer.decode(Prompt(tokenizer).render(messages, [TOOL] if offered else None))
    assert [word for word in words.split() if text.count(word) != 1] == []


@NAMES
@pytest.mark.parametrize("system", [[], [SYSTEM]])
@pytest.mark.parametrize("talk", [TALK[:1], TALK, CALLING])
def test_every_word_of_a_conversation_is_rendered(
    name: str, system: list[Message], talk: list[Message]
) -> None:
    """On every family: nothing of what anybody said is left out, in order."""
    tokenizer = FAMILIES[name].tokenizer()
    tools = [TOOL] if talk is CALLING else None
    text = tokenizer.decode(Prompt(tokenizer).render([*system, *talk], tools))
    said = [message.content or "seven" for message in [*system, *talk]]
    places = [text.index(each) for each in said]
    assert places[len(system) :] == sorted(places[len(system) :])


@NAMES
def test_a_reply_that_goes_on_with_a_message_is_left_open(name: str) -> None:
    """The prompt ends with the message's own last letter, whatever the template writes after it."""
    tokenizer = FAMILIES[name].tokenizer()
    begun = Message(role="assistant", content="The answer is ")
    ids = Prompt(tokenizer).render([TALK[0], begun], continues=True)
    text = tokenizer.decode(ids)
    assert text.endswith("The answer is ")
    assert "first question" in text
    history = tokenizer.decode(Prompt(tokenizer).render([TALK[0], begun, TALK[2]]))
    assert "The answer is" in history


@pytest.mark.parametrize(
    ("name", "end"),
    [("chatml", "<|im_end|>"), ("gemma", "<end_of_turn>"), ("phi", "<|end|>"),
     ("llama3", "<|eot_id|>"), ("mistral", "</s>")],
)  # fmt: skip
def test_what_a_template_ends_a_reply_with_is_known(name: str, end: str) -> None:
    """Whatever the model's configuration calls its end of text."""
    tokenizer = FAMILIES[name].tokenizer()
    assert Prompt(tokenizer).end_id == tokenizer.convert_tokens_to_ids(end)


def test_a_template_may_end_a_reply_with_plain_text() -> None:
    """Then only the configuration's end of text ends one."""
    said = "{{ message.role + ': ' + message.content + '\n' }}"
    source = f"{{% for message in messages %}}{said}{{% endfor %}}"
    assert Prompt(with_template(source)).end_id is None


def test_only_words_of_the_assistant_can_go_on() -> None:
    """A user's message, or a call, is not continued."""
    prompt = Prompt(FAMILIES["chatml"].tokenizer())
    for messages in (TALK, CALLING[:2]):
        with pytest.raises(TemplateRefusedError, match="can go on"):
            prompt.render(messages, continues=True)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{% for message in messages %}{{ message.content }}", "endfor"),
        ("{{ messages[0].content.nothing.at_all }}", "nothing"),
        ("{{ raise_exception('no') }}", "no"),
        ("{% for message in messages %}{{ message.role }}{% endfor %}", "blackberry, juniper"),
        ("{% for message in messages %}{% if message.role == 'user' %}{{ message.content }}"
         "{% endif %}{% endfor %}", "juniper"),
        ("{{ messages[-1].content }}", "blackberry, juniper"),
        ("{% for message in messages %}{{ message.content[:4] }}{% endfor %}", "blackberry"),
    ],
    ids=["syntax", "undefined", "refuses", "no words", "no replies", "no history", "cut"],
)  # fmt: skip
def test_a_template_that_loses_words_is_refused_when_it_is_opened(source: str, why: str) -> None:
    """It is said how, before anybody is served by it."""
    with pytest.raises(TemplateRefusedError, match=why):
        Template(with_template(source))


def written(content: str, messages: str = "messages") -> Any:
    """A tokenizer whose template writes each message's content so."""
    said = f"{{{{ '<|im_start|>' + m.role + '\n' }}}}{{{{ {content} }}}}{{{{ '<|im_end|>\n' }}}}"
    return with_template(f"{{% for m in {messages} %}}{said}{{% endfor %}}")


@pytest.mark.parametrize(
    ("content", "messages", "lost"),
    [
        ("m.content[:200]", "messages", "end of a long message"),
        ("m.content | truncate(1000)", "messages", "end of a long message"),
        ("m.content if m.role == 'user' else m.content[:200]", "messages", "end of a long message"),
        ("m.content[:9] + m.content[-200:]", "messages", "signs or line ends"),
        ("m.content | striptags", "messages", "signs or line ends"),
        ("m.content | e", "messages", "signs or line ends"),
        ("m.content | tojson", "messages", "signs or line ends"),
        ("m.content.split() | join(' ')", "messages", "signs or line ends"),
        ("m.content.split('  ') | join(' ')", "messages", "signs or line ends"),
        ("m.content | wordwrap(80)", "messages", "letters within a long message"),
        ("m.content | replace('bramble', '', 9)", "messages", "letters within a long message"),
        ("m.content", "messages[-10:]", "messages of a long conversation"),
        ("m.content", "messages[:6]", "messages of a long conversation"),
        ("m.content", "messages | reverse", "order of messages"),
    ],
)
def test_a_template_that_changes_what_is_said_is_refused_when_it_is_opened(
    content: str, messages: str, lost: str
) -> None:
    """Also where only a long text, an odd sign or a long conversation shows it."""
    with pytest.raises(TemplateRefusedError, match=lost):
        Template(written(content, messages))


@pytest.mark.parametrize("content", ["m.content", "m.content | trim", "m.content.rstrip('\n')"])
def test_a_template_may_trim_what_is_said(content: str) -> None:
    """Blanks around a text say nothing."""
    assert Template(written(content)).abilities.system


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls itself"),
        (f"{{{{ messages[0].content[:1] * {2**62} }}}}", "MemoryError"),
    ],
    ids=["recursion", "memory"],
)
def test_a_template_that_takes_more_than_there_is_is_refused(source: str, why: str) -> None:
    """It is refused like any other that fails."""
    with pytest.raises(TemplateRefusedError, match=why):
        Template(with_template(source))


def test_what_is_nested_too_deep_is_refused() -> None:
    """Arguments of a call and tools, which a client may nest as it likes."""
    prompt = Prompt(FAMILIES["chatml"].tokenizer())
    deep: Json = {}
    for _ in range(2_000):
        deep = {"a": deep}
    for arguments in ("[" * 100_000, deep):
        call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
        with pytest.raises(TemplateRefusedError, match="nested too deep"):
            prompt.render([USER, Message(role="assistant", tool_calls=[call]), _result("a", "b")])


def test_a_tokenizer_of_several_templates_without_a_default_is_refused() -> None:
    """What would fail at the first request fails at the start."""
    with pytest.raises(TemplateRefusedError, match="default"):
        Template(with_template({"rag": SMOLLM2, "other": SMOLLM2}))


def test_a_tokenizer_that_loses_words_is_refused() -> None:
    """Words that are rendered must be in the ids, too."""
    from tokenizers import normalizers

    tokenizer = with_template(SMOLLM2)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("juniper", "")
    with pytest.raises(TemplateRefusedError, match="juniper"):
        Prompt(tokenizer)


def test_calls_of_one_id_and_results_of_none_keep_their_order() -> None:
    """Each call has the first result of its id that is left; the rest stand behind all."""
    calls = [_call("a", "walnut"), _call("a", "birch"), _call("c", "poplar")]
    told = one_call_each(
        [{"role": "assistant", "content": "", "tool_calls": calls}]
        + [{"role": "tool", "content": word, "tool_call_id": id} for id, word in
           (("x", "aspen"), ("a", "cedar"), ("", "alder"), ("a", "linden"), ("a", "hazel"))]
    )  # fmt: skip
    said = [each["content"] for each in told if each["role"] == "tool"]
    assert said == ["cedar", "linden", "aspen", "alder", "hazel"]


def test_many_small_messages_take_linear_time() -> None:
    """A megabyte of them, whatever is made of it: one thread renders for everybody."""
    number = 30_000
    results: list[Json] = [
        {"role": "tool", "content": "", "tool_call_id": str(at)} for at in range(number)
    ]
    calls = [_call(str(at), "") for at in reversed(range(number))]
    begun = time.process_time()
    assert len(fold_tools(results, None)) == 1
    assert len(joined([{"role": "user", "content": "x" * 30}] * number)) == 1
    calling: Json = {"role": "assistant", "content": "", "tool_calls": calls}
    assert len(one_call_each([calling, *results])) == 2 * number
    assert time.process_time() - begun < 5
