"""What a client makes of a text is told from what it does not: laws, and a table of neighbours."""

import random
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learner.link.alike import LEFT_CHARS, behind_stamp, comes_from, holds, is_mark
from learner.link.letters import bare

WORDS = st.lists(st.text("abcdefgz", min_size=2, max_size=8), min_size=6, max_size=12)
SIGNS = st.sampled_from(["**", "_", "`", "> ", "- ", "\n\n", "\u200e", "\ufe0f", "…", " – ", "“"])
GAPS = st.sampled_from(["…", "...", "\n[...]\n", " [truncated] "])
REPLY = "It is 280 kilometres north of it."


@given(WORDS, st.lists(SIGNS, max_size=8), st.randoms())
def test_signs_change_nothing(words: list[str], signs: list[str], chance: random.Random) -> None:
    """However a reply is marked and spaced, it is the same one; its letters decide."""
    marked = list(words)
    for sign in signs:
        marked.insert(chance.randint(0, len(marked)), sign)
    assert bare(" ".join(marked)) == bare(" ".join(words))
    assert comes_from(" ".join(marked), " ".join(words), cut=False)


@given(WORDS, st.sets(st.integers(0, 12), min_size=2), GAPS)
def test_what_is_left_of_a_reply_is_known_in_its_order(
    words: list[str], places: set[int], gap: str
) -> None:
    """Parts of it with gaps between, if enough is left; and never with a letter that it has not."""
    parts = [" ".join(words[a:b]) for a, b in list(pairwise(sorted(places)))[::2]]
    left = gap.join(part for part in parts if part)
    if sum(len(bare(part)) for part in parts) >= LEFT_CHARS:
        assert comes_from(left, " ".join(words), cut=False)
    if bare(" ".join(words)) not in bare(left):
        assert not comes_from(f"{left} x", " ".join(words), cut=False)


@given(WORDS, st.integers(1, 200))
def test_of_a_cut_reply_any_beginning_is_enough(words: list[str], length: int) -> None:
    """And no other part that is as short."""
    text = " ".join(words)
    shown = text[:length]
    assert comes_from(shown, text, cut=True)
    assert not comes_from("x" + shown[1:], text, cut=True) or "x" not in bare("x" + shown[1:])


@given(st.text("ab \n<>:", max_size=30), st.text("ab \n<>:", max_size=30))
def test_questions_hold_each_other_or_not(one: str, other: str) -> None:
    """Whichever is asked of first; what says nothing holds nothing."""
    assert holds(one, other) == holds(other, one)
    assert not holds(one, " \n")


SHOWN: dict[str, tuple[str, str]] = {  # a reply, and what a client sends back of it
    "other forms of signs": ("The ﬁrst ½ of x² at 5…", "The first 1⁄2 of x2 at 5..."),
    "names of signs": ("Well done 🙂", "Well done :slightly_smiling_face:"),
    "HTML": ("**Yes**, do\n\n*that*.", "<p><b>Yes</b>, do</p>\n<p class='x'><em>that</em>.</p>"),
    "escaped thrice": ("a < b", "a &amp;amp;lt; b"),
    "a list without numbers": ("So:\n1. Mix the flour\n2. Let it rise",
                               "So:\n• Mix the flour\n• Let it rise"),
    "a list counted anew": ("So:\n1. Mix\n1. Rise\n1. Bake", "So:\n1. Mix\n2. Rise\n3. Bake"),
    "code without its language": ("```python\nprint(1)\n```", "```\nprint(1)\n```"),
    "an address beside a link": ("See [it](https://x.example) now",
                                 "See it (https://x.example) now"),
    "a link of Slack": ("See [it](https://x.example) now", "See <https://x.example|it> now"),
    "a link with a title": ('See [it](https://x.example "X") now', "See it now"),
    "references lost": ("See [it][1] so.\n\n[1]: https://x.example", "See it so."),
    "citations lost": ("It is [1] and so [2].", "It is and so."),
    "citations of another kind": ("It is【4:0†source】 so.", "It is so."),
    "a name in front": ("Yes.", "**Bot:** Yes."),
    "sources behind": ("Yes.", "Yes.\n\nSources:\n[1] https://x.example"),
    "tags around": ("Paris", "<answer>Paris</answer>"),
    "read more": (REPLY, f"{REPLY[:25]}… Read more"),
    "truncated": (REPLY, f"{REPLY[:25]} <truncated>"),
    "truncated within": (REPLY, f"{REPLY[:14]} [...truncated...] {REPLY[-12:]}"),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWN)
