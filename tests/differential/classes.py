"""Classes: inheritance, properties, private names, dunder methods, descriptors, dataclasses, enums, named tuples."""

from contextlib import AbstractContextManager

from tests.differential import expressions, statements, texts
from tests.differential.writer import Writer

OPERATORS = ("add", "sub", "and", "or", "xor", "lshift", "rshift", "floordiv", "pow")
SIGNS = {
    "add": "+", "sub": "-", "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
    "floordiv": "//", "pow": "**",
}  # fmt: skip


def class_statement(w: Writer) -> None:
    """A class of the program's own, perhaps derived from an earlier one, and an object of it."""
    name, made = w.fresh("C"), w.fresh("o")
    bases = w.of("class")
    base = w.choices.pick(bases) if bases and w.choices.chance(60) else None
    parts = ["@.x", "@._p", *(base.parts if base else ())]
    cost = base.cost if base else 4
    with w.function(f"class {name}({base.text}):" if base else f"class {name}:", returns=None):
        w.place.in_class = True
        w.place.walrus = False
        w.line(f"shared = {expressions.number(w, 1)}")
        with w.function("def __init__(self, x=0):", returns=None):
            if base:
                w.line("super().__init__(x)" if w.choices.chance(80) else f"{base.text}.__init__(self, x)")
            w.bind("x", "int")
            w.line("self.x = x")
            w.line(f"self._p = {expressions.number(w, 1)}")
            w.line(f"self.__q = {expressions.number(w, 2)}")
        with w.function("def __repr__(self):", returns=None):
            w.line('return f"{type(self).__name__}({self.x}, {self._p}, {self.__q})"')
        for _ in range(1 + w.choices.below(4)):
            part, more = method(w, has_base=base is not None, known=parts)
            cost += more
            parts += [part]
    w.bind(name, "class", cost=cost, parts=tuple(dict.fromkeys(parts)))
    w.cost += cost * w.place.times
    w.line(f"{made} = {name}({expressions.number(w, 1)})")
    w.bind(made, "obj", cost=cost, parts=tuple(dict.fromkeys(parts)))
    w.line(f"print({made}, {', '.join(part.replace('@', made).replace('$', '2') for part in parts[-2:])})")
    if w.choices.chance(30):
        w.line(w.choices.pick(LOOKS).replace("@", made).replace("%", name))


LOOKS = (
    "print(isinstance(@, %), issubclass(%, object), type(@) is %, type(@).__name__)",
    "print(getattr(@, 'x'), getattr(@, 'nope', 3), hasattr(@, '_p'), hasattr(@, '__q'))",
    "setattr(@, 'extra', 5); print(@.extra, sorted(vars(@)))",
    "print(%.__name__, %.__qualname__, @.shared, %.shared)",
    "@.new = 3; del @.new; print(hasattr(@, 'new'))",
    "print(callable(@), bool(@), @ == @, @ != 3)",
    "print(@.missing)",
    "print(sorted(n for n in dir(@) if not n.startswith('_')))",
    "print('{0.x} {0.shared}'.format(@), f'{@!r:>20}')",
    "print(%.__doc__, %.__init__.__name__, @.__repr__())",
    "import copy; print(copy.copy(@), copy.deepcopy([@]))",
    "delattr(@, 'x'); print(@.x)",
    "@._p += 2; @._new = 4; print(@._p, @._new)",
    "print(@ < @)",
    "print(@.__class__.__name__, sorted(@.__dict__))",
    "print(%(1, 2))",
    "print({@: 1}[@], [@].index(@), @ in [@])",
    "print(type(type(@)).__name__, type(@)(4))",
)


