"""YAML in and out: exact round trips, the core schema, no surprises, and no document that costs more than its size."""

import json
import time
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st

from service.domain import yaml as module
from service.domain.values import DEPTH_MAX, VALUES_MAX
from service.domain.yaml import YamlError, dump_yaml, load_yaml

LOADERS = [pytest.param(pyyaml.CSafeLoader, id="libyaml"), pytest.param(pyyaml.SafeLoader, id="pure")]

# Whatever means something to YAML, and every kind of blank and line break.
_syntax = st.text(
    alphabet=" \t\n\r\x00\x07\x1b\x7f\x85\xa0\u2028\u2029\ufeff\ufffe😀é\"'\\:#-?|>%@&*!{}[],~=<.01aenxo_", max_size=12
)
_traps = st.sampled_from([
    "", "yes", "No", "on", "OFF", "y", "n", "null", "~", "True", "1", "-0", "+1", ".5", "1.", "1e3", "0x1f", "0o7",
    "017", "1_000", "12:30", "2024-01-01", ".inf", ".nan", "<<", "=", "- a", "? b", "a: b", "a #b", "# c", "%TAG",
    "---", "...", "---\na\n", "a\n...\nb", "a\n---\nb", " leading\nx\n", "\tleading\nx", "\nfirst", "a\n \n",
    "a\n\n", "a\n  ", "a \nb ", "x" * 1500, "x" * 1500 + "\ny", "\n" * 3, "  \n  ", "\r\n", "a\r\nb",
    "\ufeffa\nb", "a\u2028b\nc", "a\x85b\nc",
])  # fmt: skip
_text = _syntax | _traps | st.text(max_size=20)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text
)
documents = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4), max_leaves=25
)


def nested(document: Any, kinds: list[bool]) -> Any:
    for is_list in kinds:
        document = [document, "a\n b"] if is_list else {"a\nb": "\n", "k": document, "z": " a\n"}
    return document


@pytest.mark.parametrize("loader", LOADERS)
@given(documents, st.lists(st.booleans(), max_size=20))
def test_what_is_written_is_read_back_exactly(loader: type, document: Any, kinds: list[bool]) -> None:
    document = nested(document, kinds)
    module._LOADER, usual = loader, module._LOADER
    try:
        read = load_yaml(dump_yaml(document))
    finally:
        module._LOADER = usual
    assert json.dumps(read) == json.dumps(document)  # 1 is not 1.0 here, and the order counts


@given(documents)
def test_readers_of_yaml_1_1_read_the_same(document: Any) -> None:
    read = pyyaml.load(dump_yaml(document), Loader=pyyaml.CSafeLoader)
    assert json.dumps(read) == json.dumps(document)


