"""What the service, the zygote and the workers say to each other, one class a message."""

from typing import Annotated, Final, Literal

import msgspec

from sandbox.protocol.cache import CacheAnswer, CacheOp
from sandbox.protocol.message import Message

_LONGEST_US: Final = 366 * 24 * 3600 * 1_000_000

Microseconds = Annotated[int, msgspec.Meta(ge=0, le=_LONGEST_US)]
"""Up to a year, which is the most that a run may take."""

Level = Literal["debug", "info", "warning", "error", "critical"]
JailLevel = Literal["none", "unprivileged", "full"]
"""How much of the jail there is, weakest first."""
FetchFailure = Literal["refused", "timeout", "too-large", "failed"]


ITEMS_OF_A_RUN_MAX: Final = 8192
"""Entries or problems in one message. Checked before they are decoded, which for millions would take seconds."""
ITEMS_OF_A_DEPLOY_MAX: Final = 100_000
"""The same for a definition, in which everything that is wrong is told at once."""

NOT_LOCKED_IN: Final = 70
"""The exit status of a worker that could not be locked in: it has read nothing, and nothing that it was to load is at
fault. It is sysexits.h's EX_SOFTWARE, and no proof: whoever has broken out can end with any status.
"""


class Problem(Message, frozen=True):
    """One thing wrong with a value somebody sent; `path` is dotted, as in `parameters.name`."""

    path: str
    message: str


class CodeError(Message, frozen=True):
    """One thing wrong with a function's code; line and column are 1-based, as its author wrote them."""

    function: str
    line: int
    column: int
    message: str


class LogEntry(msgspec.Struct, frozen=True):
    """What every log entry has; a JSON object on the wire. Extra fields are checked as JSON and passed on unread."""

    time: str
    level: Level
    message: str


class FetchLimits(Message, frozen=True):
    """What the fetches of one run may be. A worker keeps to them by itself; one that does not is ended."""

    at_once: int = 16
    """Under way at the same time; the worker holds back the rest."""
    count: int = 100
    """In the whole life of the run."""
    body_max_bytes: int = 2**20
    response_max_bytes: int = 8 * 2**20
    """As received, and again after decompression."""


class Load(Message, frozen=True, tag="load"):
    """The first message a worker gets: the workspace it belongs to until it dies."""

    workspace: str
    definition: bytes
    """JSON of the workspace object, as stored."""
    bundle: bytes
    """What an earlier worker compiled from the same definition, or nothing. Ignored if it does not fit exactly."""
    modules: list[str]
    result_max_bytes: int
    logs_max_bytes: int
    fetches: FetchLimits = FetchLimits()
    shared_cache: bool = False
    """Whether `cache` is kept by the service, for several workers together."""
    cache_max_bytes: int = 0
    """Of a cache that is shared."""
    secrets: dict[str, str] = msgspec.field(default_factory=dict)
    """By name. Here and nowhere else: they are in no definition, no bundle, and nothing that workers share."""

    def __repr__(self) -> str:
        return f"Load({self.workspace!r})"


class Run(Message, frozen=True, tag="run"):
    """Run one stored function."""

    run: int
    """Number of the run on this connection; every answer carries it."""
    run_id: str
    function: str
    parameters: bytes
    """JSON object."""
    timeout_ms: int


class RunInline(Message, frozen=True, tag="inline"):
    """Run a body once, in the workspace's namespace, without keeping it."""

    run: int
    run_id: str
    code: str
    parameters: bytes
    """JSON object; each value becomes a name in the body's scope."""
    timeout_ms: int


class Cancel(Message, frozen=True, tag="cancel"):
    """Nobody waits for this run any more."""

    run: int


class Fetched(Message, frozen=True, tag="fetched"):
    """The response to a fetch, after redirects; `body` as it was received, compressed if the server compressed it."""

    fetch: int
    status: int
    url: str
    headers: list[tuple[str, str]]
    body: bytes


class FetchFailed(Message, frozen=True, tag="fetch-failed"):
    """There is no response to a fetch; the message is for the author of the function."""

    fetch: int
    reason: FetchFailure
    message: str


