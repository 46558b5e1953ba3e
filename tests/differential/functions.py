"""Functions: closures with `nonlocal` and `global`, defaults, decorators, generators and what is sent to them."""

from tests.differential import containers, expressions, statements
from tests.differential.writer import Writer

HEADS = ("x", "x, /", "x, *rest, k=3", "x=1, **more", "x, y=2, *, z: int = 4", "x: int = 0, *rest: int")


def function(w: Writer) -> None:
    """A function from an integer to an integer, sync or async, that may rebind names around it."""
    name = w.fresh("f")
    is_async = w.choices.chance(30)
    parameters = w.choices.pick((HEADS[0], HEADS[2], HEADS[3], HEADS[4]))
    outer = [found.text for found in w.of("int", own=True) if found.text != "x"] if not w.place.in_class else []
    head = f"{'async ' if is_async else ''}def {name}({parameters}){w.choices.pick(('', ' -> int'))}:"
    with w.function(head, returns="int", is_async=is_async) as costs:
        if outer and w.choices.chance(35):
            rebound = w.choices.pick(outer)
            w.line(f"nonlocal {rebound}")
            w.bind(rebound, "int")
        w.bind("x", "int")
        statements.block_of(w)
        w.line(f"return {expressions.number(w)}")
    w.bind(name, "acall" if is_async else "call", cost=costs[0])


def closure(w: Writer) -> None:
    """A counter, a recursion, a global, or functions made in a loop."""
    name = w.fresh("f")
    match w.choices.below(5):
        case 0:
            with w.function(f"def {name}_make(start, step=1):", returns=None):
                w.line(f"total = [{expressions.number(w, 2)}]")
                with w.function(f"def {name}_step(x):", returns=None):
                    w.line("nonlocal start")
                    w.line("start += step + x")
                    w.line("total.append(start)")
                    w.line("return start + len(total)")
                w.line(f"return {name}_step")
            w.line(f"{name} = {name}_make({expressions.number(w)}, step={w.choices.below(4)})")
        case 1:
            with w.function(f"def {name}(x, n=4):", returns=None):
                w.bind("x", "int")
                w.line(f"if n <= 0: return {expressions.number(w, 1)}")
                w.line(f"return {name}(x - 1, n - 1) + {expressions.number(w, 2)}")
        case 2:
            other = w.fresh("g")
            with w.function(f"def {name}(x):", returns=None):
                w.line(f"global {other}")
                w.line(f"{other} = x")
                w.line(f"{other} += {expressions.number(w, 1)}")
                w.line(f"return {other}")
        case 3:
            source = containers.items(w, 1)
            late = w.choices.pick(("", ", late=late"))
            w.line(f"{name}_all = [(lambda x{late}: x + late) for late in {source}] or [abs]")
            w.line(f"{name} = {name}_all[0]")
        case _:
            with w.restricted(walrus=False, is_async=False):
                w.line(f"{name} = lambda x, *a, **k: {expressions.number(w, 1)}")
    w.bind(name, "call", cost=12)


def decorated(w: Writer) -> None:
    """A decorator of the program's own, or of `functools`, and what it decorates."""
    wrapper, name = w.fresh("deco"), w.fresh("f")
    if w.choices.chance(35):
        w.line("import functools")
        w.line(w.choices.pick(("@functools.lru_cache(maxsize=4)", "@functools.cache")))
    else:
        with_wraps = w.choices.chance(50)
        if with_wraps:
            w.line("from functools import wraps")
        with w.function(f"def {wrapper}(function, bonus={expressions.number(w, 2)}):", returns=None):
            if with_wraps:
                w.line("@wraps(function)")
            with w.function("def inner(*args, **options):", returns=None):
                w.line("found = function(*args, **options)")
                w.line("return found + bonus")
            w.line("return inner")
        w.line(f"@{wrapper}")
    with w.function(f"def {name}(x):", returns="int") as costs:
        w.bind("x", "int")
        statements.block_of(w, 2)
        w.line(f"return {expressions.number(w, 1)}")
    w.bind(name, "call", cost=costs[0] + 3)
    w.line(f"print({name}.__name__)")


def generator(w: Writer) -> None:
    """A generator, sync or async, and some of what can be done to one."""
    name = w.fresh("y")
    is_async = w.place.is_async and w.choices.chance(40)
    inner = w.callable_now("gen")
    head = f"{'async ' if is_async else ''}def {name}(x):"
    with w.function(head, returns="none" if is_async else "int", is_async=is_async) as costs:
        w.bind("x", "int")
        form = w.choices.below(4)
        if form == 0:
            with w.block("for step in range(3):", times=3, loop=True):
                w.bind("step", "int")
                w.line(f"got = yield {expressions.number(w, 1)}")
                w.line("if got is not None: print('got', got)")
                statements.block_of(w, 2)
        elif form == 1 and inner and not is_async:
            w.line(f"back = yield from {w.choices.pick(inner).text}({expressions.number(w, 1)})")
            w.line("print('back', back)")
        else:
            with w.block("try:"):
                w.line(f"yield {expressions.number(w, 1)}")
                statements.block_of(w, 2)
                w.line(f"yield {expressions.number(w, 1)}")
            handler = w.choices.pick(("except ValueError as error:", "except (KeyError, GeneratorExit):", ""))
            if handler:
                with w.block(handler):
                    w.line("print('caught')")
                    if "Exit" not in handler:
                        w.line(f"yield {expressions.number(w, 2)}")
                    else:
                        w.line(w.choices.pick(("raise", "return")))
            if not handler or w.choices.chance(50):
                with w.block("finally:"):
                    w.line("print('finally', x)")
                    statements.block_of(w, 1)
        if not is_async and w.choices.chance(40):
            w.line(f"return {expressions.number(w, 1)}")
    w.bind(name, "agen" if is_async else "gen", cost=costs[0] + 8)
    drive(w, name, is_async=is_async, cost=costs[0])


def drive(w: Writer, name: str, *, is_async: bool, cost: int) -> None:
    """Step through a generator by hand: next, send, throw, close."""
    made = w.fresh("it")
    w.cost += cost * w.place.times
    wait, letter = ("await ", "a") if is_async else ("", "")
    steps = (
        f"print({wait}{made}.{letter}send({expressions.number(w, 2)}))", f"{wait}{made}.{letter}close()",
        f"print({wait}{made}.{letter}throw(ValueError('thrown')))", f"print({wait}{letter}next({made}, 'end'))",
        f"print({wait}{made}.{letter}throw(KeyError))",
        f"print([q {'async ' if is_async else ''}for q in {made}][:5])",
    )  # fmt: skip
    w.line(f"{made} = {name}({expressions.number(w, 1)})")
    # One that is left to the collector says what it says in its `finally` at no certain time.
    with w.block("try:"):
        w.line(f"print({wait}{letter}next({made}, 'none'))")
        for _ in range(w.choices.below(3)):
            step = w.choices.pick(steps)
            with w.block("try:"):
                w.line(step)
            caught = w.choices.pick(("Exception", "(StopIteration, StopAsyncIteration, LookupError)"))
            with w.block(f"except {caught} as error:"):
                w.line("print(type(error).__name__, error)")
    with w.block("finally:"):
        w.line(f"{wait}{made}.{letter}close()")
