"""YAML as it is read here: the core schema of YAML 1.2, and nothing that surprises or grows.

`no` is a word, `2024-01-01` is text, a key is there once, a tag builds nothing, `<<` is a key like any other.
The reader builds its values straight from the parser's events, so that depth, aliases and duplicates are refused
while they are read: composing a graph first would recurse once a level, and a dozen lines can stand for a billion.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from service.domain.values import DEPTH_MAX, INT_MAX, INT_MIN, VALUES_MAX, shown
from service.domain.yaml_writer import dump_yaml

__all__ = ["YamlError", "dump_yaml", "load_yaml"]

ALIASED_CHARS_MAX: Final = 16 * 2**20
"""Text that aliases may add to a document. Without aliases it is bounded by its own length, which the caller bounds."""
DIRECTIVES_MAX: Final = 16
"""libyaml compares every `%TAG` with all before it: a megabyte of them would take it ten seconds."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DIRECTIVE: Final = re.compile("(?:^|[\n\r\x85\u2028\u2029])%TAG")
_INT: Final = re.compile(r"(?P<decimal>[-+]?[0-9]+)|0o(?P<octal>[0-7]+)|0x(?P<hex>[0-9a-fA-F]+)", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_INFINITE: Final = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DIGITS_MAX: Final = 22  # of 64 bits in octal; over much longer ones int() takes quadratic time

_STANDARD: Final = "tag:yaml.org,2002:"
_SCALAR_TAGS: Final[dict[str, tuple[type, ...]]] = {
    f"{_STANDARD}null": (type(None),),
    f"{_STANDARD}bool": (bool,),
    f"{_STANDARD}int": (int,),
    f"{_STANDARD}float": (float, int),
}
_NO_KEY: Final = object()


class YamlError(ValueError):
    """The text is no YAML that is read here; line and column are 1-based."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"{message} (line {line}, column {column})")
        self.message = message
        self.line = line
        self.column = column


def load_yaml(text: bytes) -> object:
    """The one document in the text, which must be UTF-8. Values that aliases share are shared, so do not change them.

    Raises: YamlError, for whatever is wrong with it.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(_decode(text), Loader=_LOADER):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        raise _located(error.problem or "is no YAML", error.problem_mark or error.context_mark) from None
    except yaml.YAMLError as error:
        raise YamlError(shown(str(error)), 1, 1) from None
    return builder.document


def _decode(text: bytes) -> str:
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _at(text[: error.start].decode("utf-8", "replace"), "the text is not in UTF-8") from None
    forbidden = _FORBIDDEN.search(decoded)
    if forbidden is not None:
        message = f"the character U+{ord(forbidden[0]):04X} is not allowed; write it as an escape in double quotes"
        raise _at(decoded[: forbidden.start()], message)
    if len(_DIRECTIVE.findall(decoded)) > DIRECTIVES_MAX:
        raise YamlError("too many %TAG directives", 1, 1)
    return decoded


def _at(before: str, message: str) -> YamlError:
    return YamlError(message, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _located(message: str, mark: Any) -> YamlError:
    return YamlError(message, mark.line + 1, mark.column + 1) if mark is not None else YamlError(message, 1, 1)


@dataclass(frozen=True, slots=True)
class _Anchored:
    """A value that aliases can repeat, and what each repetition adds to the document."""

    value: Any
    height: int
    """Containers in one another, itself included."""
    values: int
    size: int


@dataclass(slots=True)
class _Open:
    """A container whose end has not been read."""

    container: Any
    anchor: str | None
    values_before: int
    size_before: int
    height: int = 1
    key: Any = _NO_KEY


@dataclass(slots=True)
class _Builder:
    """Makes values of events, one pass, no recursion."""

    document: object = None
    documents: int = 0
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Anchored | None] = field(default_factory=dict)
    """None while the anchored container is still open."""
    values: int = 0
    size: int = 0
    aliased_size: int = 0

    def take(self, event: Any) -> None:
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def take_document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise _located("there is more than one document", event.start_mark)

    def take_scalar(self, event: Any) -> None:
        value = _scalar(event)
        self.size += len(event.value)
        self._count(1, event.start_mark)
        self._place(value, 0, event.start_mark)
        if event.anchor is not None:
            self.anchors[event.anchor] = _Anchored(value, height=0, values=1, size=len(event.value))

    def take_start(self, event: Any) -> None:
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if event.tag not in {None, "!", f"{_STANDARD}{'map' if is_mapping else 'seq'}"}:
            raise _located(f"the tag {shown(event.tag)!r} is not allowed", event.start_mark)
        if len(self.open) >= DEPTH_MAX:
            raise _too_deep(event.start_mark)
        self._refuse_as_key(event.start_mark)
        self._count(1, event.start_mark)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.open.append(_Open({} if is_mapping else [], event.anchor, self.values - 1, self.size))

    def take_end(self, event: Any) -> None:
        closed = self.open.pop()
        self._place(closed.container, closed.height, event.start_mark)
        if closed.anchor is not None:
            values, size = self.values - closed.values_before, self.size - closed.size_before
            self.anchors[closed.anchor] = _Anchored(closed.container, closed.height, values, size)

    def take_alias(self, event: Any) -> None:
        name = event.anchor
        if name not in self.anchors:
            raise _located(f"nothing is anchored as {shown(name)!r}", event.start_mark)
        anchored = self.anchors[name]
        if anchored is None:
            raise _located(f"the alias {shown(name)!r} stands inside of what it repeats", event.start_mark)
        self._count(anchored.values, event.start_mark)
        self.size += anchored.size
        self.aliased_size += anchored.size
        if self.aliased_size > ALIASED_CHARS_MAX:
            raise _located(f"the aliases expand to more than {ALIASED_CHARS_MAX} characters", event.start_mark)
        if len(self.open) + anchored.height > DEPTH_MAX:
            raise _too_deep(event.start_mark)
        if anchored.height:
            self._refuse_as_key(event.start_mark)
        self._place(anchored.value, anchored.height, event.start_mark)

    def _count(self, values: int, mark: Any) -> None:
        self.values += values
        if self.values > VALUES_MAX:
            raise _located(f"more than {VALUES_MAX} names and values", mark)

    def _refuse_as_key(self, mark: Any) -> None:
        if self.open and isinstance(self.open[-1].container, dict) and self.open[-1].key is _NO_KEY:
            raise _located("a key must be a string", mark)

    def _place(self, value: Any, height: int, mark: Any) -> None:
        if not self.open:
            self.document = value
            return
        parent = self.open[-1]
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.container, list):
            parent.container.append(value)
        elif parent.key is not _NO_KEY:
            parent.container[parent.key] = value
            parent.key = _NO_KEY
        elif not isinstance(value, str):
            raise _located("a key must be a string: put it in quotes", mark)
        elif value in parent.container:
            raise _located(f"the key {shown(value)!r} is there twice", mark)
        else:
            parent.key = value


