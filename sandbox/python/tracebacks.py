"""What went wrong in tenant code, told in the tenant's own lines.

Everything about an exception is tenant input: its `__str__` can raise, return no string, or return a gigabyte, and its
chain of causes can be a circle. Nothing of ours (paths, frames, lines) is in the text.
"""

import collections
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from sandbox.expired import RunExpired
from sandbox.python.names import FILENAME_PREFIX

MESSAGE_MAX_BYTES: Final = 8 * 1024
TRACEBACK_MAX_BYTES: Final = 32 * 1024
_FRAMES_MAX: Final = 40
_CHAIN_MAX: Final = 10
_CHAIN_LOOKED_AT_MAX: Final = 1000
_NOTES_MAX: Final = 20
_LINE_MAX_CHARACTERS: Final = 300

# Through the type, because an object of a tenant's class may have attributes of these names.
_TRACEBACK: Final[Any] = vars(BaseException)["__traceback__"].__get__
_CAUSE_OF: Final[Any] = vars(BaseException)["__cause__"].__get__
_CONTEXT_OF: Final[Any] = vars(BaseException)["__context__"].__get__
_SUPPRESSED: Final[Any] = vars(BaseException)["__suppress_context__"].__get__
_SYNTAX_MESSAGE: Final[Any] = vars(SyntaxError)["msg"].__get__

_CAUSE: Final = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT: Final = "\nDuring handling of the above exception, another exception occurred:\n\n"


@dataclass(frozen=True, slots=True)
class Description:
    """An exception that left a function. `function` and `line` are where, innermost; line 0 if in no tenant code."""

    type: str
    message: str
    function: str
    line: int
    traceback: str


@dataclass(frozen=True, slots=True)
class _Frame:
    function: str
    line: int
    within: str
    columns: tuple[int, int] | None


def describe(error: BaseException, sources: Mapping[str, str]) -> Description:
    """Tell what happened. `sources` are the bodies by function name; a body that is not there is told without text."""
    frames, _ = _frames(error)
    innermost = frames[-1] if frames else _Frame("", 0, "", None)
    parts: list[str] = []
    for chained, joint in _chain(error):
        parts.append(joint)
        parts.extend(_told(chained, sources))
    return Description(
        type=type_name(error),
        message=safe_text(error),
        function=innermost.function,
        line=innermost.line,
        traceback=_capped("".join(parts), TRACEBACK_MAX_BYTES, keep_end=True),
    )


def safe_text(value: object, *, max_bytes: int = MESSAGE_MAX_BYTES) -> str:
    """`str(value)`, at most that long, whatever `__str__` does; always something that can be written as UTF-8.

    Only the end of the run passes through.
    """
    return _capped(_made(str, value), max_bytes)


def safe_repr(value: object, *, max_bytes: int = MESSAGE_MAX_BYTES) -> str:
    """`repr(value)`, at most that long, whatever `__repr__` does. Only the end of the run passes through."""
    return _capped(_made(repr, value), max_bytes)


def type_name(value: object) -> str:
    """The name of a value's class, cut. It is the tenant's too, and can be of a class of theirs."""
    return _capped(str.__str__(type(value).__name__), 200)


def _made(make: Callable[[object], str], value: object) -> str:
    try:
        # `str` and `repr` pass on what a tenant's method returns, which can be of a class derived from str.
        return str.__str__(value if make is str and issubclass(type(value), str) else make(value))
    except BaseException as error:
        if _ends_the_run(error):
            raise
        return f"<{type_name(value)} whose text cannot be made: {type_name(error)}>"


def _ends_the_run(error: BaseException) -> bool:
    return type(error) is RunExpired


def _capped(text: str, max_bytes: int, *, keep_end: bool = False) -> str:
    # Cut before encoding: the text may be a gigabyte. No character is longer than four bytes, none shorter than one.
    head = text[:max_bytes]
    data = head.encode(errors="backslashreplace")
    if len(text) <= max_bytes and len(data) <= max_bytes:
        return data.decode()
    if keep_end:
        half = max_bytes // 2 - 8
        start = data[:half].decode(errors="ignore")
        end = text[-half:].encode(errors="backslashreplace")[-half:].decode(errors="ignore")
        return f"{start}\n…\n{end}"
    return data[: max_bytes - len("…".encode())].decode(errors="ignore") + "…"


def _tracebacks(error: BaseException) -> Iterator[TracebackType]:
    current: TracebackType | None = _TRACEBACK(error)
    while current is not None:
        yield current
        current = current.tb_next


