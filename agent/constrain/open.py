"""Opens what compiles grammars, where its package is installed."""

import logging
from typing import Any, Protocol

from agent.constrain.contract import Compiler

_LOG = logging.getLogger(__name__)


class SupportsVocabulary(Protocol):
    """What is needed of the base model (streams.model.open.BaseModel)."""

    @property
    def tokenizer(self) -> Any: ...

    @property
    def num_tokens(self) -> int: ...

    @property
    def stop_ids(self) -> frozenset[int]: ...


def open_compiler(base: SupportsVocabulary) -> Compiler | None:
    """Open a compiler for a model's vocabulary; None, with a warning, where llguidance is missing.

    What needs one is then refused by its name, and everything else is answered.
    """
    from agent.constrain.guidance import Guidance

    try:
        return Guidance(base.tokenizer, num_tokens=base.num_tokens, stop_ids=base.stop_ids)
    except ImportError as cause:
        _LOG.warning("replies cannot be held to a form, for which llguidance is missing: %s", cause)
        return None