def test_a_workspace_is_written_for_people() -> None:
    document = {
        "description": "Greets people: politely.",
        "functions": {
            "hello": {
                "parameters": {"name": {"type": "string", "enum": ["no", "Ada", 1, 1.5]}, "n": {}},
                "timeout": 5000,
                "code": 'if name:\n    x = """a\n\n  b"""\nreturn "Hello " + name\n',
            },
            "other": {"code": "return 'é😀'", "description": "Plain words"},
            "odd": {"code": "\n  indented\nlast  \n\n"},
            "list": {"parameters": {"a": {"anyOf": [{"type": "string"}, {"type": ["null", "integer"]}]}}, "code": ""},
        },
    }
    assert dump_yaml(document).decode() == (
        'description: "Greets people: politely."\n'
        "functions:\n"
        "  hello:\n"
        "    parameters:\n"
        "      name:\n"
        "        type: string\n"
        '        enum: ["no", Ada, 1, 1.5]\n'
        '      "n": {}\n'
        "    timeout: 5000\n"
        "    code: |\n"
        "      if name:\n"
        '          x = """a\n'
        "\n"
        '        b"""\n'
        '      return "Hello " + name\n'
        "  other:\n"
        "    code: \"return 'é😀'\"\n"
        "    description: Plain words\n"
        "  odd:\n"
        "    code: |2+\n"
        "\n"
        "        indented\n"
        "      last  \n"
        "\n"
        "  list:\n"
        "    parameters:\n"
        "      a:\n"
        "        anyOf:\n"
        "          - type: string\n"
        '          - type: ["null", integer]\n'
        '    code: ""\n'
    )


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("-7", -7),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2024-01-01", "2024-01-01"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.5.2", "1.5.2"),
        ("18446744073709551615", 2**64 - 1),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
        ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
        ("- &a x\n- &a y\n- *a", ["x", "y", "y"]),
        ("&k a: *k", {"a": "a"}),
        ("k: !!str 1", {"k": "1"}),
        ("k: ! 1", {"k": "1"}),
        ("k: !!float 1", {"k": 1}),
        ("!!map {a: !!seq [!!int 1, !!null ~, !!bool true]}", {"a": [1, None, True]}),
        ("{a, b: 1}", {"a": None, "b": 1}),
        ("%YAML 1.2\n---\na\n...\n", "a"),
        ("a: |\n  x\n    y\n", {"a": "x\n  y\n"}),
        ("a: >\n  x\n  y\n", {"a": "x y\n"}),
        ('a: "\\x41\\u00e9\\t"', {"a": "Aé\t"}),
        ("\ufeffa: 1", {"a": 1}),
        ("a: x\r\nb: y\r\n", {"a": "x", "b": "y"}),
    ],
)
def test_the_core_schema_is_read(monkeypatch: pytest.MonkeyPatch, loader: type, text: str, value: object) -> None:
    monkeypatch.setattr(module, "_LOADER", loader)
    read = load_yaml(text.encode())
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        (b"a: 1\nb: 2\na: 3", "the key 'a' is there twice", 3, 1),
        (b"{a: 1, a: 2}", "the key 'a' is there twice", 1, 8),
        (b"a:\n  1: x", "a key must be a string: put it in quotes", 2, 3),
        (b"true: x", "a key must be a string: put it in quotes", 1, 1),
        (b"? ~\n: x", "a key must be a string: put it in quotes", 1, 3),
        (b"? [a]\n: b", "a key must be a string", 1, 3),
        (b"a: &x [1]\n*x : 2", "a key must be a string", 2, 1),
        (b"a: !!python/object/apply:os.system [ls]", "the tag 'tag:yaml.org,2002:python/object/apply:os.s", 1, 4),
        (b"a: !!python/name:os.system", "the tag ", 1, 4),
        (b"a: !mine 1", "the tag '!mine' is not allowed", 1, 4),
        (b"a: !!set {x}", "the tag 'tag:yaml.org,2002:set' is not allowed", 1, 4),
        (b"a: !!int x", "'x' is not of the type that its tag says", 1, 4),
        (b"a: !!timestamp 2024-01-01", "the tag 'tag:yaml.org,2002:timestamp' is not allowed", 1, 4),
        (b"a: 1\n---\nb: 2", "there is more than one document", 2, 1),
        (b"a: *x", "nothing is anchored as 'x'", 1, 4),
        (b"a: &a [*a]", "the alias 'a' stands inside of what it repeats", 1, 8),
        (b"&a {b: {c: *a}}", "the alias 'a' stands inside of what it repeats", 1, 12),
        (b"a: 18446744073709551616", "an integer of more than 64 bits", 1, 4),
        (b"a: -9223372036854775809", "an integer of more than 64 bits", 1, 4),
        (b"a: x\nb: \xff", "the text is not in UTF-8", 2, 4),
        (b"\xff\xfea\x00", "the text is not in UTF-8", 1, 1),
        (b"a: \xed\xa0\x80", "the text is not in UTF-8", 1, 4),
        (b"a: x\n\x00", "the character U+0000 is not allowed", 2, 1),
        (b"a: \x1b[0m", "the character U+001B is not allowed", 1, 4),
        (b"%TAG ! tag:x:\n" * 20 + b"--- a", "too many %TAG directives", 1, 1),
    ],
)
def test_what_is_refused_is_refused_with_its_place(
    monkeypatch: pytest.MonkeyPatch, loader: type, text: bytes, message: str, line: int, column: int
) -> None:
    monkeypatch.setattr(module, "_LOADER", loader)
    with pytest.raises(YamlError) as refused:
        load_yaml(text)
    assert refused.value.message.startswith(message)
    assert (refused.value.line, refused.value.column) == (line, column)


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "a: 'x", "\t- a", "a\n b: c", "@x", "- a\nb", '"\\q"', '"\\ud800"']
)
def test_what_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(YamlError):
        load_yaml(text.encode())


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{letter}: &{letter} [{','.join([f'*{before}'] * 9)}]\n"
    for before, letter in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "- &a0 [x]\n" + "".join(f"- &a{number + 1} [*a{number}]\n" for number in range(100))
MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BOMB, id="billion laughs"),
        pytest.param(CHAIN, id="depth by aliases"),
        pytest.param(f'- &a "{"x" * 500_000}"\n' + "- *a\n" * 1000, id="text by aliases"),
        pytest.param("[" * MEGABYTE, id="flow sequences"),
        pytest.param("{a: " * (MEGABYTE // 4), id="flow mappings"),
        pytest.param("- " * (MEGABYTE // 2), id="block sequences"),
        pytest.param("".join(" " * depth + "a:\n" for depth in range(1400)), id="block mappings"),
        pytest.param("? " * (MEGABYTE // 2), id="complex keys"),
        pytest.param("[" + "0," * (MEGABYTE // 2) + "0]", id="many values"),
        pytest.param("".join(f"k{number}: 0\n" for number in range(MEGABYTE // 10)), id="many keys"),
        pytest.param("&a " * (MEGABYTE // 3), id="anchors of nothing"),
        pytest.param("".join(f"%TAG !{number}! x\n" for number in range(MEGABYTE // 14)), id="directives"),
        pytest.param("---\n" * (MEGABYTE // 4), id="documents"),
        pytest.param("9" * MEGABYTE, id="a long integer"),
        pytest.param("0x" + "f" * MEGABYTE, id="a long hexadecimal integer"),
        pytest.param('"' + "\\x41" * (MEGABYTE // 4), id="an unfinished string"),
    ],
)
def test_no_document_costs_more_than_its_size(text: str) -> None:
    started = time.process_time()
    with pytest.raises(YamlError):
        load_yaml(text.encode())
    # None takes a second; quadratic ones took ten and more, exponential ones for ever.
    assert time.process_time() - started < 5


def test_depth_and_size_are_allowed_up_to_their_limits() -> None:
    assert load_yaml(b"[" * DEPTH_MAX + b"]" * DEPTH_MAX)
    assert load_yaml(b"[" + b"0," * (VALUES_MAX - 1) + b"]")
    with pytest.raises(YamlError):
        load_yaml(b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1))
    with pytest.raises(YamlError):
        load_yaml(b"[" + b"0," * VALUES_MAX + b"]")


_tokens = st.sampled_from([
    "a", "b: ", "- ", "\n", "  ", "    ", "[", "]", "{", "}", ",", "&a ", "*a", "!!str ", "!x ", "! ", "|", "|2\n",
    ">\n", '"', "'", "\\x41", "\\ud800", "? ", ": ", "---\n", "...\n", "%YAML 1.2\n", "%TAG ! x\n", "#c\n", "\t",
    "\r", "<<: ", "~", "1", "0x1", "1.5", "é", "😀", "@", "`", "%",
])  # fmt: skip


@pytest.mark.parametrize("loader", LOADERS)
@given(st.lists(_tokens, max_size=25).map("".join).map(str.encode) | st.binary(max_size=30))
def test_any_bytes_are_a_value_or_a_yaml_error(loader: type, text: bytes) -> None:
    module._LOADER, usual = loader, module._LOADER
    try:
        load_yaml(text)
    except YamlError as refused:
        place = (refused.line, refused.column)
    else:
        place = (1, 1)
    finally:
        module._LOADER = usual
    assert place >= (1, 1)
