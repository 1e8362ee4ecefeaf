"""The models that can be asked for, as clients name them: the line that this agent serves.

    quickset, quickset:<line>    what serves, a rollout's share included
    …@stable                     the version that serves all others during a rollout
    …@candidate                  the version that is on trial; none: 404
    …@previous                   the version that a rollback takes back; none: 404
    …@<version>                  one version by its name
    an alias of the settings     one of these under another name

Knows nothing of HTTP, nor of how a version comes into memory.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from typing_extensions import TypedDict

from agent.errors import NotFoundError
from agent.settings import MODEL
from agent.turn.assign import STABLE
from streams.line.line import Line
from streams.line.variant import Variant
from streams.records import Recipe

OWNER: Final = "quickset"


class Step(TypedDict):
    """The step of learning that made a version from its parent."""

    strategy: str
    noise: str
    pairs: int  # antithetic pairs of members that it was summed of
    layers: list[int]
    modules: list[str]


class Model(TypedDict):
    """A model that can be asked for; what OpenAI's and Anthropic's clients read, in one object."""

    id: str
    object: Literal["model"]
    created: int  # Unix time since which this agent serves
    owned_by: str
    line: str
    version: str  # what would answer now
    base: str  # the base model, from which the line begins
    generation: int  # steps of learning from the base to the version; 0: the base
    parent: str | None  # the version that the last of them began with
    step: Step | None
    context_length: int  # tokens, prompt and reply together
    max_model_len: int  # the same, by vLLM's name
    type: Literal["model"]
    display_name: str
    created_at: str
    max_input_tokens: int
    max_tokens: int


class ModelList(TypedDict):
    """Models, all or a page of them."""

    object: Literal["list"]
    data: list[Model]
    has_more: bool
    first_id: str | None
    last_id: str | None


@dataclass(frozen=True, slots=True)
class Models:
    """What can be asked for now.

    line: as it is decided now
    base: name of the base model
    aliases: other names, each of one of ours
    knows: whether a version can be served, having been built or not
    recipe: what made a version from its parent; None of the base, and where it is not known
    context_tokens: prompt and reply together
    since_s: Unix time
    """

    line: Line
    base: str
    aliases: Mapping[str, str]
    knows: Callable[[str], bool]
    recipe: Callable[[str], Recipe | None]
    context_tokens: int
    since_s: int

    def choose(self, name: str) -> str:
        """Return what a name asks for, as agent.turn.assign has it. Raises: NotFoundError."""
        model, at, which = self.aliases.get(name, name).partition("@")
        if model not in (MODEL, f"{MODEL}:{self.line.name}"):
            raise _unknown(f"there is no model {name[:100]!r}: /v1/models lists what is served")
        if not at or which == STABLE:
            return which
        version = self._named(which)
        if version is None:
            raise _unknown(f"{name[:100]!r} is none now: {_WHY.get(which, _WHY[''])}")
        return version

    def all(self) -> list[Model]:
        """Every name that can be asked for now, versions by their own names left out."""
        names = [f"{MODEL}@{which}" for which in (STABLE, "previous", "candidate")]
        return [self.one(name) for name in (MODEL, *names, *self.aliases) if self._is_one(name)]

    def one(self, name: str) -> Model:
        """One model, under the name by which it was asked for. Raises: NotFoundError."""
        wanted = self.choose(name)
        version = wanted if wanted not in ("", STABLE) else self.line.version
        recipe = self.recipe(version)
        return {
            "id": name,
            "object": "model",
            "created": self.since_s,
            "owned_by": OWNER,
            "line": self.line.name,
            "version": version,
            "base": self.base,
            "generation": recipe.number if recipe else 0,
            "parent": recipe.parent if recipe else None,
            "step": _step(recipe) if recipe else None,
            "context_length": self.context_tokens,
            "max_model_len": self.context_tokens,
            "type": "model",
            "display_name": f"Quickset {self.line.name}@{version}",
            "created_at": datetime.fromtimestamp(self.since_s, UTC).isoformat(),
            "max_input_tokens": self.context_tokens,
            "max_tokens": self.context_tokens,
        }

    def _is_one(self, name: str) -> bool:
        try:
            self.choose(name)
        except NotFoundError:
            return False
        return True

    def _named(self, which: str) -> str | None:
        """The version that a name after the @ means now, if there is one."""
        if which == "previous":
            return self.line.previous
        if which == "candidate":
            return self.line.trial.version if self.line.trial else None
        return which if self.knows(which) else None


_WHY: Final = {
    "previous": "nothing served before the version that serves",
    "candidate": "no version is on trial",
    "": "the ledger has no such version",
}


def fingerprint(variant: Variant | None) -> str | None:
    """What answered, as clients are told it: in a header, and in the body.

    >>> fingerprint(Variant("main", "1f2e")), fingerprint(Variant("main", "1f2e", 3))
    ('1f2e', '1f2e#3')
    """
    if variant is None:
        return None
    return variant.version + (f"#{variant.member}" if variant.member >= 0 else "")


def _step(recipe: Recipe) -> Step:
    return {
        "strategy": recipe.strategy,
        "noise": recipe.noise,
        "pairs": len(recipe.coefficients),
        "layers": recipe.layers,
        "modules": recipe.modules,
    }


def _unknown(message: str) -> NotFoundError:
    return NotFoundError(message, param="model", code="model_not_found")
