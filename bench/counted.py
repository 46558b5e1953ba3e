"""The service's own count, from GET /metrics, against that of its callers."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Final

import aiohttp

from bench.errors import MeasureError
from bench.ledger import Ledger

RUNS: Final = "skep_runs_total"
REQUESTS: Final = "skep_requests_total"
GAUGES_AT_REST: Final = ("skep_runs_running", "skep_runs_waiting")
_OF_THOSE_WHO_LEFT: Final = ("cancelled", "worker_lost")
"""How a run can end whose caller is not there to be told."""
_SAMPLE: Final = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')

Scrape = Mapping[tuple[str, str], float]
"""Values by the name of a series and the value of its label, empty where there is none; others are left out."""


async def scrape(url: str) -> Scrape | None:
    """What the service has counted; None if it does not say. Raises: MeasureError if it fails to."""
    async with aiohttp.ClientSession(url) as session, session.get("/metrics") as response:
        text = await response.text()
    if response.status == 404:
        return None
    if response.status != 200:
        raise MeasureError(f"GET /metrics was answered with {response.status}: {text[:500]}")
    return parse(text)


def parse(text: str) -> Scrape:
    """Series with at most one label, of the Prometheus text format. Raises: MeasureError for what is no such text."""
    found: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = _SAMPLE.match(line)
        if match is None:
            raise MeasureError(f"a line that is no sample: {line!r}")
        labels = _LABEL.findall(match["labels"] or "")
        if len(labels) <= 1:
            found[match["name"], labels[0][1] if labels else ""] = float(match["value"])
    return found


def compare(before: Scrape | None, after: Scrape | None, ledger: Ledger) -> None:
    """A violation for every count that differs, outcome by outcome. Nobody else may have asked this service."""
    if before is None or after is None:
        ledger.notes.append("NOT COMPARED with the service's own count: GET /metrics was answered with 404")
        return
    runs = _gained(before, after, RUNS)
    for outcome in sorted(runs.keys() | ledger.outcomes.keys()):
        # One who left does not know how the run ended: cancelled, if nothing happened to its worker before.
        extra = runs[outcome] - ledger.outcomes[outcome]
        if not 0 <= extra <= (ledger.left if outcome in _OF_THOSE_WHO_LEFT else 0):
            _differ(ledger, f"{RUNS} {outcome}", runs[outcome], ledger.outcomes[outcome])
    if runs.total() != ledger.outcomes.total() + ledger.left:
        _differ(ledger, RUNS, runs.total(), ledger.outcomes.total() + ledger.left)
    requests = _gained(before, after, REQUESTS)
    requests["200"] -= 1  # the scrape before, which was counted after it was answered
    answers = Counter({str(status): count for status, count in ledger.statuses.items()})
    answers["499"] += ledger.left
    for status in sorted(requests.keys() | answers.keys()):
        if requests[status] != answers[status]:
            _differ(ledger, f"{REQUESTS} {status}", requests[status], answers[status])
    for gauge in GAUGES_AT_REST:
        if after.get((gauge, "")) != 0:
            _differ(ledger, f"{gauge} at rest", after.get((gauge, "")), 0)
    told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(runs.items()) if count)
    ledger.notes.append(f"the service counts {runs.total()} runs: {told}; {requests.total()} requests")


def _gained(before: Scrape, after: Scrape, name: str) -> Counter[str]:
    gained: Counter[str] = Counter()
    for (series, label), value in after.items():
        if series == name:
            gained[label] = round(value - before.get((series, label), 0))
    return gained


def _differ(ledger: Ledger, what: str, theirs: object, ours: object) -> None:
    ledger.violate("counts differ", f"{what}: the service says {theirs}, its callers {ours}")
