"""What went wrong in tenant code, told in the tenant's own lines.

Everything about an exception is tenant input: its `__str__` can raise, return no string, or return a gigabyte, and its
chain of causes can be a circle. Nothing of ours (paths, frames, lines) is in the text.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

from sandbox.python.compiler import FILENAME_PREFIX

MESSAGE_MAX_BYTES: Final = 8 * 1024
TRACEBACK_MAX_BYTES: Final = 32 * 1024
_FRAMES_MAX: Final = 40
_CHAIN_MAX: Final = 10
_LINE_MAX_CHARACTERS: Final = 300

# Through the type, because an object of a tenant's class may have attributes of these names.
_TRACEBACK: Final[Any] = vars(BaseException)["__traceback__"].__get__
_CAUSE_OF: Final[Any] = vars(BaseException)["__cause__"].__get__
_CONTEXT_OF: Final[Any] = vars(BaseException)["__context__"].__get__
_SUPPRESSED: Final[Any] = vars(BaseException)["__suppress_context__"].__get__

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
    frames = _frames(error)
    innermost = frames[-1] if frames else _Frame("", 0, "", None)
    parts: list[str] = []
    for chained, joint in _chain(error):
        parts.append(joint)
        parts.extend(_told(chained, sources))
    return Description(
        type=_capped(type(error).__name__, MESSAGE_MAX_BYTES),
        message=safe_text(error),
        function=innermost.function,
        line=innermost.line,
        traceback=_capped("".join(parts), TRACEBACK_MAX_BYTES, keep_end=True),
    )


def safe_text(value: object, *, max_bytes: int = MESSAGE_MAX_BYTES) -> str:
    """`str(value)`, at most that long, whatever `__str__` does; always something that can be written as UTF-8."""
    try:
        text = str.__str__(value if isinstance(value, str) else str(value))
    except Exception as error:  # noqa: BLE001 - a tenant's `__str__` can raise anything
        return f"<{_capped(type(value).__name__, 200)} whose text cannot be made: {type(error).__name__}>"
    return _capped(text, max_bytes)


def safe_repr(value: object, *, max_bytes: int = MESSAGE_MAX_BYTES) -> str:
    """`repr(value)`, at most that long, whatever `__repr__` does."""
    try:
        text = str.__str__(repr(value))
    except Exception as error:  # noqa: BLE001 - a tenant's `__repr__` can raise anything
        return f"<{_capped(type(value).__name__, 200)} whose text cannot be made: {type(error).__name__}>"
    return _capped(text, max_bytes)


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


def _frames(error: BaseException) -> list[_Frame]:
    frames = []
    for entry in _tracebacks(error):
        code = entry.tb_frame.f_code
        if not code.co_filename.startswith(FILENAME_PREFIX):
            continue
        function = code.co_filename[len(FILENAME_PREFIX) : -1]
        positions = list(code.co_positions())[entry.tb_lasti // 2] if entry.tb_lasti >= 0 else (None,) * 4
        line, end_line, start, end = positions
        columns = (start, end) if start is not None and end is not None and line == end_line else None
        frames.append(_Frame(function, entry.tb_lineno or 0, code.co_name, columns))
    return frames


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str]]:
    """The exception and those it came from, oldest first, each with the text that joins it to the one before."""
    chain: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(chain) < _CHAIN_MAX:
        seen.add(id(current))
        cause = _CAUSE_OF(current)
        context = _CONTEXT_OF(current)
        suppressed = _SUPPRESSED(current)
        earlier = cause if cause is not None else None if suppressed else context
        joint = _CAUSE if cause is not None else _CONTEXT
        chain.append((current, joint if earlier is not None and id(earlier) not in seen else ""))
        current = earlier
    if chain:
        last, _ = chain[-1]
        chain[-1] = (last, "")
    return reversed(chain)


def _told(error: BaseException, sources: Mapping[str, str]) -> Iterator[str]:
    frames = _frames(error)
    if frames:
        yield "Traceback (most recent call last):\n"
    skipped = len(frames) - _FRAMES_MAX
    for number, frame in enumerate(frames):
        if skipped > 0 and _FRAMES_MAX // 2 <= number < _FRAMES_MAX // 2 + skipped:
            if number == _FRAMES_MAX // 2:
                yield f"  … {skipped} more calls …\n"
            continue
        within = "" if frame.within == frame.function else f", in {frame.within}"
        yield f'  Function "{frame.function}", line {frame.line}{within}\n'
        yield from _source_lines(frame, sources)
    if isinstance(error, SyntaxError):
        yield f"{type(error).__name__}: {safe_text(error.msg)}\n"
    else:
        text = safe_text(error)
        yield f"{_capped(type(error).__name__, 200)}: {text}\n" if text else f"{type(error).__name__}\n"


def _source_lines(frame: _Frame, sources: Mapping[str, str]) -> Iterator[str]:
    source = sources.get(frame.function)
    if source is None:
        return
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
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
