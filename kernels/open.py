"""Opens the backend that is named; the only place that knows them all."""

from kernels.contract import Backend, BackendName
from kernels.errors import BackendMissingError


def open_backend(name: BackendName) -> Backend:
    """Give the backend of that name; nothing falls back to another.

    raises: BackendMissingError, naming the extra to install; ValueError for an unknown name
    """
    match name:
        case "reference":
            from kernels.reference.backend import ReferenceBackend

            return ReferenceBackend()
        case "cpu":
            from kernels.cpu.backend import CpuBackend

            return CpuBackend()
        case "triton":
            try:
                from kernels.gpu.backend import TritonBackend
            except ImportError as missing:
                raise BackendMissingError(
                    "the triton backend needs the package triton: pip install 'quickset[triton]'"
                ) from missing
            return TritonBackend()
    raise ValueError(f"unknown backend {name!r}: choose reference, cpu or triton")
