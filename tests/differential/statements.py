"""Statements: assignment in all its forms, branches, loops, `del`, `match`, what is printed and what leaves."""

from tests.differential import (
    asynchronous,
    classes,
    containers,
    exceptions,
    expressions,
    features,
    functions,
    modules,
    texts,
)
from tests.differential.writer import DEPTH_MAX, Writer

AUGMENTED = ("+=", "-=", "|=", "&=", "^=", "+=", "-=", "|=", "//=", "%=")


def block_of(w: Writer, most: int = 3) -> None:
    """Some statements."""
    for _ in range(1 + w.choices.below(most)):
        if w.full:
            return
        statement(w)


def statement(w: Writer) -> None:
    """One statement, simple or compound."""
    if w.place.depth >= DEPTH_MAX:
        simple(w)
        return
    match w.choices.below(34):
        case 0 | 1 | 2:
            branch(w)
        case 3 | 4:
            loop(w)
        case 5:
            while_loop(w)
        case 6 | 7 | 8 | 9 | 10:
            exceptions.try_statement(w)
        case 11 | 12:
            functions.function(w)
        case 13:
            functions.decorated(w)
        case 14 | 15:
            functions.generator(w)
        case 16 | 17:
            classes.class_statement(w)
        case 18:
            match_statement(w)
        case 19 | 20:
            exceptions.with_statement(w)
        case 21:
            modules.use(w)
        case 22:
            classes.library_class(w)
        case 23 | 24 | 25 if w.place.is_async:
            asynchronous.statement(w)
        case 26:
            functions.closure(w)
        case 27 | 28 if not w.place.in_class:
            features.feature(w)
        case _:
            simple(w)


def simple(w: Writer) -> None:
    """A statement on one line."""
    match w.choices.below(20):
        case 0 | 1 | 2 | 3:
            assign(w)
        case 4 | 5:
            shown = ", ".join(expressions.value(w, 1)[0] for _ in range(1 + w.choices.below(2)))
            w.line(f"print({shown})")
        case 6 | 7:
            augment(w)
        case 8:
            unpack(w)
        case 9:
            change(w)
        case 10:
            delete(w)
        case 11 | 12:
            leave(w)
        case 13:
            w.line(f"assert {expressions.condition(w)} or True, {texts.text(w, 2)}")
        case 14:
            objects = w.of("obj")
            parts = [
                part
                for part in (w.choices.pick(objects).parts if objects else ())
                if not part.endswith((")", "]")) and "(" not in part
            ]
            if parts and objects:
                owner = w.choices.pick([item for item in objects if parts[0] in item.parts])
                w.line(
                    f"{parts[0].replace('@', owner.text)} {w.choices.pick(('=', '+=', '-='))} {expressions.number(w)}"
                )
            else:
                assign(w)
        case 15:
            first, second = w.fresh("v"), w.fresh("v")
            w.line(f"{first} = {second} = {expressions.number(w)}")
            w.bind(first, "int")
            w.bind(second, "int")
        case 16:
            name = w.fresh("v")
            w.line(f"{name}: int = {expressions.number(w)}")
            w.bind(name, "int")
        case _:
            w.line(f"print({expressions.number(w)})")


def assign(w: Writer) -> None:
    expression, kind = expressions.value(w)
    again = w.of(kind, own=True)
    name = w.choices.pick(again).text if again and w.choices.chance(30) else w.fresh("v")
    w.line(f"{name} = {expression}")
    w.bind(name, kind)


def augment(w: Writer) -> None:
    """Augmented assignment to a name or an item."""
    operator, number = w.choices.pick(AUGMENTED), expressions.number(w)
    numbers, lists, tables = w.of("int", own=True), w.of("items"), w.of("table")
    match w.choices.below(3):
        case 0 if lists:
            name = w.choices.pick(lists).text
            guard = "" if w.choices.chance(15) else f"if len({name}) > 1: "
            w.line(f"{guard}{name}[{w.choices.pick((0, -1, 1))}] {operator} {number}")
        case 1 if tables:
            name, key = w.choices.pick(tables).text, w.choices.pick(containers.KEYS)
            if not w.choices.chance(20):
                w.line(f"{name}.setdefault('{key}', 5)")
            w.line(f"{name}['{key}'] {operator} {number}")
        case _ if numbers:
            w.line(f"{w.choices.pick(numbers).text} {operator} {number}")
        case _:
            assign(w)


def unpack(w: Writer) -> None:
    first, second, rest = w.fresh("v"), w.fresh("v"), w.fresh("v")
    match w.choices.below(4):
        case 0:
            w.line(f"{first}, {second} = {expressions.number(w)}, {expressions.number(w)}")
        case 1:
            w.line(f"{first}, *{rest}, {second} = [*{containers.items(w, 1)}, 8, 9]")
            w.bind(rest, "items")
        case 2:
            w.line(f"({first}, ({second}, *{rest})) = {expressions.number(w)}, (3, *{containers.items(w, 1)})")
            w.bind(rest, "items")
        case _:
            w.line(f"{first}, {second} = ({containers.items(w)} + [1, 2])[:2]")
    w.bind(first, "int")
    w.bind(second, "int")


