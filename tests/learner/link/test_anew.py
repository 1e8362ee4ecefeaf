"""A question that is put into other surroundings each time is the same one; another is not."""

import time

import pytest

from learner.link.anew import asked_anew, parted

WOOL = "Wool is a protein fibre. It felts when it is rubbed hot."
WINE = "Red wine holds tannins. White wine does not help against them."
ASKED = "How do I get red wine out of wool?"
LONG, SHORT = 40, 3

SAME = {
    "pages in front": (f"{WOOL}\n\n{ASKED}", f"{WINE}\n\n{ASKED}", SHORT),
    "in front, on one line": (f"{WOOL} {ASKED}", f"{WINE} {ASKED}", SHORT),
    "pages behind": (f"{ASKED}\n\n{WOOL}", f"{ASKED}\n\n{WINE}", SHORT),
    "on both sides": (f"{WOOL}\n{ASKED}\n{WINE}", f"{WINE}\n{ASKED}\n{WOOL}", SHORT),
    "in a template": (
        f"Use the notes.\n{WOOL}\n{ASKED}\nSay it in one line.",
        f"Use the notes.\n{WINE}\n{ASKED}\nSay it in one line.",
        SHORT,
    ),
    "a page asks something, too": (f"Is wool warm?\n{ASKED}", f"Is wine red?\n{ASKED}", SHORT),
    "an order": (f"{WOOL}\n\nTell me how to clean it", f"{WINE}\n\nTell me how to clean it", LONG),
    "a short question, a long reply": (f"{WOOL}\n\nWhy?", f"{WINE}\n\nWhy?", LONG),
    "an order in tags": (
        f"{WOOL}\n<user_query>\nTell me how to clean it\n</user_query>",
        f"{WINE}\n<user_query>\nTell me how to clean it\n</user_query>",
        LONG,
    ),
    "where somebody is": (
        "Location: lat 48.1\nBattery: 90%\n\nToo long, please.",
        "Location: lat 48.2\nBattery: 89%\n\nToo long, please.",
        LONG,
    ),
    "ids": ("req-9f3a1c: Too long.", "req-77be02: Too long.", LONG),
    "long ids": (
        "8adc4475-775c-46c8-a03c-78a2e8ddc73f: Too long.",
        "3c07e80c-b0ff-4df1-a1d9-107064611303: Too long.",
        LONG,
    ),
    "what is left": ("Too long.\n\n[tokens left: 8269]", "Too long.\n\n[tokens left: 31]", LONG),
    "a head and a foot": (
        "[2 new mails] Why?\n(turn 2 of 9)",
        "[1 new mail] Why?\n(turn 3 of 9)",
        LONG,
    ),
    "a whole question, a short reply": (
        "[2 new mails] Do tell me which it is",
        "[3 new mails] Do tell me which it is",
        SHORT,
    ),
    "an id, a short reply": (
        "[request id: 9f3a1c] Do tell me which it is",
        "[request id: 77be02] Do tell me which it is",
        SHORT,
    ),
    "several at once": ("[battery 90%, 3 new mails] Why?", "[battery 8%, 1 new mail] Why?", LONG),
    "Chinese": ("羊毛是纤维。红酒渍怎么洗掉呢？", "单宁会结合。红酒渍怎么洗掉呢？", SHORT),
}
OTHER = {
    "another question": (f"{WOOL}\n\nIs wool warm enough?", f"{WOOL}\n\nIs wool a fibre?", LONG),
    "one template": ("Use my notes.\nIs it?\nBe kind.", "Use my notes.\nAnd now?\nBe kind.", LONG),
    "an order, a short reply": (f"{WOOL}\n\nTell me all of it", f"{WINE}\n\nTell me all of it", 3),
    "a short question, a short reply": (f"{WOOL}\n\nWhy?", f"{WINE}\n\nWhy?", SHORT),
    "a short question inside a line": (f"{WOOL} Why?", f"{WINE} Why?", LONG),
    "what a client tells behind orders": (
        "<task>\nRun it\n</task>\n<environment_details>\n12:00\n</environment_details>",
        "<task>\nMend it\n</task>\n<environment_details>\n12:05\n</environment_details>",
        LONG,
    ),
    "tags around other orders": (
        f"{WOOL}\n<task>\nWash it\n</task>", f"{WINE}\n<task>\nDry it\n</task>", LONG,
    ),
    "another amount": ("Set the light to 20 %", "Set the light to 80 %", LONG),
    "another sum": ("What is 3 + 4?", "What is 3 + 5?", LONG),
    "another amount in brackets": ("Set the light\n(20 %)", "Set the light\n(80 %)", LONG),
    "another time, within": ("A table for two (in 2 h)", "A table for two (in 3 h)", LONG),
    "numbered questions": ("[1] Tell me a joke now", "[2] Tell me a joke now", LONG),
    "another room": ("(kitchen 1) Make it light", "(bath 1) Make it light", LONG),
    "another thing": ("RTX-3080: how big is it", "RTX-3090: how big is it", LONG),
    "another ticket": ("#48213: tell me its state", "#48214: tell me its state", LONG),
    "what is to be done, behind": (
        "Set it so\n\nRoom: 2\nLevel: 20", "Set it so\n\nRoom: 2\nLevel: 80", LONG,
    ),
    "words between": ("[2 mails] Turn it on", "[3 mails] Turn it off", LONG),
    "few words, a short reply": ("[2 mails] Why?", "[3 mails] Why?", SHORT),
    "another file": (
        "[File 1]\nSummarise the attached file", "[File 2]\nSummarise the attached file", LONG,
    ),
    "another chapter, behind": (
        "Write the summary of this chapter.\n(chapter 1)",
        "Write the summary of this chapter.\n(chapter 2)", SHORT,
    ),
    "another order, asked on a line": (
        "[Order 4711]\nHas the parcel arrived?", "[Order 4812]\nHas the parcel arrived?", LONG,
    ),
    "another order": (
        "[Order 4711] Has the parcel arrived there", "[Order 4812] Has the parcel arrived there",
        SHORT,
    ),
    "another one of some": (
        "[Email 1 of 5]\nSay what it is about", "[Email 2 of 5]\nSay what it is about", LONG,
    ),
    "another sale": (
        "Product: Lamp\nStars: 5\n\nSay it so", "Product: Lamp\nStars: 1\n\nSay it so",
        LONG,
    ),
    "another place": (
        "Location: room 3\nTime: 10\n\nBook it now", "Location: room 4\nTime: 10\n\nBook it now",
        LONG,
    ),
    "another commit": ("commit-9f3a1c: tell its state", "commit-77be02: tell its state", LONG),
    "one number, a short reply": (
        "(17 credits) Which of them shall I take", "(3 credits) Which of them shall I take", SHORT,
    ),
    "nothing": ("", "", LONG),
}  # fmt: skip