def test_what_clients_render_is_the_reply(name: str) -> None:
    """Signs, tags, numbers of lists, addresses and sources come and go; what is read stays."""
    whole, shown = SHOWN[name]
    assert comes_from(shown, whole, cut=False)


@given(WORDS, st.data())
def test_lines_of_a_reply_are_the_reply_if_most_are_left(
    words: list[str], data: st.DataObject
) -> None:
    """Without a mark for what was left out, a few of its lines are no evidence."""
    kept = [word for word in words if data.draw(st.booleans())]
    shown, whole = "\n".join(kept), "\n".join(words)
    left = len("".join(kept)) / len("".join(words))
    if len(kept) > 1 and bare(shown) not in bare(whole):
        assert comes_from(shown, whole, cut=False) <= (left > 0.6)


@pytest.mark.parametrize(
    ("shown", "whole"),
    [
        ("It is 500 kilometres north of it.", REPLY),
        ("It is […] south of it, 280 kilometres.", REPLY),
        ("north of it […] It is 280 kilometres", REPLY),
        ("Yes. By quite a lot, and there is a train.", "Yes."),
        ("👎", "👍"),
        ("No. Bob said: Yes.", "Yes."),
        ("No.\nYes, but later", "Yes."),
        ("21. May", "20. May"),
        ("1. Salt\n2. Sugar", "1. Flour\n2. Water"),
        ("See https://a.example", "Look it up"),
        ("**43**", "42"),
        ("[stopped]", REPLY),
        ("", REPLY),
    ],
)
def test_another_reply_is_another(shown: str, whole: str) -> None:
    """Other figures, another order, a short reply that others begin with."""
    assert not comes_from(shown, whole, cut=False)


