"""Strings: literals, methods, the three ways of formatting, slices. None grows without bound."""

from tests.differential import containers, expressions
from tests.differential.writer import Writer

METHODS = (
    "upper()", "title()", "strip('a')", "replace('a', 'xy')[:12]", "zfill(4)", "center(7, '*')", "partition('b')[0]",
    "rjust(5)", "swapcase()", "removeprefix('a')", "encode().hex()[:12]", "casefold()", "expandtabs(2)",
    "translate({97: 'z'})", "ljust(3, '.')", "lstrip('xyz')",
)  # fmt: skip
SPECS = ("", ":d", ":>5", ":05d", ":+d", ":x", ":_", ":,", "!r", "!s:>4", "!a", ":.2f", ":b", ":^7", ":e", ":%", "=")


def text(w: Writer, depth: int = 0) -> str:
    """An expression that is a string of at most some dozens of characters."""
    names = w.of("text")
    if depth >= expressions.DEEPEST or w.choices.chance(30):
        if names and w.choices.chance(70):
            return w.choices.pick(names).text
        return w.choices.pick(("'a'", "'bc'", "''", "'Ab c'", "'ä€'", "'x' 'y'", "r'\\d'", "'''t\tq'''"))
    deeper = depth + 1
    match w.choices.below(10):
        case 0:
            return f"({text(w, deeper)} + {text(w, deeper)})[:20]"
        case 1:
            return f"({text(w, deeper)} * {w.choices.below(4)})[:20]"
        case 2:
            return f"{text(w, deeper)}.{w.choices.pick(METHODS)}"
        case 3 | 4:
            return f_string(w, deeper)
        case 5:
            return formatted(w, deeper)
        case 6:
            return f"str({expressions.number(w, deeper)})"
        case 7:
            return f"repr({containers.any_sized(w, deeper)})"
        case 8:
            return f"{text(w, deeper)}{containers.slice_of(w, deeper)}"
        case _:
            return f"','.join(map(str, {containers.items(w, deeper)}))"


def f_string(w: Writer, depth: int) -> str:
    inner = expressions.number(w, depth)
    # Before 3.12 no quote of the string's own kind and no backslash may stand in a field.
    if '"' in inner or "\\" in inner:
        inner = "12"
    spec = w.choices.pick(SPECS)
    if spec == ":>5" and w.choices.chance(50):
        spec = ":>{" + str(w.choices.below(8)) + "}"
    other = text(w, expressions.DEEPEST)
    other = "7" if '"' in other or "\\" in other else other
    return f'f"{{({inner}){spec}}}-{{{other}}}{{{{}}}}"'


def formatted(w: Writer, depth: int) -> str:
    given = expressions.number(w, depth)
    match w.choices.below(7):
        case 0:
            return f"'{{}}/{{:>4}}'.format({given}, {text(w, depth)})"
        case 1:
            return f"'{{n:{w.choices.pick(('d', '04d', 'x', '>{w}'))}}}'.format(n={given}, w=6)"
        case 2:
            return f"'%s %r' % ({given}, {text(w, depth)})"
        case 3:
            return f"format({given}, {w.choices.pick(('', 'd', '>6', 'b', 's'))!r})"
        case 4:
            return f"'{{0[0]}}{{1.real}}'.format([{given}], 3)"
        case 5:
            return f"'{{a}}{{b!r}}'.format_map({{'a': {given}, 'b': {text(w, depth)}}})"
        case _:
            return f"'%(k)05d' % {{'k': {given}}}"
