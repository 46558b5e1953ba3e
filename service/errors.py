"""What Skep itself can fail at. None of it knows HTTP; one table in `http.problems` maps each class to a response.

SkepError
├── InvalidRequest            what was sent does not fit, with every problem in it
├── CompilationFailed         a deploy was refused, with every error in its code
├── NotFound
│   ├── WorkspaceNotFound
│   ├── FunctionNotFound
│   ├── KeyNotFound
│   ├── RevisionNotFound
│   ├── AliasNotFound
│   ├── SecretNotFound
│   ├── RunNotFound
│   └── RouteNotFound
├── MethodRefused             the route exists, not for this method
├── UnsupportedMediaType
├── Conflict                  what is asked for does not go with what has happened already
├── TooMany                   as many runs are accepted, or followed, as may be
├── PreconditionFailed        `If-Match` or `If-None-Match` does not hold
├── BodyTooLarge
├── QuotaSpent                the workspace has begun as many runs as it may for now
├── WorkspacesFull            there are as many workspaces as the operator allows
├── WorkspaceBroken           the files of this workspace on the volume cannot be used
├── VolumeUnavailable         the volume cannot be written or read: full, read-only, gone
├── DatabaseUnusable          the database cannot be opened: edited, newer, no database
├── DatabaseUnavailable       the database does not take or give what was asked: full, locked, gone
├── SecretsUnreadable         the key that secrets were encrypted with is missing, or is another one
├── Unauthenticated           no key, or one that is not known here
├── TooManyBadKeys            one address has shown too many of them
├── Forbidden                 the key is good, for less than this
├── KeyNameTaken              two keys that are good have different names
├── AccessTooOpen             other machines could come in, and nobody would need a key
├── FunctionDisabled          somebody has said that it is not to run
├── JailTooWeak               the machine gives less than the operator asks for
├── WorkersUnavailable        no worker can be had: the zygote cannot fork, or there is no room
├── WorkersCrash              this workspace's workers die as soon as they run; new ones wait a while
└── Draining                  the service is going down or not yet up

What tenant code does is not here: that is a value, see `domain.outcome`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what somebody sent; `path` is dotted, as in `functions.hello.timeout`."""

    path: str
    message: str


@dataclass(frozen=True, slots=True)
class CodeError:
    """One thing wrong with a function's code; line and column are 1-based, as its author wrote them."""

    function: str
    line: int
    column: int
    message: str
    source: str = ""
    """That line, and a caret beneath it; nothing where there is no such line."""


class SkepError(Exception):
    """Base of everything the service fails at knowingly."""


class InvalidRequest(SkepError):
    """What was sent does not fit."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))
        self.problems = problems


class CompilationFailed(SkepError):
    """The code was refused; the version that was live stays live."""

    def __init__(self, errors: list[CodeError]) -> None:
        super().__init__(f"{len(errors)} errors in the code")
        self.errors = errors


class NotFound(SkepError):
    """What was asked for does not exist; the message names it."""


class WorkspaceNotFound(NotFound):
    """No workspace has this name."""

    def __init__(self, workspace: str) -> None:
        super().__init__(f"There is no workspace named {workspace!r}.")


class FunctionNotFound(NotFound):
    """The workspace, or that revision of it, has no function of this name."""

    def __init__(self, workspace: str, function: str, revision: int | None = None) -> None:
        whose = f"The workspace {workspace!r}" if revision is None else f"Revision {revision} of {workspace!r}"
        super().__init__(f"{whose} has no function named {function!r}.")


class RevisionNotFound(NotFound):
    """The workspace has no revision of this number: there never was one, or it is too old."""

    def __init__(self, workspace: str, number: int) -> None:
        super().__init__(f"The workspace {workspace!r} has no revision {number}.")


class AliasNotFound(NotFound):
    """The workspace has no alias of this name."""

    def __init__(self, workspace: str, alias: str) -> None:
        super().__init__(f"The workspace {workspace!r} has no alias named {alias!r}.")


class KeyNotFound(NotFound):
    """No key has this id."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no key with the id {key_id[:64]!r}.")


class SecretNotFound(NotFound):
    """The workspace has no secret of this name."""

    def __init__(self, workspace: str, name: str) -> None:
        super().__init__(f"The workspace {workspace!r} has no secret named {name!r}.")


class RunNotFound(NotFound):
    """The workspace has no run of this id, or its record has expired."""

    def __init__(self, workspace: str, run_id: str) -> None:
        super().__init__(f"The workspace {workspace!r} has no run {run_id[:64]!r}, or no record of it any more.")


class RouteNotFound(NotFound):
    """No route has this path."""