Downward = Load | Run | RunInline | Cancel | Fetched | FetchFailed | CacheAnswer


class Loaded(Message, frozen=True, tag="loaded"):
    """The workspace is ready. `bundle` is what was compiled, or nothing if the one that was sent could be used."""

    bundle: bytes


class NotLoaded(Message, frozen=True, tag="not-loaded"):
    """The definition was refused, with everything that is wrong with it; the worker ends."""

    errors: Annotated[list[CodeError], msgspec.Meta(max_length=ITEMS_OF_A_DEPLOY_MAX)]
    problems: Annotated[list[Problem], msgspec.Meta(max_length=ITEMS_OF_A_DEPLOY_MAX)]


class Log(Message, frozen=True, tag="log"):
    """Log entries of one run, in order, each a JSON object with the fields of `LogEntry`."""

    run: int
    entries: Annotated[list[bytes], msgspec.Meta(max_length=ITEMS_OF_A_RUN_MAX)]


class Returned(Message, frozen=True, tag="returned"):
    """The run is over and this is its result."""

    run: int
    result: bytes
    """JSON."""
    duration_us: Microseconds


class Raised(Message, frozen=True, tag="raised"):
    """The run is over: its code raised."""

    run: int
    type: str
    message: str
    function: str
    line: int
    traceback: str
    duration_us: Microseconds


class OutOfMemory(Message, frozen=True, tag="out-of-memory"):
    """The run is over: it needed more memory than the worker may have. The worker lives on."""

    run: int
    duration_us: Microseconds


class Expired(Message, frozen=True, tag="expired"):
    """The run's deadline has passed and it is being unwound; `Ended` follows when nothing of it is left."""

    run: int
    duration_us: Microseconds


class Ended(Message, frozen=True, tag="ended"):
    """Nothing of an expired or cancelled run is left in the worker."""

    run: int


class BadParameters(Message, frozen=True, tag="bad-parameters"):
    """The run never began: its parameters do not fit the function's schema."""

    run: int
    problems: Annotated[list[Problem], msgspec.Meta(max_length=ITEMS_OF_A_RUN_MAX)]


class NotCompiled(Message, frozen=True, tag="not-compiled"):
    """The inline run never began: its code was refused."""

    run: int
    errors: Annotated[list[CodeError], msgspec.Meta(max_length=ITEMS_OF_A_RUN_MAX)]


class Fetch(Message, frozen=True, tag="fetch"):
    """A run asks for a URL. `fetches.check_fetch` says what all of this may be."""

    run: int
    fetch: int
    """Chosen by the worker: each greater than all before it on this connection."""
    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    timeout_ms: int
    """0 for as long as the service allows."""


class CancelFetch(Message, frozen=True, tag="cancel-fetch"):
    """The run does not wait for this fetch any more."""

    fetch: int


Upward = (
    Loaded | NotLoaded | Log | Returned | Raised | OutOfMemory | Expired | Ended | BadParameters | NotCompiled
    | Fetch | CancelFetch | CacheOp
)  # fmt: skip


class Fork(Message, frozen=True, tag="fork"):
    """Start a worker; its end of the socket pair comes with this packet as a descriptor."""

    worker: int
    memory_max_bytes: int


class Forked(Message, frozen=True, tag="forked"):
    """The worker runs; a pidfd of it comes with this packet as a descriptor."""

    worker: int
    pid: int


class NotForked(Message, frozen=True, tag="not-forked"):
    """The system refused to fork."""

    worker: int
    reason: str


class Exited(Message, frozen=True, tag="exited"):
    """The worker is gone and reaped; `status` is as `os.waitstatus_to_exitcode` gives it."""

    worker: int
    status: int


class Layer(Message, frozen=True):
    """One layer of the jail on this machine."""

    name: str
    is_on: bool
    detail: str
    """What it consists of, or why it is missing."""
    grant: str
    """What the machine would have to give; empty if it does."""


class ZygoteReady(Message, frozen=True, tag="ready"):
    """Everything is imported, the jail is entered; forks are fast from now on."""

    pid: int
    level: JailLevel
    layers: list[Layer]


FromZygote = Forked | NotForked | Exited | ZygoteReady