def method(w: Writer, *, has_base: bool, known: list[str]) -> tuple[str, int]:
    """One method, and how it is used on an object: `@` is the object, `$` an integer."""
    name = w.fresh("m")
    form = w.choices.below(13)
    if form == 0:
        w.line("@property")
        with _body(w, f"def {name}(self):") as costs:
            w.line(f"return self.x + self.__q + ({expressions.number(w, 1)})")
        w.line(f"@{name}.setter")
        with _body(w, f"def {name}(self, x):"):
            w.line("self._p = self.__q = x")
        return f"@.{name}", costs[0]
    if form == 1:
        operator = w.choices.pick(OPERATORS)
        kind = w.choices.pick(("", "r", "i"))
        with _body(w, f"def __{kind}{operator}__(self, x):") as costs:
            w.line(f"if not isinstance(x, int): return {w.choices.pick(('NotImplemented', '0'))}")
            w.line(f"return self.x + ({expressions.number(w, 1)})")
        sign = SIGNS[operator]
        return (f"($ {sign} @)" if kind == "r" else f"(@ {sign} $)") + ".__int__()", costs[0]
    if form == 2:
        with _body(w, f"def __{w.choices.pick(('getitem', 'call', 'getitem'))}__(self, x):") as costs:
            w.line(f"return self._p + x + ({expressions.number(w, 1)})")
        return "@[$]" if "getitem" in _last_def(w) else "@($)", costs[0]
    if form == 3:
        decorator = w.choices.pick(("classmethod", "staticmethod"))
        w.line(f"@{decorator}")
        with _body(w, f"def {name}({'cls, ' if decorator == 'classmethod' else ''}x):") as costs:
            w.line(f"return x + ({'cls.shared' if decorator == 'classmethod' else expressions.number(w, 1)})")
        return f"@.{name}($)", costs[0]
    if form == 4:
        with _body(w, "def __iter__(self):") as costs:
            w.line("yield self.x")
            w.line(f"yield from [self.__q, {expressions.number(w, 1)}]")
        return f"{w.choices.pick(('len(list(@))', 'sum(@)', 'max(*@, 0)', '[*@][1]'))}", costs[0]
    if form == 5:
        with _body(w, "def __eq__(self, other):") as costs:
            w.line(f"return {w.choices.pick(('self.x == other', 'NotImplemented', 'type(self) is type(other)'))}")
        if w.choices.chance(60):
            with _body(w, "def __hash__(self):"):
                w.line("return hash(self.x)")
        return "int(@ == $)", costs[0]
    if form == 6:
        dunder = w.choices.pick(("len", "bool", "int", "index", "neg", "abs", "length_hint"))
        with _body(w, f"def __{dunder}__(self):") as costs:
            w.line(f"return {'bool(self.x)' if dunder == 'bool' else expressions.number(w, 1)}")
        uses = {"neg": "(-@)", "index": "[5, 6, 7][@]", "bool": "(1 if @ else 2)", "length_hint": "id(@) * 0"}
        return uses.get(dunder, f"{dunder}(@)") + ".real" * 0, costs[0]
    if form == 7:
        with _body(w, "def __getattr__(self, name):") as costs:
            w.line("if name.startswith('_'): raise AttributeError(name)")
            w.line("return len(name)")
        return "@.anything", costs[0]
    if form == 8:
        with _body(w, "def __setattr__(self, name, value):") as costs:
            w.line("print('set', name)")
            w.line(w.choices.pick(("super().__setattr__(name, value)", "object.__setattr__(self, name, value)")))
        return "@.x", costs[0]
    if form == 9:
        with _body(w, "def __init_subclass__(cls, **options):") as costs:
            w.line("super().__init_subclass__(**options)")
            w.line("cls.shared = 77")
        return "@.shared", costs[0]
    if form == 10:
        with _body(w, "def __format__(self, spec):") as costs:
            w.line("return spec + str(self.__q)")
        return "len(f'{@:ab}')", costs[0]
    if form == 11 and has_base:
        redone = [part for part in known if part.startswith("@.m") and part.endswith("($)")]
        if redone:
            inherited = redone[0][2:-3]
            with _body(w, f"def {inherited}(self, x):") as costs:
                w.line(f"return super().{inherited}(x) + ({expressions.number(w, 1)})")
            return redone[0], costs[0]
    with _body(w, f"def {w.choices.pick(('', '_', '__'))}{name}(self, x, *, k=1):") as costs:
        w.bind("x", "int")
        w.bind("self", "obj", parts=("@.x", "@._p", "@.__q", "@.shared"))
        statements.block_of(w, 2)
        w.line(f"return {expressions.number(w)}")
    private = _last_def(w).split("(")[0]
    if private.startswith("__"):
        with _body(w, f"def {name}(self, x):") as more:
            w.line(f"return self.{private}(x, k=2)")
        return f"@.{name}($)", costs[0] + more[0]
    return f"@.{private}($)", costs[0]


def _last_def(w: Writer) -> str:
    """The name and parameters of the method written last."""
    indent = len(w.lines[-1]) - len(w.lines[-1].lstrip()) - 4
    for line in reversed(w.lines):
        stripped = line.strip()
        if stripped.startswith("def ") and len(line) - len(stripped) == indent:
            return stripped[4:]
    return ""


def _body(w: Writer, head: str) -> AbstractContextManager[list[int]]:
    return w.function(head, returns="int")


def library_class(w: Writer) -> None:
    """A dataclass, an enum, a named tuple, an abstract class, slots, a descriptor, an exception, a generic."""
    name, made = w.fresh("D"), w.fresh("o")
    given, other = expressions.number(w, 1), expressions.number(w, 1)
    forms = (_dataclass, _enum, _named_tuple, _abstract, _slots, _descriptor, _exception, _derived)
    w.choices.pick(forms)(w, name, made, given, other)


def _dataclass(w: Writer, name: str, made: str, given: str, other: str) -> None:
    w.line("from dataclasses import dataclass, field, replace, asdict")
    w.line(w.choices.pick(("@dataclass", "@dataclass(frozen=True, order=True)", "@dataclass(slots=True)")))
    with w.block(f"class {name}:"):
        w.line("x: int")
        w.line(f"y: int = {w.choices.below(9)}")
        w.line("tags: list = field(default_factory=list, compare=False)")
    w.line(f"{made} = {name}({given}, y={other})")
    w.line(f"print({made}, {made} == replace({made}, x=1), asdict({made}), {made} < {made})")
    w.bind(name, "dataclass")
    w.bind(made, "obj", parts=("@.x", "@.y"))


