"""What Schemathesis is told of formats that are our own: texts that fit them.

Code that raises is answered with 500 `FunctionError`, as it must be; no bodies here do, so that every other 500 counts.
"""

import keyword
from typing import Any, Final

import schemathesis
from hypothesis import strategies as st

from service.domain.names import is_function_name
from service.domain.yaml import dump_yaml

BODIES: Final = (
    "",
    "return 1",
    "return parameters",
    "result = 6 * 7",
    "print('said')\nlog.info('logged')",
    "cache['n'] = cache.get('n', 0) + 1\nreturn cache['n']",
    "class Shape:\n    sides = 4\n\nreturn [Shape().sides for _ in range(3)]",
    "return {'größe': [None, True, 0.5, '\\x00']}",
)
YAML_TYPES: Final = (
    "application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/vnd.yaml", "text/yml"
)  # fmt: skip
"""All that Schemathesis takes for the same; the first of a family that has a serializer is used."""
RULES: Final = ("example.com", "*.example.com", "api.example.com:8443", "192.0.2.0/24", "[2001:db8::/32]:443")

_names = st.one_of(
    st.sampled_from(["f", "hello", "größe"]),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,63}", fullmatch=True).filter(is_function_name),
)
assert not any(is_function_name(name) for name in keyword.kwlist)

schemathesis.openapi.format("expiry", st.sampled_from(["30d", "12h", "2999-01-31T12:00:00Z"]))
schemathesis.openapi.format("header-text", st.from_regex(r"[!-~]([ -~]{0,80}[!-~])?", fullmatch=True))
schemathesis.openapi.format("key-name", st.from_regex(r"fuzz-[a-z0-9]{1,50}", fullmatch=True))


@schemathesis.serializer(*YAML_TYPES)
def write_yaml(_context: Any, value: Any) -> bytes:
    """YAML 1.2, as it is read here: in that of PyYAML, which is 1.1, a text such as 038 stands without quotes."""
    return value if isinstance(value, bytes) else dump_yaml(value)


schemathesis.openapi.format(
    "preferences", st.sampled_from(["respond-async", "return=minimal, respond-async; x", "wait=9"])
)
schemathesis.openapi.format(
    "idempotency-key", st.one_of(st.sampled_from(["again", '"again"']), st.from_regex(r"[!-~]{2,40}", fullmatch=True))
)
schemathesis.openapi.format("callback-url", st.sampled_from(["http://127.0.0.1:9/done", "http://192.0.2.1/"]))
schemathesis.openapi.format("python", st.sampled_from(BODIES))
schemathesis.openapi.format("python-identifier", _names)
schemathesis.openapi.format("entity-tags", st.sampled_from(["*", '"0"', 'W/"0", "1"']))
schemathesis.openapi.format("egress-rule", st.sampled_from(RULES))
