"""What can go wrong between processes.

StreamsError
├── RecordError
│   ├── UnreadableRecordError   bytes that are no record of ours
│   ├── NewerSchemaError        a record version that this build does not know
│   └── RecordTooLargeError     over the limit of the log
├── LogUnavailableError         the log cannot be reached now: try the same again
├── StoreUnavailableError       the store cannot be reached now: try the same again
├── SpoolUnavailableError       what waits for the log cannot be read now: start again later
├── SchemaError                 a log or store file of another or damaged schema; untouched
├── ConflictError               compare-and-swap lost: somebody changed it first
├── VerbRefusedError            a change that the line's state does not allow; names what it does
├── NotAllowedError             a change that this person may not make; says who may
├── LastStepError             a change by which a candidate serves everybody, where none is meant
├── LeaseLostError              another process holds the lease; stop, write nothing
├── LedgerError                 a recipe that does not fit its parent, or a broken chain
│   └── ProofError              a version that cannot be rebuilt as asked, or has other bits
├── SecretError                 a file with a secret that cannot be read or is empty; names it
├── ExtraMissingError           an optional library is missing; the message names the extra
├── ModelFilesError             a model directory that is missing, half-written or unsupported
└── TemplateRefusedError        messages that the model's chat template does not accept
"""

from collections.abc import Sequence


class StreamsError(Exception):
    """Root of the errors that this package raises on purpose."""


class RecordError(StreamsError):
    """A wire record that cannot be used."""


class UnreadableRecordError(RecordError):
    """Bytes that are not a record of ours."""


class NewerSchemaError(RecordError):
    """A record of a version that this build does not know."""


class RecordTooLargeError(RecordError):
    """A record over the log's size limit."""


class LogUnavailableError(StreamsError):
    """The log cannot be reached now: try the same again."""


class StoreUnavailableError(StreamsError):
    """The store cannot be reached now, or was busy too long: try the transaction again."""


class SpoolUnavailableError(StreamsError):
    """What waits for the log cannot be read now, and nobody knows what it is: start again later."""


class SchemaError(StreamsError):
    """A log or store of a newer or damaged schema; it was left untouched."""


class ConflictError(StreamsError):
    """Somebody else changed the thing first; read it again."""


class VerbRefusedError(StreamsError):
    """A change of a line that its state does not allow."""

    def __init__(self, why: str, *, valid: Sequence[str]) -> None:
        """Say why, and what is valid now.

        valid: verbs (streams.records.Verb)
        """
        super().__init__(f"{why}; valid now: {', '.join(valid)}")
        self.valid = tuple(valid)


class NotAllowedError(StreamsError):
    """A change of a line that the policy leaves to somebody else."""


class LastStepError(StreamsError):
    """A change by which a candidate would serve everybody, where no such change was meant."""


class LeaseLostError(StreamsError):
    """Another process holds the lease now: stop and write nothing."""


class LedgerError(StreamsError):
    """A recipe that does not fit its parent, or a chain with a hole."""


class ProofError(LedgerError):
    """A version that cannot be rebuilt as asked, or does not have the promised bits."""


class SecretError(StreamsError):
    """A file that a setting names for what is in it cannot be read, or is empty."""


class ExtraMissingError(StreamsError):
    """An optional library is not installed."""


class ModelFilesError(StreamsError):
    """A model directory that is missing, half-written or of an unsupported architecture."""


class TemplateRefusedError(StreamsError):
    """The model's chat template does not accept these messages; the message says why."""
