"""Modules of the default list: imported where they are used, under a condition, with `as`, in functions."""

from tests.differential import containers, expressions, texts
from tests.differential.writer import Writer

USES = (
    ("import math", "math.gcd(#, #) + math.isqrt(abs(#))"),
    ("from math import floor as down", "down(# / 3)"),
    ("import json", "len(json.dumps({'n': #, 'l': @}))"),
    ("import json as j", "j.loads(j.dumps(#))"),
    ("import itertools", "sum(itertools.islice(itertools.accumulate(@), 4))"),
    ("from itertools import chain, groupby", "len([k for k, _ in groupby(chain(@, @))])"),
    ("import functools", "functools.reduce(lambda p, q: p + q, @, 0)"),
    ("import operator", "operator.add(#, #) + len(sorted(@, key=operator.neg))"),
    ("from collections import Counter", "Counter(@).most_common(1)[0][1] if @ else 0"),
    ("from collections import deque, defaultdict", "len(deque(@, maxlen=3)) + defaultdict(int)[#]"),
    ("import collections", "collections.OrderedDict(a=#).popitem()[1]"),
    ("import re", "len(re.findall(r'\\w', $)) + len(re.sub('a', lambda m: m.group() * 2, $))"),
    ("import string", "len(string.Template('$a').substitute(a=#))"),
    ("from fractions import Fraction", "Fraction(#, 3).numerator"),
    ("from decimal import Decimal", "int(Decimal(#) / 4)"),
    ("import heapq", "heapq.nlargest(1, [*@, 1])[0]"),
    ("import bisect", "bisect.bisect(sorted(@), #)"),
    ("import statistics", "int(statistics.mean([*@, 2]))"),
    ("from datetime import date, timedelta", "(date(2024, 2, 28) + timedelta(days=# % 50)).toordinal()"),
    ("import base64, zlib", "len(base64.b64encode(zlib.compress($.encode(errors='replace'))))"),
    ("import hashlib", "hashlib.sha256($.encode(errors='replace')).digest()[0]"),
    ("import random", "random.Random(# & 7).randrange(50)"),
    ("import copy", "len(copy.deepcopy([@, @]))"),
    ("import textwrap", "len(textwrap.fill($ * 9, 12))"),
    ("import struct", "struct.unpack('>i', struct.pack('>i', #))[0]"),
    ("import io", "io.StringIO($).write('ab')"),
    ("import urllib.parse", "len(urllib.parse.quote($))"),
    ("from typing import Any, Optional", "len(repr(Optional[int]))"),
    ("import types", "types.SimpleNamespace(a=#).a"),
    ("import calendar", "calendar.monthrange(2024, # % 12 + 1)[1]"),
    ("import ipaddress", "int(ipaddress.ip_address(abs(#) % 255))"),
    ("import uuid", "uuid.UUID(int=abs(#)).int"),
    ("import difflib", "len(list(difflib.ndiff([$], [$])))"),
    ("import operator", "operator.itemgetter(0)([#]) + operator.attrgetter('real')(#)"),
    ("import contextlib", "len([contextlib.suppress(ValueError), #])"),
    ("import graphlib", "len(list(graphlib.TopologicalSorter({1: [2], 2: [#]}).static_order()))"),
)


def use(w: Writer) -> None:
    """Import something, somewhere, and compute with it."""
    statement, template = w.choices.pick(USES)
    while "#" in template:
        template = template.replace("#", f"({expressions.number(w, 2)})", 1)
    while "@" in template:
        template = template.replace("@", containers.items(w, 2), 1)
    while "$" in template and "'$a'" not in template:
        template = template.replace("$", f"({texts.text(w, 2)})", 1)
    if w.choices.chance(25):
        with w.block("try:"):
            w.line(statement)
        with w.block("except ImportError:"):
            w.line("raise")
    elif w.choices.chance(15):
        w.line(f"if {expressions.number(w, 2)} != 777777: {statement}")
    else:
        w.line(statement)
    name = w.fresh("v")
    w.line(f"{name} = {template}")
    w.bind(name, "int")
