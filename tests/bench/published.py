"""The bundled model as transformers runs it: what ours is compared with."""

from typing import Any

import torch

from streams.model.convert import FOLDER
from streams.settings import ModelSettings


def load_published() -> Any:
    """Load the bundled model, which `load_base` has converted before, with transformers."""
    from transformers import AutoModelForCausalLM

    directory = ModelSettings().cache.expanduser() / FOLDER
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    return model.eval().requires_grad_(False)
