"""Growing text: joined pieces equal the whole, characters stay whole, stop strings never show."""

from hypothesis import given
from hypothesis import strategies as st

from agent.engine.text import UNFINISHED, Detokenizer


def decode(ids: list[int]) -> str:
    """One token a byte, so that characters are cut."""
    return bytes(ids).decode(errors="replace")


def pieces(text: str, stop: list[str]) -> tuple[list[str], str | None]:
    growing, out = Detokenizer(decode, stop), []
    encoded = text.encode()
    for place, byte in enumerate(encoded):
        out.append(growing.add(byte, last=place == len(encoded) - 1))
        if growing.stopped_by:
            break
    return out, growing.stopped_by


@given(st.text(min_size=1))
def test_the_pieces_are_the_text(text: str) -> None:
    """Nothing is lost, nothing told twice, and no half of a character is shown."""
    out, _ = pieces(text, [])
    assert "".join(out) == text
    if UNFINISHED not in text:
        assert not any(UNFINISHED in piece for piece in out)


@given(st.text(min_size=1), st.text(max_size=3), st.integers(0, 4))
def test_tokens_that_write_nothing_change_nothing(text: str, before: str, every: int) -> None:
    """Neither control tokens among the others nor a text before it touch the reply's text."""
    growing, out = Detokenizer(decode, before=list(before.encode())), []
    for place, byte in enumerate(text.encode()):
        if every and place % every == 0:
            assert growing.add(None) == ""
        out.append(growing.add(byte))
    out.append(growing.add(None, last=True))
    assert "".join(out) == text


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