def _enum(w: Writer, name: str, made: str, given: str, other: str) -> None:
    w.line("from enum import Enum, IntEnum, Flag, auto")
    with w.block(f"class {name}({w.choices.pick(('Enum', 'IntEnum', 'Flag'))}):"):
        w.line("ONE = auto()")
        w.line("TWO = auto()")
        with w.block("def double(self):"):
            w.line("return self.value * 2")
    w.line(f"{made} = {name}({w.choices.pick(('1', '2', given))})")
    w.line(f"print({made}, repr({made}), list({name}), {name}['ONE'].name, {made} in {name})")
    w.bind(made, "obj", parts=("@.value", "@.double()"))


def _named_tuple(w: Writer, name: str, made: str, given: str, other: str) -> None:
    if w.choices.chance(50):
        w.line("from collections import namedtuple")
        w.line(f"{name} = namedtuple('{name}', 'x y')")
    else:
        w.line("from typing import NamedTuple")
        with w.block(f"class {name}(NamedTuple):"):
            w.line("x: int")
            w.line("y: int = 2")
    w.line(f"{made} = {name}({given}, {other})")
    w.line(f"print({made}, {made}._replace(x=1), {made}._asdict(), {made}._fields, [*{made}])")
    w.bind(made, "obj", parts=("@.x", "@[1]", "@.y"))
    w.line(f"{made}.x = 3" if w.choices.chance(10) else f"print({made} == ({given}, 1))")


def _abstract(w: Writer, name: str, made: str, given: str, other: str) -> None:
    w.line("from abc import ABC, abstractmethod")
    with w.block(f"class {name}(ABC):"):
        w.line("@abstractmethod")
        w.line("def area(self): ...")
        w.line("def twice(self): return self.area() * 2")
    with w.block(f"class {name}b({name}):"):
        w.line(f"def area(self): return {given}" if w.choices.chance(80) else "size = 3")
    w.line(f"{made} = {name}b()")
    w.line(f"print({made}.twice(), isinstance({made}, ABC), {other})")


def _slots(w: Writer, name: str, made: str, given: str, other: str) -> None:
    with w.block(f"class {name}:"):
        w.line("__slots__ = ('x', '_y')")
        with w.block("def __init__(self, x, y):"):
            w.line("self.x, self._y = x, y")
    w.line(f"{made} = {name}({given}, {other})")
    w.line(f"print({made}.x, {made}._y)")
    w.line(f"{made}.z = 1" if w.choices.chance(15) else f"{made}.x += 1")
    w.bind(made, "obj", parts=("@.x", "@._y"))


def _descriptor(w: Writer, name: str, made: str, given: str, other: str) -> None:
    with w.block(f"class {name}Field:"):
        w.line("def __set_name__(self, owner, name): self._name = name + '_'")
        w.line("def __get__(self, obj, owner=None): return self if obj is None else getattr(obj, self._name, 0)")
        w.line("def __set__(self, obj, value): setattr(obj, self._name, value + 1)")
    with w.block(f"class {name}:"):
        w.line(f"x = {name}Field()")
    w.line(f"{made} = {name}()")
    w.line(f"{made}.x = {given}")
    w.line(f"print({made}.x, {made}.x_, sorted(vars({made}).items()), {other})")
    w.bind(made, "obj", parts=("@.x", "@.x_"))


def _exception(w: Writer, name: str, made: str, given: str, other: str) -> None:
    head = f"class {name}({w.choices.pick(('ValueError', 'Exception', 'KeyError'))}):"
    with w.block(head), w.block("def __init__(self, code, **more):"):
        w.line("super().__init__(f'code {code}')")
        w.line("self.code, self._more = code, more")
    with w.block("try:"):
        w.line(f"raise {name}({given}, a={other})" + w.choices.pick(("", " from ValueError('cause')")))
    with w.block(f"except {name} as {made}:"):
        w.line(f"print({made}.code, {made}._more, {made}, repr({made}.__cause__))")
        statements.leave(w)


def _derived(w: Writer, name: str, made: str, given: str, other: str) -> None:
    base = w.choices.pick(("dict", "list", "int", "str", "tuple", "set", "float"))
    with w.block(f"class {name}({base}):"):
        w.line("def __missing__(self, key): return 9")
        w.line(f"def twice(self): return ({texts.text(w, 2)}, len(repr(self)) * 2)[1]")
        w.line(f"def __repr__(self): return 'my' + {base}.__repr__(self)")
    start = {"dict": f"a={given}", "int": given, "float": given, "str": f"str({given})"}.get(base, f"[{given}, 2]")
    w.line(f"{made} = {name}({start})")
    w.line(f"print({made}, {made}.twice(), {made} == {base}({made}), isinstance({made}, {base}), {other})")
    w.bind(made, "obj", parts=("@.twice()",) + (("@['no']",) if base == "dict" else ()))