def change(w: Writer) -> None:
    """Change a list or a dict in place."""
    lists, tables = w.of("items"), w.of("table")
    if lists and w.choices.chance(60):
        name = w.choices.pick(lists).text
        how = (
            f"{name}.append({expressions.number(w, 1)})", f"{name}.sort()", f"{name}.reverse()",
            f"{name}.insert(0, {expressions.number(w, 1)})", f"{name}[:1] = [7, 8]", f"{name}[::2] = {name}[::2]",
            f"{name}.remove({expressions.number(w, 2)})", f"print({name}.pop())", f"{name}.extend(q for q in [1, 2])",
            f"del {name}[:2]", f"{name} *= 1" if w.of("items", own=True) == lists else f"{name}.copy()",
        )  # fmt: skip
        w.line(w.choices.pick(how))
    elif tables:
        name, key = w.choices.pick(tables).text, w.choices.pick(containers.KEYS)
        how_table = (
            f"{name}['{key}'] = {expressions.number(w, 1)}", f"{name}.update(a=1)", f"{name}.setdefault('{key}', 2)",
            f"print({name}.pop('{key}', None))", f"del {name}['{key}']", f"print(sorted({name}.items()))",
            f"{name}.pop('{key}')",
        )  # fmt: skip
        w.line(w.choices.pick(how_table))
    else:
        assign(w)


def delete(w: Writer) -> None:
    numbers = w.of("int", own=True)
    if not numbers or w.place.loop:
        assign(w)
        return
    name = w.choices.pick(numbers).text
    w.line(f"del {name}")
    if not w.choices.chance(5):
        w.forget(name)


def leave(w: Writer) -> None:
    """`break`, `continue`, `return` or `raise`, mostly under a condition."""
    ways = []
    if w.place.loop:
        ways += ["break", "continue"]
    if w.place.returns:
        returned = expressions.number(w, 1) if w.place.returns == "int" else expressions.value(w, 1)[0]
        ways.append("return" if w.place.returns == "none" else f"return {returned}")
    if w.place.depth and w.choices.chance(12):
        ways.append(f"raise {exceptions.raised(w)}")
    if not ways:
        w.line(f"print({texts.text(w)})")
    elif w.place.depth > 1 and w.choices.chance(30):
        w.line(w.choices.pick(ways))
    else:
        w.line(f"if {expressions.condition(w)}: {w.choices.pick(ways)}")


def branch(w: Writer) -> None:
    with w.block(f"if {expressions.condition(w)}:"):
        block_of(w)
    if w.choices.chance(30):
        with w.block(f"elif {expressions.condition(w)}:"):
            block_of(w, 2)
    if w.choices.chance(50):
        with w.block("else:"):
            block_of(w, 2)


def loop(w: Writer) -> None:
    """A `for` over something short, perhaps with `else`."""
    name, other = w.fresh("i"), w.fresh("i")
    match w.choices.below(4):
        case 0:
            head, times = f"for {name} in range({w.choices.below(4) + 1}):", 4
        case 1:
            head, times = f"for {name} in {containers.items(w, 1)}[:4]:", 4
        case 2:
            head, times = f"for {name}, {other} in enumerate({containers.items(w, 1)}[:3], 1):", 3
        case _:
            head, times = f"for {other}, {name} in list({containers.table(w, 1)}.items())[:3]:", 3
    with w.block(head, times=times, loop=True):
        w.bind(name, "int")
        block_of(w)
    orelse(w)


def while_loop(w: Writer) -> None:
    name = w.fresh("n")
    w.line(f"{name} = {w.choices.below(4) + 1}")
    with w.block(f"while {name} > 0:", times=4, loop=True):
        w.line(f"{name} -= 1")
        block_of(w)
    orelse(w)


def orelse(w: Writer) -> None:
    if w.choices.chance(25):
        with w.block("else:"):
            block_of(w, 2)


def match_statement(w: Writer) -> None:
    subject = w.choices.pick((expressions.number, containers.items, containers.table, texts.text))(w, 1)
    objects = w.of("obj", "data")
    if objects and w.choices.chance(40):
        subject = w.choices.pick(objects).text
    with w.block(f"match {subject}:"):
        for _ in range(1 + w.choices.below(3)):
            pattern, bound = pattern_of(w)
            guard = f" if {expressions.condition(w, 2)}" if w.choices.chance(25) else ""
            with w.block(f"case {pattern}{guard}:"):
                for name, kind in bound:
                    w.bind(name, kind)
                block_of(w, 2)
        with w.block("case _:"):
            block_of(w, 2)


def pattern_of(w: Writer) -> tuple[str, list[tuple[str, str]]]:
    first, rest = w.fresh("p"), w.fresh("p")
    patterns: tuple[tuple[str, list[tuple[str, str]]], ...] = (
        (f"int({first})", [(first, "int")]),
        (f"[{first}, *{rest}]", [(first, "any"), (rest, "items")]),
        ("0 | 1 | 2", []),
        (f"[int() as {first}, _]", [(first, "int")]),
        (f"{{'a': {first}, **{rest}}}", [(first, "int"), (rest, "table")]),
        (f"str() as {first}", [(first, "text")]),
        ("-1 | 'a' | None", []),
        (f"[1 | 2, {first}, 3]", [(first, "any")]),
        ("[[_, _], *_]", []),
        (f"object(x={first})", [(first, "any")]),
        ("True | False", []),
        *((f"{name.text}({first}, y={rest})", [(first, "int"), (rest, "int")]) for name in w.of("dataclass")[:2]),
    )
    return w.choices.pick(patterns)
