"""Opens the device and the backend that settings name; the only place that knows them all.

Nothing falls back to another: a choice that is not possible here is an error that says what is.
"""

from typing import Literal

import torch

from kernels.contract import Backend, BackendName
from kernels.errors import BackendMissingError, DeviceMissingError

BackendChoice = Literal["auto", BackendName]


def open_device(name: str) -> torch.device:
    """Return the device of that name.

    name: cpu, cuda, or cuda:N
    raises: DeviceMissingError naming the devices that are here
    """
    device = torch.device(name)
    if device.type == "cpu":
        return device
    found = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    if not found:
        built = torch.version.cuda or torch.version.hip
        why = "" if built else ", and this torch is built for none"
        raise DeviceMissingError(f"no CUDA device is here{why}: set model.device to cpu")
    if device.index is not None and device.index >= len(found):
        raise DeviceMissingError(f"no {name} is here: set model.device to cpu, {', '.join(found)}")
    return device


def open_backend(name: BackendChoice = "auto", device: torch.device | str = "cpu") -> Backend:
    """Return the backend of that name for weights on a device.

    name: auto: cpu for a processor, triton for a GPU
    raises: BackendMissingError naming the extra to install, DeviceMissingError when that backend
        does not compute on that device
    """
    device = torch.device(device)
    if name == "auto":
        name = "cpu" if device.type == "cpu" else "triton"
    if name == "triton":
        return _open_triton(device)
    if device.type != "cpu":
        raise DeviceMissingError(
            f"the backend {name} computes on a processor, and model.device is {device}: set "
            "model.backend to auto or triton, or model.device to cpu"
        )
    if name == "reference":
        from kernels.reference.backend import ReferenceBackend

        return ReferenceBackend()
    from kernels.cpu.backend import CpuBackend

    return CpuBackend()


def _open_triton(device: torch.device) -> Backend:
    try:
        from kernels.gpu.backend import TritonBackend
    except ImportError as missing:
        raise BackendMissingError(
            "the backend triton needs the package triton: pip install 'quickset[triton]'"
        ) from missing
    return TritonBackend(device)
