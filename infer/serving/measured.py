"""Figures for Prometheus: requests, seconds, what waits, what was loaded.

In: what happens. Out: the text that `/metrics` answers with.

    figures.requests.labels("recommend", "200").inc()
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
PREFIX = "recommender"


class Figures:
    """Counters of one application."""

    def __init__(self) -> None:
        kept = self._registry = CollectorRegistry()
        ProcessCollector(registry=kept)
        self.requests = Counter(
            f"{PREFIX}_requests", "Requests that were answered, by path and status.", ["path", "status"], registry=kept
        )
        self.seconds = Histogram(
            f"{PREFIX}_request_seconds", "Seconds from the headers to the end of the answer.", ["path"],
            buckets=SECONDS, registry=kept,
        )  # fmt: skip
        self.in_progress = Gauge(f"{PREFIX}_requests_in_progress", "Requests without an answer yet.", registry=kept)
        self.waiting = Gauge(f"{PREFIX}_calls_accepted", "Calls of models that run or wait.", registry=kept)
        self.loads = Counter(
            f"{PREFIX}_loads", "Models and lists that were loaded, or failed to be.", ["what", "name", "outcome"],
            registry=kept,
        )  # fmt: skip
        self.loaded_at = Gauge(
            f"{PREFIX}_loaded_timestamp_seconds", "When what is served was loaded.", ["what", "name"], registry=kept
        )

    @property
    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)
