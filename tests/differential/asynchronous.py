"""What only asynchronous code has: gather, tasks, timeouts, queues, locks, `async for`."""

from tests.differential import expressions, statements
from tests.differential.writer import Writer


def statement(w: Writer) -> None:
    """Some `asyncio`, with coroutine functions the program has or a new one."""
    if not w.of("asyncio"):
        w.line("import asyncio")
        w.bind("asyncio", "asyncio")
    found = w.callable_now("acall")
    if not found:
        name = w.fresh("co")
        with w.function(f"async def {name}(x):", returns="int", is_async=True) as costs:
            w.bind("x", "int")
            w.line("await asyncio.sleep(0)")
            statements.block_of(w, 2)
            w.line(f"return {expressions.number(w)}")
        w.bind(name, "acall", cost=costs[0])
        found = w.callable_now("acall")
    if not found:
        return
    chosen = w.choices.pick(found)
    name = chosen.text
    w.cost += 3 * chosen.cost * w.place.times
    result = w.fresh("v")
    match w.choices.below(8):
        case 0 | 1:
            option = w.choices.pick(("", ", return_exceptions=True"))
            w.line(f"{result} = await asyncio.gather({name}(1), {name}({expressions.number(w, 1)}), {name}(2){option})")
            w.line(f"print({result})")
            return
        case 2:
            w.line(f"{result}_t = asyncio.create_task({name}({expressions.number(w, 1)}))")
            w.line("await asyncio.sleep(0)")
            with w.block("try:"):
                w.line(f"print(await {result}_t, {result}_t.done())")
            with w.block("except Exception as error:"):
                w.line(f"print(repr(error), {result}_t.cancelled())")
        case 3:
            with w.block("try:"):
                w.line(f"{result} = await asyncio.wait_for({name}({expressions.number(w, 1)}), 9)")
            with w.block("except ArithmeticError as error:"):
                w.line(f"{result} = -1")
            w.bind(result, "int")
        case 4:
            w.line(f"{result}_t = asyncio.create_task({name}({expressions.number(w, 1)}))")
            w.line(f"{result}_t.cancel({w.choices.pick(('', repr('why')))})")
            with w.block("try:"):
                w.line(f"await {result}_t")
            with w.block("except asyncio.CancelledError as error:"):
                w.line(f"print('cancelled', error.args, {result}_t.cancelled())")
        case 5:
            w.line(f"{result}_q = asyncio.Queue()")
            with w.block("for put in range(3):", times=3):
                w.line(f"await {result}_q.put(put + {expressions.number(w, 2)})")
            w.line(f"{result} = [{result}_q.get_nowait() for _ in range({result}_q.qsize())]")
            w.bind(result, "items")
        case 6:
            with w.block("async with asyncio.Lock():"):
                statements.block_of(w, 2)
        case _:
            agens = w.callable_now("agen")
            if not agens:
                w.line(f"print([await {name}(q) for q in range(3)])")
                return
            source = w.choices.pick(agens)
            w.cost += source.cost * w.place.times
            with w.block(f"async for {result} in {source.text}({expressions.number(w, 1)}):", times=3, loop=True):
                w.bind(result, "int")
                statements.block_of(w, 2)
            statements.orelse(w)