class MethodRefused(SkepError):
    """The route exists, but not for this method."""

    def __init__(self, method: str, allowed: set[str]) -> None:
        super().__init__(f"{method} is not offered here; {', '.join(sorted(allowed))} would be.")
        self.allowed = allowed


class UnsupportedMediaType(SkepError):
    """The body is in a format that is not read here."""


class Conflict(SkepError):
    """What is asked for does not go with what has happened already. `details` say what that is."""

    def __init__(self, message: str, **details: str) -> None:
        super().__init__(message)
        self.details = details


class TooMany(SkepError):
    """As many runs are accepted and not finished, or followed, or have a key, as may be."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PreconditionFailed(SkepError):
    """The workspace is not in the state that the caller made a condition."""


class BodyTooLarge(SkepError):
    """The body is larger than `REQUEST_MAX_SIZE`."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"The body is larger than the {max_bytes} bytes that are accepted.")
        self.max_bytes = max_bytes


class QuotaSpent(SkepError):
    """The workspace has begun as many runs as it may for now."""

    def __init__(self, per_minute: int, *, retry_after_s: int) -> None:
        noun = "run" if per_minute == 1 else "runs"
        super().__init__(
            f"The quota of this workspace, {per_minute} {noun} a minute, is spent; one more in {retry_after_s} s."
        )
        self.retry_after_s = retry_after_s


class WorkspacesFull(SkepError):
    """There are as many workspaces as the operator allows."""

    def __init__(self, most: int) -> None:
        super().__init__(f"There are {most} workspaces, as many as the operator allows; no more are created.")


class WorkspaceBroken(SkepError):
    """The files of this workspace on the volume cannot be used; other workspaces are not affected."""

    def __init__(self, workspace: str, reason: str, errors: Sequence[CodeError] = ()) -> None:
        super().__init__(f"The workspace {workspace!r} cannot be loaded: {reason}")
        self.reason = reason
        self.errors = tuple(errors)


class VolumeUnavailable(SkepError):
    """The volume cannot be written or read; what was on it is as it was."""


class DatabaseUnusable(SkepError):
    """The database cannot be opened; nothing in it was changed."""


class DatabaseUnavailable(SkepError):
    """The database does not do what was asked; what is in it is as it was."""


class SecretsUnreadable(SkepError):
    """Secrets cannot be decrypted, or none can be encrypted; those that are stored are as they were."""


class Unauthenticated(SkepError):
    """There is no key in the request, or none that is good."""


class TooManyBadKeys(SkepError):
    """One address has shown more bad keys than are answered; good ones still get in."""

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__("Too many bad keys have come from this address.")
        self.retry_after_s = retry_after_s


class KeyNameTaken(SkepError):
    """There is a key with this name, and it is not revoked."""

    def __init__(self, name: str, key_id: str) -> None:
        super().__init__(f"There is a key named {name!r} already: {key_id}. Revoke it first, or take another name.")


class Forbidden(SkepError):
    """Who asks may know of it, and may not do this with it."""


class AccessTooOpen(SkepError):
    """Other machines could come in, and nobody would need a key."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"HOST={host} lets other machines in, and nobody would need a key. Set ADMIN_KEY (`openssl rand -hex 32` "
            "prints a good one), or make a key with `skep keys create`; AUTH=off is for those who want it so."
        )


class FunctionDisabled(SkepError):
    """The function is there, and is not to run until it is enabled again."""

    def __init__(self, workspace: str, function: str) -> None:
        super().__init__(f"The function {function!r} of the workspace {workspace!r} is disabled.")


class JailTooWeak(SkepError):
    """The machine gives workers less of a jail than the operator asks for. `missing`: layer, reason, what it needs."""

    def __init__(self, level: str, least: str, missing: Sequence[tuple[str, str, str]]) -> None:
        lines = [f"  {name}: {reason}; needs {grant}" for name, reason, grant in missing]
        super().__init__(
            "\n".join([f"The jail here is {level!r}, and SANDBOX_LEVEL asks for {least!r}. Missing:", *lines])
        )


class WorkersUnavailable(SkepError):
    """No worker could be had."""

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class WorkersCrash(SkepError):
    """The workers of this workspace die one after the other; none is started for a while."""

    def __init__(self, *, reason: str, crashes: int, pause_s: float) -> None:
        super().__init__(
            f"The workers of this workspace end as soon as they run: {reason}. "
            f"The next one is started in {pause_s:.0f} s, or when the workspace is deployed again."
        )
        self.reason = reason
        self.crashes = crashes
        self.retry_after_s = max(1, ceil(pause_s))


class Draining(SkepError):
    """The service takes no new runs: it is starting or going down."""
