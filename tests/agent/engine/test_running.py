"""A reply in the making tells tokens as they are, and of control tokens only what was asked for."""

from collections.abc import Collection
from typing import Any

import pytest
from tokenizers import AddedToken

from agent.engine.contract import Finish, Request, Scored, Token
from agent.engine.running import Running
from agent.engine.sampler import Choice
from agent.engine.spelling import Spelling, Spellings, spelt
from agent.engine.text import Spared
from agent.swap.residents import Resident
from agent.tools.families import FORMATS
from streams.line.variant import Variant
from streams.records import Sampling
from tests.agent.engine.test_spelling import ids_of
from tests.tiny import tiny_pieces_tokenizer, tiny_tokenizer

END = 2  # <|im_end|> and </s>


def running(tokenizer: Any, *, before: str = "", stop: list[str] | None = None,
            shown: frozenset[str] = frozenset(),
            spared: Spared | None = None) -> Running:  # fmt: skip
    """A reply that has read its prompt, on no weights at all."""
    nothing: Any = None
    sampling = Sampling(temperature=1, top_p=1, max_tokens=99, seed=0, stop=stop or [])
    prompt = tokenizer.encode(before, add_special_tokens=False) if before else [1]
    return Running.begun(
        Request(prompt, sampling, shown=shown, continues=bool(before), spared=spared),
        nothing,
        Resident(Variant("main", "1f2e"), nothing, nothing),
        0,
        spellings=Spellings(tokenizer),
    )


def told(
    reply: Running, ids: list[int], stop_ids: Collection[int] = (END,)
) -> tuple[list[Token], Finish | None]:
    """Let the reply have these tokens, until it ends."""
    tokens: list[Token] = []
    finish: Finish | None = None
    for token in ids:
        choice = Choice(token, -0.5, -0.25, ((token, -0.5), (END, -1.5)))
        made, finish = reply.take(choice, stop_ids=stop_ids, capacity=999)
        tokens.append(made)
        if finish is not None:
            break
    return tokens, finish


def text_of(tokens: list[Token]) -> str:
    return "".join(token.text for token in tokens)


def test_tokens_are_named_as_they_are_while_text_is_held_back() -> None:
    """A stop string that may come holds text back, and changes no token's name."""
    tokenizer = tiny_tokenizer()
    ids = ids_of(tokenizer, "the weather tomorrow")
    free, _ = told(running(tokenizer), ids)
    held, finish = told(running(tokenizer, stop=["r to"]), ids)
    assert text_of(held) == "the weathe"
    assert finish == Finish("stop", "r to")
    names = [token.spelling.name for token in held]
    assert names == [token.spelling.name for token in free][: len(held)]
    assert "".join(names).startswith("the weather to")
    assert [token.text for token in held] != names


CALLS = {
    "hermes": 'I see. <tool_call>{"name": "f", "arguments": {"x": "a b"}}</tool_call>',
    "llama": '{"name": "f", "parameters": {"x": "a b"}}',
    "mistral": 'I see. [TOOL_CALLS][{"name": "f", "arguments": {"x": "a b"}}]',
    "mistral_named": '[TOOL_CALLS]f[ARGS]{"x": "a b (c)"}',
    "pythonic": '[f(x="a b", y="</tool_call>")]',
}


@pytest.mark.parametrize("stop", ['"', "a b", "{", "(", "f"])
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_a_stop_string_in_a_call_ends_nothing(form: Any, stop: str) -> None:
    """In every form of calls, whatever tokens its text is cut into."""
    tokenizer, said = tiny_tokenizer(), CALLS[form.name]
    ids = ids_of(tokenizer, said)
    tokens, finish = told(
        running(tokenizer, stop=[stop], spared=Spared(form.opens, form.closes, form.bare)), ids
    )
    assert (text_of(tokens), finish) == (said, None)
    _, finish = told(running(tokenizer, stop=[stop]), ids)
    assert finish == (Finish("stop", stop) if stop in said else None)


def test_a_token_that_splits_a_character_has_its_bytes() -> None:
    """The text comes with the last of them."""
    tokens, _ = told(running(tiny_tokenizer()), ids_of(tiny_tokenizer(), "☀"))
    assert [token.text for token in tokens] == ["", "", "☀"]
    assert [token.spelling.bytes for token in tokens] == [b"\xe2", b"\x98", b"\x80"]


def test_the_likeliest_tokens_are_named_too() -> None:
    """A control token among them has a name and no bytes."""
    (token,), _ = told(running(tiny_tokenizer()), [ids_of(tiny_tokenizer(), " is")[0]])
    assert token.top == (Scored(spelt(b" is"), -0.5), Scored(Spelling("<|im_end|>", None), -1.5))


def test_an_end_token_is_no_text_though_its_tokenizer_calls_it_so() -> None:
    """A reply's end is none of its text, also where the token is not marked special."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken("<|eot|>", special=False)])
    eot, ids = len(tokenizer) - 1, ids_of(tokenizer, "Paris ☀")
    tokens, finish = told(running(tokenizer), [*ids, eot], stop_ids={END, eot})
    assert (text_of(tokens), finish) == ("Paris ☀", Finish("stop"))
    assert tokens[-1].spelling == Spelling("<|eot|>", None)
    # cut in a character: nobody wrote it
    tokens, _ = told(running(tokenizer), [*ids[:-1], eot], stop_ids={END, eot})
    assert text_of(tokens) == "Paris "


def test_a_special_token_is_text_where_it_was_asked_for() -> None:
    """A tag of tool calls is seen where calls are looked for, and hidden where they are not."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken("<tool_call>", special=True)])
    ids = ids_of(tokenizer, 'See: <tool_call>{"name": "f"}')
    shown, _ = told(running(tokenizer, shown=frozenset({"<tool_call>"})), [*ids, END])
    hidden, _ = told(running(tokenizer), [*ids, END])
    assert text_of(shown) == 'See: <tool_call>{"name": "f"}'
    assert text_of(hidden) == 'See: {"name": "f"}'
    at = ids.index(len(tokenizer) - 1)
    assert shown[at].spelling == spelt(b"<tool_call>")
    assert hidden[at].spelling == Spelling("<tool_call>", None)


def test_a_reply_that_goes_on_with_a_text_keeps_its_first_space() -> None:
    """A tokenizer that drops a text's first space must not take this for a text's beginning."""
    tokenizer = tiny_pieces_tokenizer()
    first = ids_of(tokenizer, "Paris")  # " Paris", as sentence pieces have it
    alone, _ = told(running(tokenizer), first)
    after, _ = told(running(tokenizer, before="The capital of France is"), first)
    assert (text_of(alone), text_of(after)) == ("Paris", " Paris")