@pytest.mark.parametrize(("one", "other", "said"), SAME.values(), ids=list(SAME))
def test_the_same_question_in_other_surroundings(one: str, other: str, said: int) -> None:
    """Wherever the pages stand; neither tags nor labels are needed."""
    assert asked_anew(one, other, said_chars=said)
    assert asked_anew(other, one, said_chars=said)


@pytest.mark.parametrize(("one", "other", "said"), OTHER.values(), ids=list(OTHER))
def test_what_is_no_evidence(one: str, other: str, said: int) -> None:
    """The less a reply says, the more of the question is to be shared; a template's is none."""
    assert not asked_anew(one, other, said_chars=said)


@pytest.mark.parametrize(
    "hostile",
    [
        "?",
        "a? ",
        ". ",
        "？",
        "\n",
        "[1 a",
        "a: 1\n",
        "a-1",
        "0a",
        "(1 a)\n",
        "[1 left, ",
        "(req-9f",
        "lat 1",
        "battery: 1\n",
        "location: lat ",
    ],
)
def test_hostile_text_takes_linear_time(hostile: str) -> None:
    """A megabyte is read at its beginning and at its end."""
    text, begun = hostile * 2**20, time.process_time()
    asked_anew(text, "b" + text, said_chars=LONG)
    parted(text)
    assert time.process_time() - begun < 2
