"""Prints what each attack comes to without the defence and with it, as tables in Markdown.

python -m tests.attacks
"""

from typing import Final

from learner.settings import LearnerSettings
from tests.attacks.crowds import ATTACKS, REVERSE, Attack
from tests.attacks.texts import all_heard
from tests.attacks.town import Dose, run

UNDEFENDED: Final = LearnerSettings(principal_cap=1.0, quorum=1)
DEFENDED: Final = LearnerSettings()


def crowd_lines() -> list[str]:
    """Return the table of attacks by numbers."""
    return [
        "| who | undefended: generations, decided by them, their share | by default |",
        "| --- | --- | --- |",
        *(
            f"| {attack.name} | {_told(attack, UNDEFENDED)} | {_told(attack, DEFENDED)} |"
            for attack in (*ATTACKS, *REVERSE)
        ),
    ]


def text_lines() -> list[str]:
    """Return the table of attacks by words and names."""
    return [
        "| what | undefended: counted | by default |",
        "| --- | --- | --- |",
        *(f"| {h.name} | {h.undefended} of {h.of} | {h.defended} of {h.of} |" for h in all_heard()),
    ]


def _told(attack: Attack, settings: LearnerSettings) -> str:
    dose: Dose = run(attack.said, attack.days, settings)
    return f"{dose.generations}, {dose.decided}, {dose.share:.0%}"


if __name__ == "__main__":
    print("\n".join([*crowd_lines(), "", *text_lines()]))
