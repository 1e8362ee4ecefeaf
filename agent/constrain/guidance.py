"""Compiles grammars and computes masks with llguidance, in Rust and without the interpreter's lock.

Why llguidance: masks of a 49,152-token vocabulary take 0.02 ms where xgrammar's take as long after
a compilation per schema that ours does not have; schemas are kept to or refused by name, not
silently widened; one package without dependencies (MIT), used by vLLM, SGLang and llama.cpp.

A mask takes microseconds, less than handing it to a thread and back, so it is computed when it is
asked for. A client's grammar must not hold others up: a source is bounded in size, states, ways on
and steps, and one that takes too long until its first two masks, or cannot have them, is refused.
Where a mask has taken milliseconds, all are computed in threads for the next minute, beside the
forward pass, and one that does not come in time ends its own reply.

The one module that knows llguidance.
"""

import math
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from agent.constrain.contract import Grammar, Matcher
from agent.constrain.source import Source
from agent.constrain.vocabulary import Vocabulary
from agent.errors import GrammarError, LostMaskError

MAX_SOURCE_CHARS: Final = 2**20  # as many as a request's body has by default
# Of a processor, from what is read to the second mask; a grammar that takes longer holds others up.
FIRST_MASK_S: Final = 1.0
MASK_S: Final = 2.0  # a later one that takes longer in a thread ends the reply
SLOW_MASK_S: Final = 0.002  # of a processor: from here on masks are computed in threads …
ASIDE_S: Final = 60.0  # … for so long
# States take up to 2 kB each. A schema of a thousand properties has some hundreds.
_MAX_STATES: Final = 20_000
# Ways on at one place: an enumeration of ten thousand fits, its masks take some milliseconds.
_MAX_WAYS: Final = 20_000
# Steps of the parser for one mask: an object of two thousand properties, each a text or null, of
# which any may be left out, takes up to two hundred thousand, and a seventh of a second.
_MAX_STEPS: Final = 500_000
# What reading an expression may cost: (a{1000}){1000} is refused in a second and not in six, and an
# enumeration of ten thousand texts still fits.
_READING_FUEL: Final = 300_000
# Parts, groups and rules of a source. Those that refer to the next are read one within another, in
# up to five kilobytes each of a stack that nobody checks for its end (agent.constrain.open).
_MAX_PARTS: Final = 20_000
_TOO_COMPLEX: Final = "it is too complex: bound its repetitions, or name fewer of them"
_THREADS: Final = 2  # a slow mask does not keep the others waiting

_Mask = NDArray[np.bool_]  # (vocabulary,)


class Guidance:
    """Grammars for the vocabulary of one model (agent.constrain.contract.Compiler)."""

    def __init__(self, vocabulary: Vocabulary, *, aside: Executor | None = None) -> None:
        """Begin to read the vocabulary, in a thread: it takes tenths of a second.

        aside: where that is read, and slow masks are computed; None: in threads of its own
        raises: ImportError when llguidance is not installed
        """
        import llguidance

        self._lib: Any = llguidance
        self._limits = llguidance.LLParserLimits(
            max_lexer_states=_MAX_STATES,
            initial_lexer_fuel=_READING_FUEL,
            max_items_in_row=_MAX_WAYS,
            step_max_items=_MAX_STEPS,
            verbose_errors=False,
        )
        self._stop_ids, self._controls = list(vocabulary.stop_ids), vocabulary.controls
        self._pace = _Pace(aside or ThreadPoolExecutor(_THREADS, thread_name_prefix="masks"))
        self._vocabulary: Future[Any] = self._pace.pool.submit(
            llguidance.LLTokenizer,
            vocabulary.tokenizer,
            n_vocab=vocabulary.num_tokens,
            eos_token=self._stop_ids,
        )

    def compile(self, source: Source, *, begun: str = "") -> Grammar:
        read = self._lib.LLMatcher.grammar_from_lark(_in_lark(source.text))
        vocabulary = self._read_vocabulary()
        compile_s = time.thread_time()
        first = self._lib.LLMatcher(vocabulary, read, log_level=0, limits=self._limits)
        _prove(first)
        if begun and not first.consume_tokens(vocabulary.tokenize_bytes(begun.encode())):
            raise GrammarError("what is begun does not satisfy it")
        grammar = _Compiled(first, self._pace, vocabulary, frozenset(self._controls.values()))
        began_s = time.thread_time()
        mask = self._first_mask(grammar)
        now_s = time.thread_time()
        self._pace.took((now_s - began_s) / 2)  # of two masks
        if now_s - compile_s > FIRST_MASK_S:
            raise GrammarError(_TOO_COMPLEX)
        return replace(grammar, mask=mask)

    def _first_mask(self, grammar: "_Compiled") -> _Mask:
        """Compute the mask that all replies begin with, and prove that one can go on from there.

        Too many ways show behind a first token, and not before. All is computed in this thread.

        raises: GrammarError
        """
        here = replace(grammar, pace=_Pace(self._pace.pool, warns=False))
        matcher = _Matcher(grammar.first.deep_copy(), here)
        try:
            first = matcher.mask()
        except LostMaskError:
            _prove(matcher.inner)
            raise GrammarError(_TOO_COMPLEX) from None
        mask = first.copy()
        mask[self._stop_ids] = False
        try:
            if not matcher.ended and mask.any():
                matcher.take(int(mask.argmax()))
            if not matcher.ended:
                matcher.mask()
        except LostMaskError as cause:
            raise GrammarError(_TOO_COMPLEX) from cause
        return first

    def nested(self, grammar: str) -> str:
        return f"%lark {{\n{_in_lark(grammar)}\n}}"

    def control(self, text: str) -> int | None:
        return self._controls.get(text)

    def _read_vocabulary(self) -> Any:
        try:
            return self._vocabulary.result()
        except Exception as cause:  # a tokenizer of a kind that it cannot read
            raise GrammarError(f"this model's tokenizer cannot be held to any: {cause}") from cause


