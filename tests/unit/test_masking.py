"""Masking: no form of a value survives, nothing else is touched, and no text holds the service up."""

import base64
import html
import json
import urllib.parse
from collections.abc import Callable

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import protocol
from service.domain.masking import EFFORT, Mask

VALUE = "p@ss/wörd \"two'\\\n+&<x>=%41?"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcw\nq7xkq3Jr0Vb5oXz2m1n8\n-----END"
MAIL = "0123456789abcdefghij" * 6

WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "without blanks around": str.strip,
    "small, as in the name of a host": str.lower,
    "repr": repr,
    "repr of something longer": lambda value: repr(f"\"'{value}"),
    "ascii": ascii,
    "repr of bytes": lambda value: repr(value.encode()),
    "json": json.dumps,
    "json with every character": lambda value: json.dumps(value, ensure_ascii=False),
    "json as JavaScript may write it": lambda value: json.dumps(value).replace("/", "\\/"),
    "json in json": lambda value: json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False),
    "html": html.escape,
    "hex": lambda value: value.encode().hex(),
    "large hex": lambda value: value.encode().hex().upper(),
    "percent": urllib.parse.quote,
    "percent, a component": lambda value: urllib.parse.quote(value, safe=""),
    "percent, a form": lambda value: urllib.parse.urlencode({"key": value}),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64, one byte later": lambda value: base64.b64encode(b"x" + value.encode()).decode(),
    "base64, two bytes later": lambda value: base64.b64encode(b"u:" + value.encode() + b"!").decode(),
    "base64 of URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64 of mail": lambda value: base64.encodebytes(value.encode()).decode(),
}


def _entry(message: str, **fields: object) -> bytes:
    return orjson.dumps({"time": "2025-01-01T12:00:00.000Z", "level": "info", "message": message, **fields})


def _visible(written: str, masked: str) -> bool:
    """Whether more than what an encoding shares with its surroundings can be read."""
    return any(written[place : place + 12] in masked for place in range(len(written) - 12))


@pytest.mark.parametrize("value", [VALUE, "plain-token-0123456789", "naïve🐝naïve🐝", MAIL, "a\tb\x00c\x7fd\u2028efgh"])
@pytest.mark.parametrize("way", WAYS)
def test_a_value_is_masked_however_it_is_written(way: str, value: str) -> None:
    written = WAYS[way](value)
    mask = Mask([value])
    masked = mask.text(f"before {written} after")
    assert "***" in masked
    assert (masked.startswith("before "), masked.endswith(" after")) == (True, True)
    assert not _visible(written.replace("key=", ""), masked)
    (entry,), _ = mask.entries([_entry(f"before {written} after", field=[{written: written}])])
    assert not _visible(written.replace("key=", ""), str(orjson.loads(entry)))
    assert orjson.loads(entry)["message"].startswith("before ")


def test_what_is_too_short_is_not_looked_for() -> None:
    assert not Mask(["", "1234567", "  1234567\n"])
    assert Mask(["12345678"]).text("a12345678b") == "a***b"


def test_each_line_of_a_value_is_masked() -> None:
    mask = Mask([KEY])
    for line in KEY.splitlines()[:3]:
        assert mask.text(f"[{line}]") == "[***]"
    assert mask.text(KEY.replace("\n", "\r\n    ")).count("\n") <= 3
    assert "MIIE" not in mask.text(KEY.replace("\n", "\r\n    "))


def test_a_value_that_was_cut_is_masked_as_far_as_it_goes() -> None:
    mask = Mask(["abcdefghijklmnopqrstuvwxyz"])
    assert mask.text("x=abcdefghijklmnopqrs…") == "x=***…"
    assert mask.text("abcdefghijklmno…") == "abcdefghijklmno…"


def test_the_longest_of_several_is_masked_and_overlapping_ones_too() -> None:
    mask = Mask(["postgres://user:hunter2hunter2@db/x", "hunter2hunter2", "db/x?ssl=true"])
    assert mask.text("to postgres://user:hunter2hunter2@db/x now") == "to *** now"
    assert mask.text("only hunter2hunter2 now") == "only *** now"
    assert mask.text("postgres://user:hunter2hunter2@db/x?ssl=true") == "***"


