"""The one tree of errors.

Every error has a stable ``code`` (a contract with clients: never renamed) and a message that says what was wrong and
what to do about it. The codes of :data:`JOB_ERROR_CODES` are those a job can end with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from avskrift.transcript import Transcript


class AvskriftError(Exception):
    """Base of everything this project raises on purpose."""

    code: ClassVar[str] = "internal"

    @property
    def message(self) -> str:
        return str(self)


class UnsupportedMedia(AvskriftError):
    """The bytes are no audio or video that can be decoded."""

    code = "unsupported_media"


class NoAudioStream(AvskriftError):
    """The file is valid media, but there is no sound in it."""

    code = "no_audio_stream"


class TooLong(AvskriftError):
    """The recording exceeds the limit on duration."""

    code = "too_long"


class TooLarge(AvskriftError):
    """The file exceeds the limit on size."""

    code = "too_large"


class ObjectGone(AvskriftError):
    """The recording was deleted before it could be read."""

    code = "object_gone"


class BadOptions(AvskriftError):
    """Options that are unknown, undecodable, contradictory or not supported."""

    code = "bad_options"


class NoCapacity(AvskriftError):
    """No instance could be had for the job in time."""

    code = "no_capacity"


class AttemptsExhausted(AvskriftError):
    """Every allowed attempt at the job failed."""

    code = "attempts_exhausted"


class InternalError(AvskriftError):
    """A fault of ours; the message says where the evidence lies."""

    code = "internal"


class ModelUnavailable(AvskriftError):
    """A model name that resolves to nothing, or to weights that fail their checksum."""

    code = "model_unavailable"


class WorkerCrashed(AvskriftError):
    """The media worker died (native crash, out of memory): costs the attempt, not the agent."""

    code = "worker_crashed"


class Cancelled(AvskriftError):
    """The caller asked for the work to stop. ``partial`` is what was finished by then, where there is something."""

    code = "cancelled"
    partial: Transcript | None = None


class ConfigurationError(AvskriftError):
    """A setting that is missing or cannot be right."""

    code = "bad_configuration"


class LocalCloudError(AvskriftError):
    """The cloud on one machine could not be started, reached or stopped."""

    code = "local_cloud"


#: The codes a job row, ``job.json`` and a webhook can carry.
JOB_ERROR_CODES: frozenset[str] = frozenset(
    error.code
    for error in (
        UnsupportedMedia,
        NoAudioStream,
        TooLong,
        TooLarge,
        ObjectGone,
        BadOptions,
        NoCapacity,
        AttemptsExhausted,
        InternalError,
    )
)


def error_from_code(code: str, message: str) -> AvskriftError:
    """The error of the tree with this ``code``, as it crosses a process; ``InternalError`` for an unknown one."""
    pending: list[type[AvskriftError]] = [AvskriftError]
    while pending:
        error = pending.pop()
        if error is not AvskriftError and error.code == code:
            return error(message)
        pending.extend(error.__subclasses__())
    return InternalError(message)
