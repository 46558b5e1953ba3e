"""What was compiled is used again only where nothing has changed."""

import pytest

from sandbox.python import bundle
from sandbox.python.compiler import BODY, compile_body
from tests.unit.bodies import make_namespace

DEFINITION = b'{"functions": {"hello": {"code": "return 1"}}}'


def packed() -> bytes:
    return bundle.pack(DEFINITION, {"hello": compile_body("hello", "return 1", [])}, modules=["json", "re"])


def test_a_bundle_gives_back_the_code() -> None:
    codes = bundle.unpack(packed(), DEFINITION, modules=["re", "json"])
    assert codes is not None
    namespace = make_namespace()
    exec(codes["hello"], namespace)
    with pytest.raises(StopIteration) as returned:
        namespace[BODY]({}).send(None)
    assert returned.value.value == 1


def test_a_bundle_of_no_functions_is_a_bundle() -> None:
    assert bundle.unpack(bundle.pack(DEFINITION, {}), DEFINITION) == {}


@pytest.mark.parametrize(
    ("definition", "modules"), [(DEFINITION + b" ", ["json", "re"]), (b"", ["json", "re"]), (DEFINITION, ["json"])]
)
def test_a_bundle_of_something_else_is_ignored(definition: bytes, modules: list[str]) -> None:
    assert bundle.unpack(packed(), definition, modules=modules) is None


@pytest.mark.parametrize(
    "broken", [b"", b"x", b"x" * 1000, packed()[:-1], packed()[:32], packed() + b"x", packed()[1:]]
)
def test_a_broken_bundle_is_ignored(broken: bytes) -> None:
    assert bundle.unpack(broken, DEFINITION, modules=["json", "re"]) is None


@pytest.mark.parametrize("position", [0, 31, 32, 60, -1])
def test_a_bundle_with_one_bit_flipped_is_ignored(position: int) -> None:
    data = bytearray(packed())
    data[position] ^= 1
    assert bundle.unpack(bytes(data), DEFINITION, modules=["json", "re"]) is None


def test_a_bundle_of_another_policy_or_interpreter_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    made = packed()
    monkeypatch.setattr(bundle, "FINGERPRINT", b"\0" * 32)
    assert bundle.unpack(made, DEFINITION, modules=["json", "re"]) is None