@dataclass(slots=True)
class _Pace:
    """Where masks are computed: at once, or in threads, since one has lately been slow.

    warns: whether a slow mask sends the next ones into threads
    aside_until_s: by time.monotonic
    """

    pool: Executor
    warns: bool = True
    aside_until_s: float = -math.inf

    @property
    def aside(self) -> bool:
        return time.monotonic() < self.aside_until_s

    def took(self, seconds: float) -> None:
        """Count a mask. seconds: of a processor, so that other work makes none slow"""
        if self.warns and seconds > SLOW_MASK_S:
            self.aside_until_s = time.monotonic() + ASIDE_S


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A grammar; its first matcher is never used, only copied.

    mask: that all replies begin with; None: each computes it
    """

    first: Any
    pace: _Pace
    vocabulary: Any
    controls: frozenset[int]
    mask: _Mask | None = None

    def start(self) -> Matcher:
        return _Matcher(self.first.deep_copy(), self)


class _Matcher:
    """One reply in its grammar (agent.constrain.contract.Matcher)."""

    def __init__(self, matcher: Any, grammar: _Compiled) -> None:
        self.inner, self._grammar, self._pace = matcher, grammar, grammar.pace
        self.ended = bool(matcher.is_stopped())
        self._next: Future[_Mask] | _Mask | None = grammar.mask
        if self._next is None:
            self._begin()

    def mask(self) -> _Mask:
        if self._next is None:
            self._next = self._compute()
        if isinstance(self._next, np.ndarray):
            return self._next
        try:
            return self._next.result(MASK_S)
        except TooLate as cause:
            raise LostMaskError("what the reply is held to is too complex to follow") from cause

    def take(self, token: int) -> None:
        if isinstance(self._next, Future):
            self.mask()  # a matcher is not for two threads at once
        if not self.inner.consume_token(token):
            raise LostMaskError(f"the reply has left its grammar: {self._why()}")
        self.ended = bool(self.inner.is_stopped())
        self._next = None
        if not self.ended:
            self._begin()

    def _begin(self) -> None:
        if self._pace.aside:
            self._next = self._pace.pool.submit(self._compute)

    def _compute(self) -> _Mask:
        began_s = time.thread_time()
        bits = np.frombuffer(self.inner.compute_bitmask(), np.uint8)
        self._pace.took(time.thread_time() - began_s)
        if self.inner.is_error():
            raise LostMaskError(f"the reply cannot be held: {self._why()}")
        mask = np.unpackbits(bits, bitorder="little").view(np.bool_)
        only = int(mask.argmax()) if np.count_nonzero(mask) == 1 else None
        if only in self._grammar.controls and not self.inner.validate_tokens([only]):
            mask = self._spelt(len(mask))
        return mask

    def _why(self) -> str:
        return str(self.inner.get_error()).partition("\n")[0]

    def _spelt(self, num_tokens: int) -> _Mask:
        """The mask where the text must go on with letters that spell a control token.

        llguidance takes the token itself to be meant, which then does not satisfy the grammar: a
        text is told by letters, so the first of them is what comes.
        """
        letters = bytes(self.inner.compute_ff_bytes()).decode(errors="ignore")
        if not letters:
            raise LostMaskError("the reply cannot be held: no letters spell what comes next")
        mask = np.zeros(num_tokens, np.bool_)
        mask[self._grammar.vocabulary.tokenize_bytes(letters[:1].encode())[0]] = True
        return mask


def _in_lark(grammar: str) -> str:
    """A grammar in Lark's form. Raises: GrammarError"""
    from llguidance.gbnf_to_lark import any_to_lark

    if len(grammar) > MAX_SOURCE_CHARS:
        raise GrammarError(f"it has over {MAX_SOURCE_CHARS} characters")
    if sum(map(grammar.count, "{([\n")) > _MAX_PARTS:
        raise GrammarError(f"it has over {_MAX_PARTS} parts: of braces, brackets and lines")
    try:
        return str(any_to_lark(grammar))
    except Exception as cause:  # what is read as EBNF is read in Python, by a parser of its own
        raise GrammarError(f"it cannot be read: {type(cause).__name__}: {cause}") from cause


def _prove(matcher: Any) -> None:
    if not matcher.is_error():
        return
    why = str(matcher.get_error())
    raise GrammarError("nothing satisfies it" if why.startswith("NoExtension") else _plain(why))


def _plain(message: str) -> str:
    """An error without the places in our own grammar that it quotes."""
    lines = message.splitlines()
    told = [line.strip() for line in lines if line.startswith(("error", "    "))]
    first = lines[0].partition("failed to compile JSON schema: ")[2] or lines[0]
    if first.startswith("Failed to generate regex for"):
        return "a bound of a number is too large to be kept to"
    return " ".join([first, *told]) if lines[0].endswith("regex parse error:") else first
