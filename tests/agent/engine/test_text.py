"""Growing text: joined pieces equal the whole, characters stay whole, stop strings never show."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from agent.engine.spelling import Spellings
from agent.engine.text import NO_CHARACTER, Detokenizer, Spared
from tests.tiny import tiny_pieces_tokenizer, tiny_tokenizer

BYTES, PIECES = tiny_tokenizer(), tiny_pieces_tokenizer()


def pieces(
    text: str, stop: list[str], spared: Spared | None = None
) -> tuple[list[str], str | None]:
    """Add a text byte by byte, so that characters are cut."""
    growing, out = Detokenizer(stop, spared=spared), []
    encoded = text.encode()
    for place, byte in enumerate(encoded):
        out.append(growing.add(bytes([byte]), last=place == len(encoded) - 1))
        if growing.stopped_by:
            break
    return out, growing.stopped_by


@given(st.text(min_size=1))
def test_the_pieces_are_the_text(text: str) -> None:
    """Nothing is lost, nothing told twice, and no half of a character is shown."""
    out, _ = pieces(text, [])
    assert "".join(out) == text
    if NO_CHARACTER not in text:
        assert not any(NO_CHARACTER in piece for piece in out)


def unspared(text: str, stop: str, spared: Spared) -> tuple[str, str | None]:
    """What is told of a whole text, and what stops it: the slow, obvious way."""
    opens, closes = spared.opens or "", spared.closes
    if spared.whole(text):
        return text, None
    at = 0
    while True:
        ends, opened = text.find(stop, at), text.find(opens, at) if opens else -1
        if opened < 0 or 0 <= ends < opened:
            return (text[:ends], stop) if ends >= 0 else (text, None)
        closed = text.find(closes, opened + len(opens)) if closes else -1
        if closed < 0:
            return text, None
        at = closed + len(closes or "")


def begins_so(text: str) -> bool | None:
    """Whether a text is a call without tags, as some families write it."""
    return True if text.startswith("[f") else None if "[f".startswith(text) else False


@given(
    st.lists(st.sampled_from(["<c>", "</c>", "<", "c", ">", "[", "f", "\u00e9"]), min_size=1),
    st.sampled_from(["<", "c", ">", "<c>", "</c>", "[f", "f", "cc", "\u00e9<", ">c"]),
    st.sampled_from([("<c>", "</c>"), ("<c>", None), (None, None)]),
    st.sampled_from([begins_so, lambda _: False]),
)
def test_where_calls_stand_a_stop_string_ends_nothing(
    parts: list[str], stop: str, tags: tuple[str | None, str | None], whole: Any
) -> None:
    """Between their tags, tags included, and in a reply that is one; elsewhere it does."""
    text, spared = "".join(parts), Spared(*tags, whole)
    out, stopped_by = pieces(text, [stop], spared)
    assert ("".join(out), stopped_by) == unspared(text, stop, spared)


@given(st.text(min_size=1), st.text(max_size=3), st.integers(0, 4))
def test_tokens_that_write_nothing_change_nothing(text: str, before: str, every: int) -> None:
    """Neither control tokens among the others nor a text before it touch the reply's text."""
    growing, out = Detokenizer(before=before.encode()), []
    for place, byte in enumerate(text.encode()):
        if every and place % every == 0:
            assert growing.add(b"") == ""
        out.append(growing.add(bytes([byte])))
    out.append(growing.add(b"", last=True))
    assert "".join(out) == text


def grown(tokenizer: Any, ids: list[int], stop: list[str]) -> tuple[str, str | None]:
    """The text that a reply of these tokens tells, piece by piece, and what stopped it."""
    spellings = Spellings(tokenizer)
    growing, out = Detokenizer(stop, drops_space=spellings.drops_space), list[str]()
    before: int | None = None
    for place, token in enumerate(ids):
        written, before = spellings.behind(before, token), token
        out.append(growing.add(written, last=place == len(ids) - 1))
        if growing.stopped_by is not None:
            break
    return "".join(out), growing.stopped_by


@given(st.lists(st.integers(3, 383), min_size=1), st.lists(st.text("abe \ufffd", max_size=3)))
def test_whatever_tokens_come_the_pieces_are_what_the_tokenizer_writes(
    ids: list[int], stop: list[str]
) -> None:
    """Broken characters included, up to the stop string that is complete first."""
    text, stopped_by = grown(BYTES, ids, stop)
    whole = BYTES.decode(ids, clean_up_tokenization_spaces=False)
    assert whole.startswith(text)
    if stopped_by is None:
        assert whole in (text, text + NO_CHARACTER)
    else:
        assert whole[len(text) :].startswith(stopped_by)


@given(st.text(), st.sampled_from("é€\N{GRINNING FACE}"), st.lists(st.text("a€", min_size=1)))
def test_a_character_that_the_end_cuts_is_left_out(text: str, cut: str, stop: list[str]) -> None:
    """The text ends before it, whatever ends the reply; a mark within stays."""
    for size in range(1, len(cut.encode())):
        for written in (text.encode(), text.encode() + b"\xff"):
            whole, growing = Detokenizer(stop), Detokenizer(stop)
            told = whole.add(written, last=True)
            assert growing.add(written + cut.encode()[:size], last=True) == told
            growing = Detokenizer(stop)
            said = [growing.add(written), growing.add(cut.encode()[:size])]
            if growing.stopped_by is None:
                said.append(growing.add(b"", last=True))
            assert "".join(said) == told


@given(st.text(st.characters(codec="utf-8", exclude_characters="\u2581"), min_size=1))
def test_sentence_pieces_are_written_as_their_tokenizer_writes_them(text: str) -> None:
    """With the bytes that they fall back on, and without the space that it puts in front."""
    ids = PIECES.encode(text, add_special_tokens=False)
    assert grown(PIECES, ids, []) == (PIECES.decode(ids), None) == (text, None)


@pytest.mark.parametrize("words", [["hello", "world"], ["hel", "##lo", "world", "##s"]])
def test_a_tokenizer_of_another_kind_is_asked_with_the_token_before(words: list[str]) -> None:
    """Where what a token writes depends on the one before it: word pieces."""
    vocabulary = {word: at for at, word in enumerate(dict.fromkeys(["[UNK]", *words]))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    backend.decoder = decoders.WordPiece(cleanup=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]")
    ids = [vocabulary[word] for word in words]
    assert grown(tokenizer, ids, []) == (tokenizer.decode(ids), None)


@given(st.text("ab", min_size=1), st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_a_stop_string_ends_the_text_before_it(text: str, stop: list[str]) -> None:
    """What is told stands before the stop string that is complete first; no part of one leaks."""
    out, stopped_by = pieces(text, stop)
    ends = [text.find(each) + len(each) for each in stop if each in text]
    if not ends:
        assert ("".join(out), stopped_by) == (text, None)
        return
    read = text[: min(ends)]
    begins, by = min((read.find(each), each) for each in stop if each in read)
    assert ("".join(out), stopped_by) == (read[:begins], by)
