"""Device and backend are what settings name, or an error that says what is possible."""

import pytest
import torch
from pydantic import ValidationError

from kernels.errors import DeviceMissingError
from kernels.open import BackendChoice, open_backend, open_device
from streams.model.open import load_base
from streams.settings import ModelSettings


def test_a_backend_is_chosen_by_the_device() -> None:
    """On a processor the compiled loops; what is named is what is opened."""
    assert open_device("cpu") == torch.device("cpu")
    assert open_backend("auto").name == open_backend("auto", open_device("cpu")).name == "cpu"
    assert open_backend("reference").name == "reference"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_device_is_said_before_anything_is_loaded() -> None:
    """The message names the device that there is."""
    for name in ("cuda", "cuda:1"):
        with pytest.raises(DeviceMissingError, match=r"no CUDA device .* model.device to cpu"):
            load_base(ModelSettings(device=name))


@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_a_processors_backend_does_not_compute_on_a_gpu(name: BackendChoice) -> None:
    """Weights on a GPU and loops for a processor: refused, with both ways out."""
    with pytest.raises(DeviceMissingError, match=r"model\.backend to auto or triton"):
        open_backend(name, "cuda:0")


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    """A misspelt setting is an error that lists what may be said."""
    with pytest.raises(ValidationError, match="choose cpu, cuda or cuda:N"):
        ModelSettings(device="gpu")
    with pytest.raises(ValidationError, match="'auto', 'reference', 'cpu' or 'triton'"):
        ModelSettings.model_validate({"backend": "numpy"})


@pytest.mark.triton
def test_triton_is_refused_on_a_processor_but_for_tests() -> None:
    """Its interpreter must be asked for: nobody is to serve thousands of times slower unawares."""
    pytest.importorskip("triton")
    from kernels.gpu.backend import TritonBackend

    processor = torch.device("cpu")
    if not torch.cuda.is_available():  # the tests ask for it
        assert open_backend("triton").device == processor
    with pytest.raises(DeviceMissingError, match="computes on a GPU"):
        TritonBackend(processor, interpreted=False)
