"""How replies are sampled, as every API's body says it, settled into one Sampling a choice.

The names are OpenAI's, and vLLM's for what OpenAI has no name for; every API takes them all.

Knows nothing of any API's JSON beyond these names.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from agent.api.caller import MAX_SEED, MIN_SEED, Caller
from agent.http.form import Form, refuse
from agent.settings import LEAST_REPETITION, MAX_PENALTY, MAX_TOP_K, MOST_REPETITION
from streams.records import Sampling

MAX_STOPS = 16
MAX_STOP_CHARS = 256  # a stop string is held back while it may still come, so it is kept short
MAX_BIASED = 1024  # tokens; each is in the record of the turn, of every choice
MAX_BIAS: Final = 100.0

_ID = re.compile(r"[0-9]{1,9}")


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


def _by_token(biases: Any) -> Any:
    """Read the names of a JSON object as the token ids that they are."""
    if not isinstance(biases, dict):
        return biases
    for name in biases:
        if not isinstance(name, str) or not _ID.fullmatch(name):
            refuse("{name} is no token id", name=repr(name)[:40])
    by_token = {int(name): bias for name, bias in biases.items()}
    if len(by_token) < len(biases):
        refuse("a token is named twice")
    return by_token


Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]
StopList = Annotated[list[Stop], Field(max_length=MAX_STOPS)]
Stops = Annotated[StopList, BeforeValidator(_listed, json_schema_input_type=Stop | StopList)]
Bias = Annotated[float, Field(ge=-MAX_BIAS, le=MAX_BIAS)]
Biases = Annotated[
    dict[int, Bias],
    Field(max_length=MAX_BIASED),
    BeforeValidator(_by_token),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{_ID.pattern}$"},
            "additionalProperties": {"type": "number", "minimum": -MAX_BIAS, "maximum": MAX_BIAS},
            "maxProperties": MAX_BIASED,
        }
    ),
]
Penalty = Annotated[float, Field(ge=-MAX_PENALTY, le=MAX_PENALTY)]


class SamplingForm(Form):
    """What bodies say of sampling."""

    temperature: float | None = Field(None, ge=0, le=2, description="0: the likeliest token")
    top_p: float | None = Field(None, gt=0, le=1, description="nucleus that is sampled from")
    top_k: int | None = Field(
        None, ge=-1, le=MAX_TOP_K, description="the likeliest tokens; 0 and -1: all"
    )
    min_p: float | None = Field(None, ge=0, le=1, description="share of the likeliest token's")
    presence_penalty: Penalty | None = Field(None, description="of tokens that the reply has")
    frequency_penalty: Penalty | None = Field(None, description="each time that the reply has it")
    repetition_penalty: float | None = Field(
        None, ge=LEAST_REPETITION, le=MOST_REPETITION, description="of tokens in prompt or reply"
    )
    logit_bias: Biases | None = Field(None, description="token id → what its score gains, nats")
    seed: int | None = Field(
        None, ge=MIN_SEED, le=MAX_SEED, description="the same seed and version give the same reply"
    )


def samplings(
    form: SamplingForm,
    caller: Caller,
    *,
    choices: int = 1,
    max_tokens: int | None = None,
    stop: Sequence[str] | None = None,
    free: bool,
) -> tuple[Sampling, ...]:
    """Settle each choice's sampling; a given seed counts up, so that choices differ and repeat.

    max_tokens: None: the setting's; the prompt may leave room for less
    free: nothing but text is asked for, neither calls nor what a reply is held to: JSON repeats its
        marks, and has to
    """
    settings, seed = caller.settings, form.seed
    temperature, top_p, repetition = form.temperature, form.top_p, form.repetition_penalty
    # whoever names a temperature means what comes of it: at 0 the likeliest token
    frequency = settings.default_frequency_penalty if free and temperature is None else 0.0
    first = Sampling(
        temperature=settings.default_temperature if temperature is None else temperature,
        top_p=settings.default_top_p if top_p is None else top_p,
        max_tokens=max_tokens or settings.default_max_tokens,
        seed=caller.draw_seed() if seed is None else seed,
        stop=list(stop or ()),
        top_k=max(settings.default_top_k if form.top_k is None else form.top_k, 0),
        min_p=settings.default_min_p if form.min_p is None else form.min_p,
        presence_penalty=form.presence_penalty or 0.0,
        frequency_penalty=frequency if form.frequency_penalty is None else form.frequency_penalty,
        repetition_penalty=(
            settings.default_repetition_penalty if repetition is None else repetition
        ),
        logit_bias=form.logit_bias or {},
    )
    seeds = [caller.draw_seed() if seed is None else _after(seed, n) for n in range(1, choices)]
    return (first, *(first.model_copy(update={"seed": each}) for each in seeds))


def _after(seed: int, choice: int) -> int:
    """The seed of a further choice; after the largest comes the smallest."""
    return (seed + choice - MIN_SEED) % (MAX_SEED - MIN_SEED + 1) + MIN_SEED