def _frames(error: BaseException) -> tuple[list[_Frame], int]:
    """The tenant's frames, outermost first, and how many were left out in the middle."""
    first: list[TracebackType] = []
    last: collections.deque[TracebackType] = collections.deque(maxlen=_FRAMES_MAX // 2)
    count = 0
    for entry in _tracebacks(error):
        if entry.tb_frame.f_code.co_filename.startswith(FILENAME_PREFIX):
            count += 1
            if len(first) < _FRAMES_MAX // 2:
                first.append(entry)
            else:
                last.append(entry)
    return [_frame(entry) for entry in (*first, *last)], count - len(first) - len(last)


def _frame(entry: TracebackType) -> _Frame:
    code = entry.tb_frame.f_code
    nowhere = (None, None, None, None)
    # One of the positions, not a list of all: a body can have a million.
    positions = itertools.islice(code.co_positions(), entry.tb_lasti // 2, None) if entry.tb_lasti >= 0 else iter(())
    line, end_line, start, end = next(positions, nowhere)
    columns = (start, end) if start is not None and end is not None and line == end_line else None
    function = code.co_filename[len(FILENAME_PREFIX) : -1]
    return _Frame(function, entry.tb_lineno or 0, code.co_name, columns)


def _is_the_tenants(error: BaseException) -> bool:
    """Whether an earlier exception is one to tell: it came through tenant code, or was only made and never raised."""
    entries = _tracebacks(error)
    return _TRACEBACK(error) is None or any(
        entry.tb_frame.f_code.co_filename.startswith(FILENAME_PREFIX) for entry in entries
    )


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The exception and those it came from, oldest first, each with the text that joins it to the one before.

    What was raised and handled among our own frames is no part of the story.
    """
    chain: list[tuple[BaseException, str]] = [(error, "")]
    """The text beside each joins it to the one that follows in the list, which is the earlier one."""
    seen = {id(error)}
    current = error
    joint = ""
    while len(chain) < _CHAIN_MAX and len(seen) < _CHAIN_LOOKED_AT_MAX:
        cause = _CAUSE_OF(current)
        earlier = cause if cause is not None else None if _SUPPRESSED(current) else _CONTEXT_OF(current)
        if earlier is None or id(earlier) in seen:
            break
        joint = joint or (_CAUSE if cause is not None else _CONTEXT)
        seen.add(id(earlier))
        current = earlier
        if _is_the_tenants(earlier):
            chain[-1] = (chain[-1][0], joint)
            chain.append((earlier, ""))
            joint = ""
    return reversed(chain)


def _told(error: BaseException, sources: Mapping[str, str]) -> Iterator[str]:
    frames, skipped = _frames(error)
    if frames:
        yield "Traceback (most recent call last):\n"
    for number, frame in enumerate(frames):
        if skipped and number == _FRAMES_MAX // 2:
            yield f"  … {skipped} more calls …\n"
        within = "" if frame.within == frame.function else f", in {frame.within}"
        yield f'  Function "{frame.function}", line {frame.line}{within}\n'
        yield from _source_lines(frame, sources)
    yield from last_lines(error)


def last_lines(error: BaseException) -> list[str]:
    """What the traceback of an exception ends with: its type and text, and its notes."""
    # Without the place, which `str` adds: that line is in the text of the frames or nowhere the reader could look.
    text = safe_text(_SYNTAX_MESSAGE(error) if issubclass(type(error), SyntaxError) else error)
    return [f"{type_name(error)}: {text}\n" if text else f"{type_name(error)}\n", *_notes(error)]


def _notes(error: BaseException) -> Iterator[str]:
    try:
        # Not `getattr`, which would ask a tenant's `__getattr__`.
        notes = object.__getattribute__(error, "__notes__")
    except AttributeError:
        return
    if type(notes) is list:
        for note in notes[:_NOTES_MAX]:
            yield f"{safe_text(note) if issubclass(type(note), str) else safe_repr(note)}\n"


@functools.lru_cache(maxsize=1)
def _lines(source: str) -> list[str]:
    # Frames follow each other in one body; a body of a megabyte is not taken apart for each of them.
    return source.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _source_lines(frame: _Frame, sources: Mapping[str, str]) -> Iterator[str]:
    source = sources.get(frame.function)
    if source is None:
        return
    lines = _lines(source)
    if not 0 < frame.line <= len(lines):
        return
    line = lines[frame.line - 1]
    shown = line.strip()
    if not shown:
        return
    yield f"    {shown[:_LINE_MAX_CHARACTERS]}\n"
    if frame.columns is None or len(line) > _LINE_MAX_CHARACTERS or "\t" in shown or not line.isascii():
        return
    start, end = frame.columns
    indent = len(line) - len(line.lstrip())
    if end - start < len(shown):
        yield f"    {' ' * (start - indent)}{'^' * (end - start)}\n"
