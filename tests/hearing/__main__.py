"""python -m tests.hearing: what judges get right on the held-out follow-ups, by language and kind.

`--set development` is what was looked at while the judges were written, so its figures flatter;
`--judges lexical` measures one judge. Nothing may be tuned on the held-out set: examples are for
that (learner/judges/examples).
"""

import argparse
from typing import get_args

from learner.judges.open import open_judges
from learner.settings import LearnerSettings
from tests.hearing.items import SetName, items
from tests.hearing.measure import Heard, hear, table, times


def main() -> None:
    """Measure, and print two tables of Markdown."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--set", choices=get_args(SetName), default="followups")
    options.add_argument("--judges", help="names, parted by commas; by default the settings'")
    options.add_argument("--errors", action="store_true", help="print every false verdict, too")
    chosen = options.parse_args()
    settings = LearnerSettings()
    if chosen.judges:
        settings = settings.model_copy(update={"judges": tuple(chosen.judges.split(","))})
    heard = hear(open_judges(settings), items(chosen.set))
    print(f"{', '.join(settings.judges)} on {chosen.set}, {times(heard)} a follow-up\n")
    print("\n".join(table(heard, lambda item: item.language, "language")), end="\n\n")
    print("\n".join(table(heard, lambda item: item.kind, "kind")))
    if chosen.errors:
        print("\n".join(_told(one) for one in heard if one.score not in (0, one.item.score)))


def _told(heard: Heard) -> str:
    item = heard.item
    return f"{item.id} {item.kind}: {item.score} heard as {heard.score}: {item.followup[:120]!r}"


if __name__ == "__main__":
    main()