# What clients put around what is asked.
TAGS = [
    (f"<{name}{id}>", f"</{name}>")
    for name in ("task", "user_query", "userRequest", "current-message", "Question", "input")
    for id in ("", ' id="1"')
]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is this?", "hi"),
        ("How do I cook okra?", "ok"),
        ("please say hi", "hi"),
        ("<mail>A</mail>", "<mail>B</mail>"),
        ("Is it north? <mail>A</mail>", "Is it south? <mail>A</mail>"),
        ("Set the alarm at 7:00", "Set the alarm at 18:30"),
        ("[12:00] Set the alarm at 7:00", "[12:09] Set the alarm at 18:30"),
        ("Set the alarm today: 7:00", "Set the alarm today: 18:30"),
        ("Today: a table at 19:00", "Today: a table at 20:00"),
        ("Today: set the alarm at 7:00", "Today: set the alarm at 18:30"),
        ("Is it now 7:00?", "Is it now 18:30?"),
        ("Remind me. Date: 2026-03-01 18:00", "Remind me. Date: 2026-03-02 18:00"),
        (
            "Current time: Wed Mar 4 9:00\nBook it on Thu Mar 5 9:00",
            "Current time: Wed Mar 4 9:07\nBook it on Fri Mar 6 9:00",
        ),
        ("18:30 alarm", "7:00 alarm"),
        ("Wake me. 7:00", "Wake me. 18:30"),
        ("Set the alarm\n7:00", "Set the alarm\n18:30"),
        ("Book a table (19:00) for two", "Book a table (20:00) for two"),
        ("Book a table for two (19:00)", "Book a table for two (20:00)"),
        ("Book it. Time: 19:00", "Book it. Time: 20:00"),
        ("2026-03-01 18:00 dentist", "2026-03-02 18:00 dentist"),
        ("Wait for 0:05:00", "Wait for 0:10:00"),
        ("What happened 3 days ago?", "What happened 4 days ago?"),
        ("Remind me (3 minutes ago) of it", "Remind me (4 minutes ago) of it"),
        ("Wake me at nine o'clock", "Wake me at ten o'clock"),
        ("2026-W10 plan it", "2026-W11 plan it"),
        ("What happened on 12.03.1944?", "What happened on 13.03.1951?"),
        ("What happened on 1944-03-12?", "What happened on 1951-03-13?"),
        ("What day was 1772366400?", "What day was 1782366400?"),
        ("What time is 1772366400?", "What time is 1782366400?"),
        ("Convert this time: 1772366400", "Convert this time: 1782366400"),
        *(
            (
                f"Answer what is asked.\n{begin}\nWhy?\n{end}\n<env>12:00</env>",
                f"Answer what is asked.\n{begin}\nHow?\n{end}\n<env>12:05</env>",
            )
            for begin, end in TAGS
        ),
    ],
)
def test_another_question_is_another(one: str, other: str) -> None:
    """Letters of a short one stand in many; a block alone is none; a time may be asked for."""
    assert not holds(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("[2026-03-01T12:00Z] Why?", "[2026-03-02T07:31Z] Why?"),
        ("Why? (now: 12:00)", "Why? (now: 12:01)"),
        ("1772366400 Why?", "1772366460 Why?"),
        ("Why? (2026-03-01 12:00)", "Why? (2026-03-01 12:07)"),
        ("Why? Do say [12:00]", "Why? Do say [12:07]"),
        ("(2026-03-01 12:00) Why?", "(2026-03-02 07:31) Why?"),
        ("ann (12:00): Why?", "ann (12:01): Why?"),
        ("01/03/2026, 12:00 - Ann: Why?", "01/03/2026, 12:07 - Ann: Why?"),
        ("12:00 <ann> Why?", "12:07 <ann> Why?"),
        ("2026-03-01T12:00:07Z\nWhy?", "2026-03-02T12:00:08Z\nWhy?"),
        ("Why?\n2026-03-01 12:00:07", "Why?\n2026-03-02 07:31:00"),
        (
            "Current time: Sunday, 2026-03-01 12:00\nWhy?",
            "Current time: Sunday, 2026-03-01 12:07\nWhy?",
        ),
        ("Today is 1.3.2026. Why?", "Today is 2.3.2026. Why?"),
        (
            '{"timestamp": "2026-03-01T12:00Z", "text": "Why?"}',
            '{"timestamp": "2026-03-01T12:07Z", "text": "Why?"}',
        ),
        ("Aktuelle Uhrzeit: 12:00. Why?", "Aktuelle Uhrzeit: 12:07. Why?"),
        ("当前时间：12:00\nWhy?", "当前时间：12:07\nWhy?"),
        ("[3 minutes ago] Why?", "[1 hour ago] Why?"),
        ("[just now] Why?", "[1m ago] Why?"),
        ("[vor 3 Minuten] Why?", "[vor 1 Stunde] Why?"),
        ("[il y a 3 minutes] Why?", "[il y a 2 heures] Why?"),
        ("[hace 3 minutos] Why?", "[hace 1 hora] Why?"),
        ("[3 minuti fa] Why?", "[1 ora fa] Why?"),
        ("[há 3 minutos] Why?", "[há 1 dia] Why?"),
        ("[3分钟前] Why?", "[1小时前] Why?"),
        ("(it is nine o'clock) Why?", "(it is ten o’clock) Why?"),
        ("2026-W10-3 Why?", "2026-W11-4 Why?"),
        ("Context: A\nQuestion: Why?", "Context: B\nQuestion: Why?"),
        ("# Context\nA\n# Question\nWhy?", "# Context\nB\n# Question\nWhy?"),
        ("搜索结果: A\n# 用户消息为：\nWhy?", "搜索结果: B\n# 用户消息为：\nWhy?"),
    ],
)
def test_what_clients_put_around_a_question_anew_changes_nothing(one: str, other: str) -> None:
    """A clock, or pages under a label that names the question."""
    assert holds(one, other)
    assert not holds(one, other.replace("Why?", "When?"))
    assert not holds("At 12:00?", "Why at 12:00?".replace("Why", "Who"))


