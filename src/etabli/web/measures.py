"""What the lab measures of itself, for Prometheus: few series, none that names a person, a project or a service.

Counting costs a dictionary's entry; the library that writes the format is loaded when somebody first asks.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etabli.kernel.clock import Clock
from etabli.kernel.events import Event
from etabli.web.access import route_of

LAUNCH_BUCKETS = (
    0.5,
    1.0,
    2.0,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)  # Seconds; an environment that must be built takes minutes.
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
MOST_WAITING = 1000  # Launches that are followed at once.


class Histogram:
    """How many took at most so long."""

    def __init__(self, buckets: tuple[float, ...]) -> None:
        self.buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        place = next((place for place, bound in enumerate(self.buckets) if value <= bound), len(self.buckets))
        self.counts[place] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        """As Prometheus has it: each bound with all below it."""
        total, found = 0, []
        for bound, count in zip((*map(str, self.buckets), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class Measures:
    """Counts of this process, from its start."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.requests: Counter[tuple[str, str, str]] = Counter()  # Method, route's template, status.
        self.seconds = Histogram(REQUEST_BUCKETS)
        self.launches: Counter[str] = Counter()  # `launched`, `ready`, `failed`.
        self.launch_seconds = Histogram(LAUNCH_BUCKETS)
        self.builds: Counter[str] = Counter()  # `building`, `build-failed`: what services waited for.
        self.streams = 0  # Open now.
        self._waiting: OrderedDict[str, float] = OrderedDict()  # Services that were launched and do not answer yet.

    def hear(self, event: Event) -> None:
        """Count what happened to a service."""
        if event.topic != "service":
            return
        service_id, detail, at = event.subject, event.detail, self._clock.monotonic()
        if detail in ("building", "build-failed"):
            self.builds[detail] += 1
        if detail == "launched":
            self.launches[detail] += 1
            self._waiting[service_id] = at
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
        elif detail in ("ready", "failed", "deleted") and service_id in self._waiting:
            began = self._waiting.pop(service_id)
            self.launches[detail] += 1
            if detail == "ready":
                self.launch_seconds.observe(at - began)


class Measuring:
    """ASGI middleware: each request by its route's template, never by its address."""

    def __init__(self, app: ASGIApp, *, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        began, status, is_stream = clock(), 500, False

        async def sending(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                is_stream = any(
                    name == b"content-type" and value.startswith(b"text/event-stream")
                    for name, value in message["headers"]
                )
                self._measures.streams += is_stream
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._measures.streams -= is_stream
            self._measures.requests[scope["method"], route_of(scope), str(status)] += 1
            if not is_stream:
                self._measures.seconds.observe(clock() - began)


class Written:
    """The measures as Prometheus's library collects them, with what is true of the lab at this moment."""

    def __init__(self, measures: Measures, gauges: dict[str, tuple[str, dict[str, float]]]) -> None:
        self._measures = measures
        self._gauges = gauges  # By name: what it tells, and values by their one label; `` where there is none.

    def text(self) -> bytes:
        """In the text format of Prometheus, version 0.0.4."""
        # Heavy, and most labs are never asked.
        from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest  # noqa: PLC0415 - As above.

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Any]:
        """Every family."""
        from prometheus_client import core  # noqa: PLC0415 - As above.

        kept = self._measures
        requests = core.CounterMetricFamily(
            "etabli_http_requests", "Requests, by route.", labels=["method", "route", "status"]
        )
        for labels, count in kept.requests.items():
            requests.add_metric(list(labels), count)
        yield requests
        for name, told, counts, label in (
            ("etabli_launches", "Services launched, and what came of it.", kept.launches, "outcome"),
            ("etabli_environment_builds", "Environments that services waited for.", kept.builds, "outcome"),
        ):
            family = core.CounterMetricFamily(name, told, labels=[label])
            for value, count in counts.items():
                family.add_metric([value], count)
            yield family
        for name, told, histogram in (
            ("etabli_http_request_seconds", "How long requests take, streams apart.", kept.seconds),
            ("etabli_launch_seconds", "From a launch until it answers.", kept.launch_seconds),
        ):
            written = core.HistogramMetricFamily(name, told)
            written.add_metric([], histogram.cumulative(), sum_value=histogram.sum)
            yield written
        yield core.GaugeMetricFamily("etabli_live_streams", "Streams that browsers hold open.", value=kept.streams)
        for name, (told, values) in self._gauges.items():
            label = name.rpartition("_by_")[2]
            gauge = core.GaugeMetricFamily(name.partition("_by_")[0], told, labels=[label] if "_by_" in name else None)
            for value, number in values.items():
                gauge.add_metric([value] if "_by_" in name else [], number)
            yield gauge
