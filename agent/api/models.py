"""The models that can be asked for, as clients name them: one, the line that this agent serves.

Knows nothing of HTTP, nor of how a version is chosen.
"""

from collections.abc import Mapping

from agent.errors import NotFoundError
from streams.line.variant import Variant
from streams.records import Json

MODEL = "quickset"


def prove_model(name: str, line: str) -> None:
    """Prove that a model of this name is served here. Raises: NotFoundError."""
    if name not in (MODEL, f"{MODEL}:{line}"):
        raise NotFoundError(
            f"there is no model {name[:100]!r}: /v1/models lists what is served",
            param="model",
            code="model_not_found",
        )


def model(name: str, info: Mapping[str, str], *, context_tokens: int, created_s: int) -> Json:
    """The one model, under one of its names.

    info: its line, version and base
    created_s: Unix time since which it is served
    """
    return {
        "id": name,
        "object": "model",
        "created": created_s,
        "owned_by": "quickset",
        **info,
        "context_tokens": context_tokens,
    }


def fingerprint(variant: Variant | None) -> str | None:
    """What answered, as clients are told it: in a header, and in the body.

    >>> fingerprint(Variant("main", "1f2e")), fingerprint(Variant("main", "1f2e", 3))
    ('1f2e', '1f2e#3')
    """
    if variant is None:
        return None
    return variant.version + (f"#{variant.member}" if variant.member >= 0 else "")