CLOCKS = [  # as clients write them, and a little later
    ("Current date and time: Saturday, November 28, 2026 10:00 PM",
     "Current date and time: Sunday, November 29, 2026 1:05 AM"),
    ("Current date and time: Nov 28, 2026, 22:00:01",
     "Current date and time: Nov 28, 2026, 22:05:01"),
    ("The current date and time is Sat Nov 28 22:00:01 UTC 2026.",
     "The current date and time is Sat Nov 28 22:05:01 UTC 2026."),
    ("Current time: 28 November 2026 22:00", "Current time: 28 November 2026 22:05"),
    ("Current time: UTC 22:00", "Current time: UTC 22:05"),
    ("Aktuelle Uhrzeit: Samstag, 28. November 2026 um 22:00 Uhr",
     "Aktuelle Uhrzeit: Sonntag, 29. November 2026 um 22:05 Uhr"),
    ("Fecha actual: sábado, 28 de noviembre de 2026, 22:00",
     "Fecha actual: sábado, 28 de noviembre de 2026, 22:05"),
    ("Heure actuelle : samedi 28 novembre 2026 à 22:00",
     "Heure actuelle : samedi 28 novembre 2026 à 22:05"),
    ("当前时间：2026年11月28日 星期六 22:00", "当前时间：2026年11月29日 星期日 22:05"),
    ("It is now 22:00.", "It is now 22:05."), ("Now it is 22:00.", "Now it is 22:05."),
    ("Jetzt ist es 22:00.", "Jetzt ist es 22:05."), ("现在是 22:00.", "现在是 22:05."),
    ("Heute ist der 28.11.2026.", "Heute ist der 29.11.2026."),
    ("Hoy es el 28/11/2026.", "Hoy es el 29/11/2026."),
    ("Oggi è il 28/11/2026.", "Oggi è il 29/11/2026."),
    ("Hoje é dia 28/11/2026.", "Hoje é dia 29/11/2026."),
    ("Today's date: 2026-11-28 22:00", "Today's date: 2026-11-28 22:05"),
    ("Time: 2026-11-28T22:00:01Z", "Time: 2026-11-28T22:05:01Z"),
    ("Date: 2026-11-28 22:00:01", "Date: 2026-11-28 22:05:01"),
    ("Sent at: 2026-11-28 22:00:01", "Sent at: 2026-11-28 22:05:01"),
    ('{"time": "2026-11-28T22:00:01Z"}', '{"time": "2026-11-28T22:05:01Z"}'),
]  # fmt: skip


@pytest.mark.parametrize(("before", "later"), CLOCKS)
def test_a_clock_tells_when_something_was_asked(before: str, later: str) -> None:
    """However it writes the day, before a question or behind it; the question decides."""
    for shown in ("{}\n\nTurn it {}", "Turn it {1}\n\n{0}"):
        assert holds(shown.format(before, "on"), shown.format(later, "on"))
        assert not holds(shown.format(before, "on"), shown.format(later, "off"))


@pytest.mark.parametrize(("begin", "end"), TAGS)
def test_what_is_asked_in_tags_is_the_question(begin: str, end: str) -> None:
    """Whatever a client tells beside it, in tags of another name."""
    one, other = (f"<env>{n}</env>\n{begin}\nWhy?\n{end}\n<files>{n}</files>" for n in "ab")
    assert holds(one, other)
    assert holds(one, "<env>c</env> Why?")
    assert holds(one, "Why?")


@pytest.mark.parametrize(
    "hostile",
    [
        "<a>",
        "<a ",
        "](",
        "…",
        "[...",
        "(",
        "&amp;",
        "&#",
        "&#9",
        "<think>",
        "**x",
        "\n:",
        "https://",
        ":a",
        "```x\n",
        "1. \n",
        "<p ",
        "<p a=",
        "<a " + "=" * 800,
        "<a " + "x=" * 400,
        "<task>",
        "<user_user_",
        "【",
        "\nQuestion: ",
        "12:",
        "12:00 ",
        "[12:00",
        "ann (",
        "now: now is ",
        "[1 minute ago",
        "vor 1 ",
        "one o'clock ",
        "current time: mon, ",
        "time: date is ",
        "question",
        "[1]: ",
    ],
)
def test_hostile_text_takes_linear_time(hostile: str) -> None:
    """A quarter of a megabyte, as itself and against another."""
    text = hostile * (2**18 // len(hostile))
    begun = time.process_time()
    comes_from(text, text + "y", cut=True)
    holds(text, text + "y")
    behind_stamp(text)
    assert time.process_time() - begun < 3


def test_a_reply_of_spaces_is_no_mark_at_once() -> None:
    """However many there are before its one letter."""
    start_s = time.thread_time()
    assert not is_mark(" " * 200_000 + "x")
    assert time.thread_time() - start_s < 1
    assert all(map(is_mark, (" \n[omitted] \n", "  …  ", "  ")))