def test_names_numbers_and_nested_values_of_an_entry_are_masked() -> None:
    mask = Mask(["12345678", "secret-name"])
    (entry,), _ = mask.entries([_entry("m", **{"secret-name": 1, "pin": 123456789.5, "deep": [{"x": [-12345678]}]})])
    assert orjson.loads(entry) == {
        "time": "2025-01-01T12:00:00.000Z", "level": "info", "message": "m",
        "***": 1, "pin": "***", "deep": [{"x": ["***"]}],
    }  # fmt: skip


def test_escapes_that_nobody_needs_hide_nothing() -> None:
    mask = Mask(["secret-value"])
    spelt = "".join(f"\\u{ord(character):04x}" for character in "secret-value")
    entry = b'{"time":"t","level":"info","message":"%b","k":12345678901234567890123}' % spelt.encode()
    assert mask.entries([entry])[0] == [b'{"time":"t","level":"info","message":"***","k":12345678901234567890123}']


@pytest.mark.parametrize(
    ("value", "entry"),
    [
        ("critical", b'{"time":"t","level":"critical","message":"m"}'),
        ('{"user":"x"}', b'{"time":"t","level":"info","message":"m","f":{"user":"x"}}'),
        ("nothing-new", b'{"time":"nothing-new","level":"info","message":"m","f":1e999,"g":"\\u0041"}'),
    ],
)
def test_an_entry_whose_parts_cannot_be_masked_loses_its_content(value: str, entry: bytes) -> None:
    (masked,), _ = Mask([value]).entries([entry])
    protocol.check_log_entry(masked)
    assert value not in masked.decode().replace('"level":"critical"', "")
    assert orjson.loads(masked)["message"] == "***"


def test_nothing_is_changed_where_there_is_nothing_to_hide() -> None:
    entries = [_entry('an ordinary \\ line\nwith "quotes" 🐝', number=1.5e300, nested={"a": [None, True]})]
    masked, effort = Mask([VALUE]).entries(entries)
    assert masked[0] is entries[0]
    assert effort == 0


def test_json_stays_json() -> None:
    mask = Mask(["12345678", '["a","b"]'])
    assert mask.json(b'{"message":"x 12345678","n":12345678}') == b'{"message":"x ***","n":"***"}'
    assert mask.json(b'{"message":["a","b"]}') == b'"***"'


def test_two_masks_hide_what_either_hides() -> None:
    both = Mask(["first-value"]) | Mask(["second-value"])
    assert both.text("first-value second-value third-value") == "*** *** third-value"


def test_a_mask_shows_nothing_of_itself() -> None:
    assert "secret" not in repr(Mask(["secret-value"]))


@given(value=st.text(min_size=8, max_size=80), before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_value_can_be_read_in_any_surroundings(value: str, before: str, after: str) -> None:
    core = value.strip()
    if len(core) < 8 or core in before + after or not core.isprintable() or set(core) <= {"*"}:
        return
    mask = Mask([value])
    text = f"{before}{value}{after}"
    assert core not in mask.text(text)
    entry = msgspec.json.encode({"time": "t", "level": "info", "message": text, "k": {text: [text]}})
    (masked,), _ = mask.entries([entry])
    protocol.check_log_entry(masked)
    assert core not in str(msgspec.json.decode(masked))


@given(st.lists(st.text("ab", min_size=8, max_size=20), max_size=4), st.text("abc", max_size=200))
def test_what_is_found_is_what_a_search_from_every_place_finds(values: list[str], text: str) -> None:
    shown = Mask(values).text(text)
    for value in values:
        assert value not in shown
    if not any(value[:16] in text for value in values):
        assert shown == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (["a" * 65_000 + "b"], "a" * 1_000_000),
        (["a" * 65_000 + "b"], ("a" * 64_000 + "c") * 15),
        (["a" * 15 + "b"], ("a" * 14 + "x") * 66_000),
        ([f"{'a' * 8}{chr(98 + number)}" for number in range(20)], ("a" * 8 + "z") * 110_000),
        (["ab" * 400], "ab" * 500_000),
    ],
    ids=["one long run", "nearly the value", "nearly its beginning", "many with one beginning", "periodic"],
)
def test_the_effort_for_a_hostile_text_is_bounded(values: list[str], text: str) -> None:
    mask = Mask(values)
    entries, effort = mask.entries([_entry(text)])
    assert effort < EFFORT * 1.2
    assert len(entries[0]) < len(text)
