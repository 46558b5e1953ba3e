"""A workspace inside its worker: compiled or loaded once, then one namespace in which its functions call each other."""

import dis
import types
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from sandbox import scope
from sandbox.cache import Cache
from sandbox.expired import RunExpired
from sandbox.fetch import Fetch
from sandbox.parameters import Signature, read_json
from sandbox.protocol import CodeError, Load, Problem
from sandbox.python import bundle
from sandbox.python.builtins import make_builtins
from sandbox.python.compiler import BODY, INLINE, CodeRefused, compile_body
from sandbox.python.modules import Modules
from sandbox.python.output_modules import output_modules
from sandbox.runs import EXPIRED

Body = Callable[..., Coroutine[Any, Any, Any]]

_LOG: Final = scope.Log()
_OUTPUT_MODULES: Final = output_modules(log=_LOG, print_=scope.tenant_print)
_BUILTINS: Final = make_builtins(
    print_=scope.tenant_print,
    importer=Modules(()).importer,
    stop=RunExpired,
    check=scope.check_expired,
    expired=EXPIRED,
)
"""Made before the first fork, because what is made in a worker touches what it is made of: 0.3 MiB would be
no longer shared. A process has one workspace; only `__import__` is its own, and put in when that opens.
"""

_SUSPENDING: Final = frozenset(
    dis.opmap[name] for name in ("GET_AWAITABLE", "BEFORE_ASYNC_WITH", "GET_AITER", "GET_ANEXT") if name in dis.opmap
)


class Refused(Exception):
    """The definition cannot be loaded, with everything that is wrong with it."""

    def __init__(self, errors: list[CodeError], problems: list[Problem]) -> None:
        super().__init__(errors, problems)
        self.errors = errors
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Function:
    """One function, ready to run."""

    name: str
    signature: Signature
    body: Body
    suspends: bool
    """False if the body has no instruction that could wait: it then runs to its end in one step, without a task."""


class Workspace:
    """The namespace of one workspace: functions, `cache`, hooks. Lives as long as its worker."""

    def __init__(self, load: Load, fetch: Fetch | None = None, cache: MutableMapping[Any, Any] | None = None) -> None:
        self.name = load.workspace
        self.sources: dict[str, str] = {}
        self.functions: dict[str, Function] = {}
        self._modules = tuple(load.modules)
        self._namespace: dict[str, Any] = {}
        self._load = load
        self._fetch = fetch
        self._cache = Cache() if cache is None else cache

    def load(self) -> bytes:
        """Make the functions callable. Returns the bundle if one was made, else nothing. Raises: Refused."""
        definition: dict[str, Any] = orjson.loads(self._load.definition)
        functions: Mapping[str, Mapping[str, Any]] = definition["functions"]
        self.sources = {name: function["code"] for name, function in functions.items()}
        signatures = {name: Signature(function.get("parameters", {})) for name, function in functions.items()}
        codes = (
            bundle.unpack(self._load.bundle, self._load.definition, modules=self._modules)
            if self._load.bundle
            else None
        )
        made = b""
        if codes is None:
            codes = self._compile(signatures)
            made = bundle.pack(self._load.definition, codes, modules=self._modules)
        self._open_namespace(definition.get("env", {}))
        for name, code in codes.items():
            body = self._define(code)
            self.functions[name] = Function(name, signatures[name], body, _suspends(body.__code__))
            self._namespace[name] = _sibling(self.functions[name])
        return made

    def inline(self, code: str, parameters_json: bytes) -> tuple[Body, dict[str, Any], list[Any]]:
        """A body that is run once, with the values it is called with. Raises: CodeRefused, ParametersRefused."""
        parameters: dict[str, Any] = read_json(parameters_json)
        signature = Signature({name: {} for name in parameters})
        body = self._define(
            compile_body(INLINE, code, tuple(parameters), modules=self._modules, siblings=self.functions)
        )
        return body, parameters, [parameters[name] for name in signature.named]

    def _compile(self, signatures: Mapping[str, Signature]) -> dict[str, types.CodeType]:
        codes: dict[str, types.CodeType] = {}
        errors: list[CodeError] = []
        problems: list[Problem] = []
        for name, signature in signatures.items():
            try:
                codes[name] = compile_body(
                    name, self.sources[name], tuple(signature.parameters), modules=self._modules, siblings=signatures
                )
            except CodeRefused as refused:
                errors += refused.errors
            for parameter in signature.parameters.values():
                problems += parameter.specification_problems(f"functions.{name}.parameters.{parameter.name}")
        if errors or problems:
            raise Refused(errors, problems)
        return codes

    def _open_namespace(self, env: Mapping[str, str]) -> None:
        _BUILTINS["__import__"] = Modules(self._modules, overrides=_OUTPUT_MODULES).importer
        self._namespace.update(
            __builtins__=_BUILTINS,
            __name__=f"skep:{self.name}",  # the name of no real module: libraries look classes' modules up
            cache=self._cache,
            log=_LOG,
            fetch=self._fetch,
            env=scope.Names("env", env),
            secrets=scope.Names("secrets", self._load.secrets),
            context=scope.Context(self.name),
        )

    def _define(self, code: types.CodeType) -> Body:
        exec(code, self._namespace)  # noqa: S102  # this is the tenant's code, and the reason for the jail
        body: Body = self._namespace.pop(BODY)
        return body


def _sibling(function: Function) -> Callable[..., Awaitable[Any]]:
    """What other functions of the workspace see: called positionally in parameter order or by keyword."""
    body, signature = function.body, function.signature
    names = signature.named if signature.takes_all_by_name else None

    def call(*args: Any, **named: Any) -> Awaitable[Any]:
        # Everything by name and in order: what is bound is what was given.
        if not args and tuple(named) == names:
            return body(named, *named.values())
        parameters, arguments = signature.bind_call(function.name, args, named)
        return body(parameters, *arguments)

    call.__name__ = call.__qualname__ = function.name
    return call


def _suspends(code: types.CodeType) -> bool:
    # Inline caches look like instructions here; that can only make the answer more careful.
    return not _SUSPENDING.isdisjoint(code.co_code[::2])
