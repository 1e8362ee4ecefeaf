"""Opens what compiles grammars, where its package is installed, and the thread that it takes."""

import logging
import threading
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final, Protocol

from agent.constrain.contract import Compiler
from agent.constrain.vocabulary import Vocabulary, vocabulary_of

# For as many parts as a source may have, one within another: in the stack of a common thread two
# thousand ended the process. Only what is used takes memory.
STACK_BYTES: Final = 2**28
_LOG = logging.getLogger(__name__)


class SupportsVocabulary(Protocol):
    """What is needed of the base model (streams.model.open.BaseModel)."""

    @property
    def tokenizer(self) -> Any: ...

    @property
    def num_tokens(self) -> int: ...

    @property
    def stop_ids(self) -> frozenset[int]: ...


def open_compiler(
    base: SupportsVocabulary, vocabulary: Vocabulary | None = None
) -> Compiler | None:
    """Open a compiler for a model's vocabulary; None, with a warning, where llguidance is missing.

    What needs one is then refused by its name, and everything else is answered.

    vocabulary: the model's, where it has been read: of one with 260,000 tokens that takes seconds
    """
    try:
        return compiler_of(vocabulary or read_vocabulary(base))
    except ImportError as cause:
        _LOG.warning("replies cannot be held to a form, for which llguidance is missing: %s", cause)
        return None


def compiler_of(vocabulary: Vocabulary, *, aside: Executor | None = None) -> Compiler:
    """Open a compiler for a vocabulary.

    aside: where what is slow is done; None: in threads of its own
    raises: ImportError where llguidance is missing
    """
    from agent.constrain.guidance import Guidance

    return Guidance(vocabulary, aside=aside)


def read_vocabulary(base: SupportsVocabulary) -> Vocabulary:
    """Read a model's vocabulary."""
    return vocabulary_of(base.tokenizer, num_tokens=base.num_tokens, stop_ids=base.stop_ids)


def open_thread() -> ThreadPoolExecutor:
    """Open a thread in which no source that may be compiled is too deep."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="hold")
    before = threading.stack_size(STACK_BYTES)
    try:
        pool.submit(int).result()  # with its first work the thread begins
    finally:
        threading.stack_size(before)
    return pool
