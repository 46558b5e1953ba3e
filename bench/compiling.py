"""How long the code of a deploy takes to be checked and compiled: a thousand ordinary lines."""

import time
from statistics import median
from typing import Final

from bench.load import Load
from bench.options import Options
from bench.servers import open_skep
from bench.targets import Figure, Measured
from bench.wire import Connection

_LINES: Final = 1000
_BLOCK: Final = """\
def total_{number}(order, discount=0, *extras, **options):
    amount = order.price * order.count + sum(extra.price * {number} for extra in extras if extra.is_billed)
    try:
        options["rate_{number}"] = [extra.rate for extra in extras][{number}:]
    except (KeyError, IndexError) as error:
        log.warning("no rate", error=str(error), number={number})
    return {{"amount": amount - discount, "extras": sorted(extras, key=lambda extra: extra.rate), **options}}

"""


def measure_compiling(_load: Load, options: Options) -> Measured:
    """Dry runs of a deploy: the whole request, with the start of the worker that compiles."""
    blocks = (_BLOCK.format(number=number) for number in range(_LINES // _BLOCK.count("\n")))
    documents = {"full": _document("".join(blocks)), "empty": _document("return 1")}
    taken_ms: dict[str, list[float]] = {name: [] for name in documents}
    with open_skep() as skep, Connection(skep.port) as connection:
        for number in range(options.cold_starts + 1):
            for name, document in documents.items():
                started = time.perf_counter()
                connection.ask("POST", "/v2/functions/compiled?dryRun=true", document)
                if number:  # the first is a warm-up
                    taken_ms[name].append((time.perf_counter() - started) * 1000)
    detail = (
        f"dry run of a deploy; of one line {median(taken_ms['empty']):.1f} ms; largest {max(taken_ms['full']):.1f} ms"
    )
    return Measured([Figure("compiling 1,000 lines", median(taken_ms["full"]), "ms", detail)], dict(taken_ms))


def _document(code: str) -> object:
    return {"functions": {"compiled": {"code": code}}}