_HANDLERS: Final[dict[type, Callable[[_Builder, Any], None]]] = {
    yaml.ScalarEvent: _Builder.take_scalar,
    yaml.MappingStartEvent: _Builder.take_start,
    yaml.SequenceStartEvent: _Builder.take_start,
    yaml.MappingEndEvent: _Builder.take_end,
    yaml.SequenceEndEvent: _Builder.take_end,
    yaml.AliasEvent: _Builder.take_alias,
    yaml.DocumentStartEvent: _Builder.take_document,
}


def _too_deep(mark: Any) -> YamlError:
    return _located(f"more than {DEPTH_MAX} mappings and sequences in one another", mark)


def _scalar(event: Any) -> str | int | float | bool | None:
    tag, text = event.tag, str(event.value)
    is_plain = bool(event.implicit[0])
    if tag in {"!", f"{_STANDARD}str"} or (tag is None and not is_plain):
        return text
    if tag is None:
        return _plain(text, event.start_mark)
    types = _SCALAR_TAGS.get(tag)
    if types is None:
        raise _located(f"the tag {shown(tag)!r} is not allowed", event.start_mark)
    value = _plain(text, event.start_mark)
    if type(value) not in types:
        raise _located(f"{shown(text)!r} is not of the type that its tag says", event.start_mark)
    return value


def _plain(text: str, mark: Any) -> str | int | float | bool | None:
    """What an unquoted scalar is by the core schema, YAML 1.2.2, §10.3.2."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    number = _INT.fullmatch(text)
    if number is not None:
        return _integer(number, mark)
    if _FLOAT.fullmatch(text):
        return float(text)
    infinite = _INFINITE.fullmatch(text)
    if infinite is not None:  # JSON has neither; validation says where they stand
        return float(f"{infinite[1] or ''}{infinite[2] or infinite[3]}")
    return text


def _integer(number: re.Match[str], mark: Any) -> int:
    base = {"decimal": 10, "octal": 8, "hex": 16}[number.lastgroup or ""]
    digits = number[number.lastgroup or ""]
    significant = digits.lstrip("+-0")
    value = int(significant or "0", base) if len(significant) <= _DIGITS_MAX else INT_MAX + 1
    if digits.startswith("-"):
        value = -value
    if not INT_MIN <= value <= INT_MAX:
        raise _located("an integer of more than 64 bits", mark)
    return value
