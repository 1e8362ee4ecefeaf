"""Opens the probes that the settings name; a further probe is one file beside this and its name.

Knows the names without loading what the probes need, so that settings can be checked at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from learner.settings import LearnerSettings, chosen

if TYPE_CHECKING:
    from learner.safety.probe import Probe

# In the order in which they are asked, and the base is measured for them: a version whose numbers
# are not finite is asked no further, and what a few replies show comes before the sets.
PROBES: Final = (
    *("finite", "odds", "refusal", "useful", "sense", "aboutness", "variety", "harmful"),
    *("lookalike", "benign", "canaries", "leak", "geometry", "tasks", "calls", "tool_loop"),
    *("text", "facts", "sums", "spelling", "copying", "format"),
)

# Where those are that do not stand beside this.
FOLDERS: Final = {
    **dict.fromkeys(
        ("harmful", "lookalike", "benign", "canaries", "calls", "tool_loop", "leak"), "fixed."
    ),
    **dict.fromkeys(("facts", "sums", "spelling", "copying", "format"), "task."),
}


def open_probes(settings: LearnerSettings) -> "tuple[Probe, ...]":
    """Open the probes of the settings, in their order here.

    raises: UnknownNameError naming those that are known
    """
    names = chosen("learner.probes", settings.probes, PROBES)
    return tuple(
        import_module(f"learner.safety.probes.{FOLDERS.get(name, '')}{name}").open_probe(settings)
        for name in PROBES
        if name in names
    )
