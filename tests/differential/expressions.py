"""Expressions, by the kind of value they have. They raise rarely, by dividing, looking up and calling."""

from tests.differential import containers, texts
from tests.differential.writer import Name, Writer

DEEPEST = 3
ARITHMETIC = ("+", "-", "&", "|", "^", "//", "%")
COMPARISONS = ("<", ">", "==", "!=", "<=", ">=")
WRONG = (
    "None.value", "[1][7]", "{}['no']", "int('x')", "(1 / 0)", "undefined_name", "(1 + 'a')", "len(3)", "'a'[0].nope",
    "(lambda: 0)(1)", "next(iter(()))", "(3)()", "[].pop()", "''.missing()", "max([])", "(1, 2)[2]", "{1: 2}[3]",
    "int(None)", "abs('x')", "range(1)[4]", "sorted([1, 'a'])", "sum('ab')", "iter(7)", "'%d' % 'x'", "(-1) ** 'b'",
    "'{}{}'.format(1)", "list(zip([1], [1, 2], strict=True))[0][1]", "chr(-1)", "float('inf') // 0", "{[]: 1}",
    "int(float('nan'))", "bytes([300])[0]", "'ab'.index('z')", "(2).real.x", "hash([])", "ord('ab')", "1 << -1",
)  # fmt: skip


def number(w: Writer, depth: int = 0) -> str:
    """An expression that is an integer, unless something goes wrong."""
    if w.choices.rarely():
        return w.choices.pick(WRONG)
    names = w.of("int")
    if depth >= DEEPEST or w.choices.chance(35):
        if names and w.choices.chance(75):
            return w.choices.pick(names).text
        return str(w.choices.below(12) - 1)
    deeper = depth + 1
    match w.choices.below(20):
        case 0 | 1 | 2:
            return f"({number(w, deeper)} {w.choices.pick(ARITHMETIC[:5])} {number(w, deeper)})"
        case 3:
            return f"({number(w, deeper)} {w.choices.pick(ARITHMETIC)} {number(w, deeper)})"
        case 4:
            return f"(({number(w, deeper)} * {number(w, deeper)}) % {w.choices.pick((97, 7, 1000))})"
        case 5:
            return f"({number(w, deeper)} if {condition(w, deeper)} else {number(w, deeper)})"
        case 6:
            return f"{w.choices.pick(('-', '~', '+', 'abs', 'int', 'hash'))}({number(w, deeper)})"
        case 7:
            return f"len({containers.any_sized(w, deeper)})"
        case 8:
            return f"{w.choices.pick(('min', 'max'))}({number(w, deeper)}, {number(w, deeper)})"
        case 9:
            return f"{w.choices.pick(('sum', 'len'))}({containers.items(w, deeper)})"
        case 10:
            return containers.item_of(w, deeper)
        case 11 | 12 | 13:
            return call(w, deeper)
        case 14:
            return walrus(w, deeper)
        case 15:
            return attribute(w, deeper)
        case 16:
            return immediate_lambda(w, deeper)
        case 17:
            return f"divmod({number(w, deeper)}, {number(w, deeper)} or 3)[{w.choices.below(2)}]"
        case 18:
            return containers.starred_call(w, deeper)
        case _:
            return f"int({number(w, deeper)} / {w.choices.below(4) + 1} + {w.choices.below(3)}.5)"


def call(w: Writer, depth: int) -> str:
    """A call of one of the program's own functions, or of an object's method."""
    kinds = ("call", "acall") if w.place.is_async and w.place.walrus else ("call",)
    found = w.callable_now(*kinds)
    if not found:
        return f"pow({number(w, depth)}, {w.choices.below(3)})"
    chosen = w.choices.pick(found)
    w.called(chosen)
    argument = number(w, depth)
    forms: tuple[str, ...] = (f"({argument})", f"(*[{argument}])", f"(x={argument})", f"(**{{'x': {argument}}})")
    if "(" in chosen.text or "." in chosen.text:
        forms = forms[:2]
    text = chosen.text + w.choices.pick(forms)
    return f"(await {text})" if chosen.kind == "acall" else text


def walrus(w: Writer, depth: int) -> str:
    if not w.place.walrus:
        return number(w, depth)
    value = number(w, depth)
    name = w.fresh("w")
    # Used at once: whether it is bound later depends on what was evaluated.
    return f"(({name} := {value}) + {name})"


def attribute(w: Writer, depth: int) -> str:
    """An attribute or an item of an object."""
    objects = w.of("obj")
    if not objects:
        return f"({number(w, depth)}).{w.choices.pick(('real', 'imag', 'numerator', 'bit_length()', 'bit_count()'))}"
    chosen = w.choices.pick(objects)
    return member(w, chosen, depth)


def member(w: Writer, owner: Name, depth: int) -> str:
    part = w.choices.pick(owner.parts)
    if not part.endswith((")", "]")):
        return part.replace("@", owner.text)
    if not w.place.calls or w.cost + owner.cost * w.place.times > 3000:
        return "0"
    w.called(owner)
    return part.replace("@", owner.text).replace("$", number(w, depth))


def immediate_lambda(w: Writer, depth: int) -> str:
    argument, default = number(w, depth), number(w, depth)
    first, second = w.fresh("a"), w.fresh("a")
    names = w.names
    w.names = [*names, Name(first, "int", own=False), Name(second, "int", own=False)]
    with w.restricted(walrus=False, is_async=False):
        body = number(w, depth)
    w.names = names
    return f"(lambda {first}, {second}={default}: {body})({argument})"


def condition(w: Writer, depth: int = 0) -> str:
    """An expression whose truth is asked."""
    deeper = depth + 1
    match w.choices.below(9) if depth < DEEPEST else 0:
        case 0 | 1:
            return f"{number(w, deeper)} {w.choices.pick(COMPARISONS)} {number(w, deeper)}"
        case 2:
            middle = f"{w.choices.pick(COMPARISONS)} {number(w, deeper)} {w.choices.pick(COMPARISONS)}"
            return f"{number(w, deeper)} {middle} {number(w, deeper)}"
        case 3:
            return f"({condition(w, deeper)}) {w.choices.pick(('and', 'or'))} ({condition(w, deeper)})"
        case 4:
            return f"not ({condition(w, deeper)})"
        case 5:
            return f"{number(w, deeper)} {w.choices.pick(('in', 'not in'))} {containers.items(w, deeper)}"
        case 6:
            return f"isinstance({number(w, deeper)}, {w.choices.pick(('int', '(str, int)', 'int | str', 'float'))})"
        case 7:
            return f"{w.choices.pick(('any', 'all', 'bool'))}({containers.items(w, deeper)})"
        case _:
            return f"{texts.text(w, deeper)} {w.choices.pick(('==', '<', 'in', 'not in'))} {texts.text(w, deeper)}"


def value(w: Writer, depth: int = 0) -> tuple[str, str]:
    """An expression of some kind, and the kind."""
    match w.choices.below(6):
        case 0 | 1:
            return number(w, depth), "int"
        case 2:
            return texts.text(w, depth), "text"
        case 3 | 4:
            return containers.items(w, depth), "items"
        case _:
            return containers.table(w, depth), "table"
