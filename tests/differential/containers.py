"""Lists, dicts, sets and tuples: displays, comprehensions in nests, slices, items, unpacking. All stay small."""

from tests.differential import expressions, texts
from tests.differential.writer import Name, Writer

KEYS = ("a", "b", "k", "bc", "x")


def items(w: Writer, depth: int = 0) -> str:
    """An expression that is a list of a few integers."""
    names = w.of("items")
    if depth >= expressions.DEEPEST or w.choices.chance(25):
        if names and w.choices.chance(75):
            return w.choices.pick(names).text
        return w.choices.pick(("[1, 2, 3]", "[]", "[5]", "[4, 0, -2, 9]", "list(range(4))", "[*(3, 1)]"))
    deeper = depth + 1
    match w.choices.below(12):
        case 0:
            inner = ", ".join(expressions.number(w, deeper) for _ in range(w.choices.below(4)))
            return f"[{inner}]"
        case 1 | 2 | 3:
            return comprehension(w, deeper)
        case 4:
            return f"sorted({items(w, deeper)}{w.choices.pick(('', ', reverse=True', ', key=lambda q: -q'))})"
        case 5:
            return f"{items(w, deeper)}{slice_of(w, deeper)}"
        case 6:
            return f"[*{items(w, deeper)}, {expressions.number(w, deeper)}, *{items(w, deeper)}][:7]"
        case 7:
            return f"({items(w, deeper)} + {items(w, deeper)})[:6]"
        case 8:
            return f"list({w.choices.pick(('reversed', 'set', 'tuple', 'iter'))}({items(w, deeper)}))"
        case 9:
            name = w.fresh("m")
            with w.restricted(walrus=False, is_async=False):
                body = _within(w, [name], deeper)
            kind = w.choices.pick(("map", "filter"))
            # A copy: what is called may make the list longer.
            return f"list({kind}(lambda {name}: {body}, {items(w, deeper)}[:6]))"
        case 10:
            return f"[q + r for q, r in zip({items(w, deeper)}, {items(w, deeper)})]"
        case _:
            generators = w.callable_now("gen")
            if not generators:
                return f"list({table(w, deeper)}.values())"
            chosen = w.choices.pick(generators)
            w.called(chosen)
            return f"list({chosen.text}({expressions.number(w, deeper)}))[:6]"


def _within(w: Writer, variables: list[str], depth: int) -> str:
    names = w.names
    w.names = [*names, *(Name(variable, "int", own=False) for variable in variables)]
    body = expressions.number(w, depth)
    w.names = names
    return body


def comprehension(w: Writer, depth: int) -> str:
    """A list, set or generator comprehension, with one or two loops, or one inside another."""
    first, second = w.fresh("c"), w.fresh("c")
    open_to, close = w.choices.pick((("[", "]"), ("sorted({", "})"), ("list(", ")")))
    lazy = open_to == "list("
    with w.restricted(walrus=False):
        source = f"{items(w, depth)}[:6]"
    with w.restricted(is_async=w.place.is_async and not lazy, walrus=False, calls=depth < 2):
        form = w.choices.below(5)
        if form == 0:
            inside = f"{_within(w, [first], depth)} for {first} in {source}"
        elif form == 1:
            names = w.names
            w.names = [*names, Name(first, "int", own=False)]
            inside = f"{_within(w, [first], depth)} for {first} in {source} if {expressions.condition(w, depth)}"
            w.names = names
        elif form == 2:
            other = items(w, expressions.DEEPEST)
            body = _within(w, [first, second], depth)
            inside = f"{body} for {first} in {source}[:4] for {second} in {other}[:3]"
        elif form == 3:
            body = _within(w, [first, second], depth)
            inside = f"sum([{body} for {second} in range({first} % 3)]) for {first} in {source}"
        else:
            agens = w.callable_now("agen") if w.place.is_async and not lazy and not w.place.in_class else []
            if not agens:
                inside = f"{first} for {first} in {source}{slice_of(w, depth)}"
            else:
                chosen = w.choices.pick(agens)
                w.called(chosen)
                body = _within(w, [first], depth)
                inside = f"{body} async for {first} in {chosen.text}(len({source}))"
    return f"{open_to}{inside}{close}"


def table(w: Writer, depth: int = 0) -> str:
    """An expression that is a dict from strings to integers."""
    names = w.of("table")
    if names and w.choices.chance(40):
        return w.choices.pick(names).text
    deeper = depth + 1
    key = w.choices.pick(KEYS)
    if depth >= expressions.DEEPEST:
        return f"{{'{key}': 1}}"
    match w.choices.below(6):
        case 0:
            return f"{{'{key}': {expressions.number(w, deeper)}, '{w.choices.pick(KEYS)}': 2}}"
        case 1:
            name = w.fresh("d")
            with w.restricted(walrus=False):
                source, body = f"{items(w, deeper)}[:6]", _within(w, [name], deeper)
            return f"{{str({name}): {body} for {name} in {source}}}"
        case 2:
            return f"{{**{table(w, deeper)}, '{key}': {expressions.number(w, deeper)}}}"
        case 3:
            return f"dict({key}={expressions.number(w, deeper)}, **{{'z': 0}})"
        case 4:
            return f"({table(w, deeper)} | {table(w, deeper)})"
        case _:
            return f"dict(zip({texts.text(w, deeper)}, {items(w, deeper)}))"


def any_sized(w: Writer, depth: int) -> str:
    return w.choices.pick((items, table, texts.text))(w, depth)


def slice_of(w: Writer, depth: int) -> str:
    def end() -> str:
        return w.choices.pick(("", "1", "-1", "2", expressions.number(w, expressions.DEEPEST)))

    return w.choices.pick(("[:3]", f"[{end()}:{end()}]", "[::-1]", f"[{end()}:{end()}:2]"))


def item_of(w: Writer, depth: int) -> str:
    """One integer out of something; sometimes it is not there."""
    match w.choices.below(6):
        case 0:
            return f"{table(w, depth)}.get('{w.choices.pick(KEYS)}', {expressions.number(w, depth)})"
        case 1:
            return f"({items(w, depth)} or [3])[{w.choices.pick((0, -1))}]"
        case 2:
            return f"next(iter({items(w, depth)}), {expressions.number(w, depth)})"
        case 3:
            return f"[*{items(w, depth)}, 4, 5, 6][{w.choices.below(4) - 1}]"
        case 4:
            return f"{items(w, depth)}.count({expressions.number(w, depth)})"
        case _:
            if w.choices.chance(25):
                return f"{table(w, depth)}['{w.choices.pick(KEYS)}']"
            return f"sum({table(w, depth)}.values())"


def starred_call(w: Writer, depth: int) -> str:
    first, rest = w.fresh("s"), w.fresh("s")
    match w.choices.below(3):
        case 0:
            return f"max(*{items(w, depth)}, {expressions.number(w, depth)}, 0)"
        case 1:
            head = f"(lambda {first}, *{rest}: {first} - len({rest}))"
            return f"{head}({expressions.number(w, depth)}, *{items(w, depth)})"
        case _:
            head = f"(lambda *{first}, k=2, **{rest}: len({first}) + k + len({rest}))"
            return f"{head}(*{items(w, depth)}, **{{'k': {expressions.number(w, depth)}, 'o': 1}})"
