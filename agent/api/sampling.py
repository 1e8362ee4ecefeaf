"""How replies are sampled, as every API's body says it, settled into one Sampling a choice.

Knows nothing of any API's JSON beyond these names.
"""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from agent.api.caller import MAX_SEED, Caller
from agent.http.form import Form
from streams.records import Sampling

MAX_STOPS = 16
MAX_STOP_CHARS = 256  # a stop string is held back while it may still come, so it is kept short


def _listed(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else stop


Stop = Annotated[str, Field(min_length=1, max_length=MAX_STOP_CHARS)]
StopList = Annotated[list[Stop], Field(max_length=MAX_STOPS)]
Stops = Annotated[StopList, BeforeValidator(_listed, json_schema_input_type=Stop | StopList)]


class SamplingForm(Form):
    """What bodies of OpenAI's form say of sampling."""

    temperature: float | None = Field(None, ge=0, le=2, description="0: the likeliest token")
    top_p: float | None = Field(None, gt=0, le=1, description="nucleus that is sampled from")
    seed: int | None = Field(
        None, ge=0, le=MAX_SEED, description="the same seed and version give the same reply"
    )


def samplings(
    form: SamplingForm,
    caller: Caller,
    *,
    choices: int = 1,
    max_tokens: int | None = None,
    stop: Sequence[str] | None = None,
) -> tuple[Sampling, ...]:
    """Settle each choice's sampling; a given seed counts up, so that choices differ and repeat.

    max_tokens: None: the setting's; the prompt may leave room for less
    """
    settings, seed = caller.settings, form.seed
    temperature, top_p = form.temperature, form.top_p
    return tuple(
        Sampling(
            temperature=settings.default_temperature if temperature is None else temperature,
            top_p=settings.default_top_p if top_p is None else top_p,
            max_tokens=max_tokens or settings.default_max_tokens,
            seed=caller.draw_seed() if seed is None else (seed + choice) % (MAX_SEED + 1),
            stop=list(stop or ()),
        )
        for choice in range(choices)
    )
