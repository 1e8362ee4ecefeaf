"""The labelled follow-ups are what README.md says of them; nothing is judged here.

Knows the form of the files alone: no judge, no embedder.
"""

from collections import Counter
from typing import get_args

import pytest

from tests.hearing.items import HERE, Item, Kind, Language, SetName, items


def table() -> str:
    """Return the counts as README.md shows them: a row for each kind, a column a language."""
    counts = Counter((item.kind, item.language) for item in items())
    languages = get_args(Language)
    lines = [
        "| kind | " + " | ".join(languages) + " | all |",
        "|---|" + "---:|" * (len(languages) + 1),
    ]
    for kind in get_args(Kind):
        numbers = [counts[kind, language] for language in languages]
        lines.append(f"| {kind} | " + " | ".join(map(str, [*numbers, sum(numbers)])) + " |")
    totals = [sum(counts[kind, one] for kind in get_args(Kind)) for one in languages]
    lines.append("| all | " + " | ".join(map(str, [*totals, sum(totals)])) + " |")
    return "\n".join(lines)


@pytest.mark.parametrize("name", get_args(SetName))
@pytest.mark.parametrize("language", get_args(Language))
def test_a_file_holds_its_language(name: str, language: str) -> None:
    """Each file has valid items of its own language, numbered without a gap."""
    lines = (HERE / f"{name}/{language}.jsonl").read_text(encoding="utf-8").splitlines()
    ids = [Item.model_validate_json(line).id for line in lines]
    assert ids == [f"{language}-{number:04d}" for number in range(1, len(ids) + 1)]


def test_there_are_enough_items() -> None:
    """At least 900 items, 260 of them English, and 90 in every other language."""
    counts = Counter(item.language for item in items())
    assert counts.total() >= 900
    assert counts["en"] >= 260
    assert min(counts[language] for language in get_args(Language)) >= 90


def test_every_kind_is_there_in_every_language() -> None:
    """No kind is left out in any language."""
    counts = Counter((item.kind, item.language) for item in items())
    every = {(kind, one) for kind in get_args(Kind) for one in get_args(Language)}
    assert every == set(counts)
    assert min(counts.values()) >= 3


def test_no_item_stands_there_twice() -> None:
    """No follow-up to a reply is repeated, not even with other case or white space."""
    pairs = Counter(
        " ".join(f"{item.reply} ␟ {item.followup}".casefold().split()) for item in items()
    )
    assert [pair for pair, count in pairs.items() if count > 1] == []


def test_no_set_has_an_item_of_another() -> None:
    """What is held out is nowhere else, not even with other case or white space."""
    found: Counter[str] = Counter()
    for name in get_args(SetName):
        found.update(
            {" ".join(f"{i.reply} ␟ {i.followup}".casefold().split()) for i in items(name)}
        )
    assert [text for text, times in found.items() if times > 1] == []


def test_the_readme_has_the_sizes() -> None:
    """Its table of sets is that of the folders."""
    text = (HERE / "README.md").read_text(encoding="utf-8")
    for name in get_args(SetName):
        assert f"| `{name}/` | {len(items(name)):,} |" in text


def test_the_same_words_mean_different_things() -> None:
    """Some follow-ups need the reply: the same words have two verdicts."""
    scores: dict[str, set[int]] = {}
    for item in items():
        scores.setdefault(item.followup.casefold().strip(" .!?。！？"), set()).add(item.score)
    assert sum(len(found) > 1 for found in scores.values()) >= 4


def test_the_readme_has_the_counts() -> None:
    """The table in README.md is that of the files."""
    assert table() in (HERE / "README.md").read_text(encoding="utf-8")
