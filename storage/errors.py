"""Every error that storage raises on purpose; one line each, without names, numbers or row contents.

`code` is stable and machine-readable, `status` the HTTP status that fits where a person asked for what failed.
"""

from typing import ClassVar


class StorageError(Exception):
    """Root of the tree."""

    code: ClassVar[str] = "STORAGE_ERROR"
    status: ClassVar[int] = 500


# --- ours: the machine can't do it now --------------------------------------------------------------------------------


class StorageUnavailable(StorageError):
    """Disk full, read-only or gone, or the database doesn't answer: nothing was acknowledged."""

    code = "STORAGE_UNAVAILABLE"
    status = 503


class WriterRunning(StorageError):
    """Another process writes to this data folder."""

    code = "WRITER_RUNNING"
    status = 503


class StorageUrlError(StorageError):
    """A database URL of another kind than the two that are known, or without its driver."""

    code = "STORAGE_URL"


class SchemaNewer(StorageError):
    """The database is of a newer version of the product."""

    code = "SCHEMA_NEWER"


class RestoreUnfinished(StorageError):
    """A restore was begun in this data folder and not completed: nothing serves from it."""

    code = "RESTORE_UNFINISHED"


class BackupBroken(StorageError):
    """A backup that is cut, altered, or not one; nothing of it is used."""

    code = "BACKUP_BROKEN"


class BackupRefused(StorageError):
    """A backup that can't be made or restored there: another site's, or a place that isn't empty."""

    code = "BACKUP_REFUSED"


class KeyFileError(StorageError):
    """The gateway's key file isn't one, or others may read it."""

    code = "KEY_FILE"


class BlobNameError(StorageError):
    """An id, side or segment number that can't name a blob."""

    code = "BLOB_NAME"
    status = 404


class BlobMissing(StorageError):
    """No such blob, or it was erased."""

    code = "BLOB_MISSING"
    status = 404


class BlobExists(StorageError):
    """A blob that is written once is there already; an encrypted stream is never resumed."""

    code = "BLOB_EXISTS"


class BlobStateError(StorageError):
    """A payload was used out of order: appended to after its end, or sealed without any chunk."""

    code = "BLOB_STATE"


class ManifestError(StorageError):
    """A manifest or opening that isn't what the contract says, or whose signature doesn't verify."""

    code = "MANIFEST"


# --- theirs: the request doesn't fit what stands here -----------------------------------------------------------------


class AnchorsSet(StorageError):
    """Anchors are set once; afterwards a key is replaced by an act."""

    code = "ANCHORS_SET"
    status = 409


class ActError(StorageError):
    """Bytes that aren't a canonical act of the kind that was announced."""

    code = "ACT_MALFORMED"
    status = 422


class StaleAct(StorageError):
    """An act that doesn't follow the act in force: another `prev`, another `seq`."""

    code = "STALE_ACT"
    status = 409


class AgentUnknown(StorageError):
    """No such agent on the roster, or disabled."""

    code = "AGENT_UNKNOWN"
    status = 404


class RosterValueError(StorageError):
    """A roster line with an empty or overlong field."""

    code = "ROSTER_VALUE"
    status = 422


class SeatConflict(StorageError):
    """The extension is another agent's seat."""

    code = "SEAT_CONFLICT"
    status = 409


class StaleClaim(StorageError):
    """A seat claim whose number doesn't grow."""

    code = "STALE_CLAIM"
    status = 409


class StaleConsent(StorageError):
    """A consent statement whose number doesn't grow."""

    code = "STALE_CONSENT"
    status = 409


class StatementMissing(StorageError):
    """A yes without the agent's own signed statement."""

    code = "STATEMENT_MISSING"
    status = 422


class ReceiptExists(StorageError):
    """A receipt with this `jti` is written already."""

    code = "RECEIPT_EXISTS"
    status = 409


class EntryUnknown(StorageError):
    """No leg entry of this number and kind."""

    code = "ENTRY_UNKNOWN"


class EntryState(StorageError):
    """A second admission or `out` for an entry, or one that contradicts what stands there."""

    code = "ENTRY_STATE"


class LogClosed(StorageError):
    """No such log, or it takes no entries any more."""

    code = "LOG_CLOSED"


class LogBroken(StorageError):
    """The log's files and its rows don't fit together: nothing is published until somebody looked."""

    code = "LOG_BROKEN"


class LogEntryUnknown(StorageError):
    """No such entry, tile or checkpoint in this log."""

    code = "LOG_ENTRY_UNKNOWN"
    status = 404


class EpochUnknown(StorageError):
    """No such epoch can be committed to now, or nobody did."""

    code = "EPOCH_UNKNOWN"
    status = 404


class EpochStep(StorageError):
    """An epoch's state doesn't allow this step (see `policy.epochs.NEXT`), or what it needs isn't there."""

    code = "EPOCH_STEP"
    status = 409


class TermsChanged(StorageError):
    """An act was taken since the leg's rule was read: it has to be read again."""

    code = "TERMS_CHANGED"
    status = 409


class RecordingUnknown(StorageError):
    """No such recording or segment, or it was erased."""

    code = "RECORDING_UNKNOWN"
    status = 404


class CoachUnknown(StorageError):
    """No coach of this id, or one who was disabled."""

    code = "COACH_UNKNOWN"
    status = 404


class ReleaseUnknown(StorageError):
    """No such release of this recording."""

    code = "RELEASE_UNKNOWN"
    status = 404


class ReleaseExists(StorageError):
    """A release of this id was made before."""

    code = "RELEASE_EXISTS"
    status = 409


class EvalCap(StorageError):
    """As many of this agent's recordings as the agreement permits in a year were released to coaches."""

    code = "EVAL_CAP"
    status = 409


class EgressLimit(StorageError):
    """As many recordings as anybody may play in an hour were fetched."""

    code = "EGRESS_LIMIT"
    status = 429


class HoldError(StorageError):
    """A hold without a reason, or without an end that is near enough."""

    code = "HOLD_INVALID"
    status = 422


class RecordingState(StorageError):
    """The recording's state doesn't allow this step (see `recordings.NEXT`)."""

    code = "RECORDING_STATE"
    status = 409
