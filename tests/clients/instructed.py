"""Asks for a city by instructor, in a process of its own: python instructed.py ADDRESS MODE."""

import importlib.metadata
import sys
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class City(BaseModel):
    """What a small model can say at once."""

    model_config = ConfigDict(extra="forbid")

    name: Literal["Oslo", "Rome"]


def main(address: str, mode: str) -> None:
    """Print instructor's version, and the city."""
    import instructor
    import openai

    asking: Any = instructor.from_openai(
        openai.OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0),
        mode=instructor.Mode[mode],
    )
    told = asking.chat.completions.create(
        model="quickset", response_model=City, max_tokens=300, max_retries=0,
        messages=[{"role": "user", "content": "Which city?"}],
    )  # fmt: skip
    print(importlib.metadata.version("instructor"), told.name)


if __name__ == "__main__":
    main(*sys.argv[1:])
