"""What can go wrong in the arithmetic.

KernelError
├── BackendMissingError   the backend's library is not installed; the message names the extra
├── DeviceMissingError    no such device is here, or the backend does not compute on it
├── DigestMismatchError   the integers are not the ones that the recipe promises
├── ExplodedError         an update left int32, or a weight is not finite
├── FrozenMovedError      a frozen slice differs from the base
└── UnsupportedModelError the model is not of a family that kernels.model.forward can walk
"""

OVERFLOW = "the update leaves int32; nothing was changed: take smaller steps"
NOT_FINITE = "a weight is not finite after the update"


class KernelError(Exception):
    """Root of the errors that this package raises on purpose."""


class BackendMissingError(KernelError):
    """A backend's library is not installed."""


class DeviceMissingError(KernelError):
    """No such device is here, or the chosen backend does not compute on it."""


class DigestMismatchError(KernelError):
    """The integer master does not have the digest that the recipe carries."""


class ExplodedError(KernelError):
    """An update left the range of int32, or produced a weight that is not finite."""


class FrozenMovedError(KernelError):
    """A frozen slice is not byte-equal to the base."""


class UnsupportedModelError(KernelError):
    """The model is not of a family that the forward pass knows."""
