"""What operators count: labels are routes and outcomes, never anything of a claim."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "coverpath_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "coverpath_request_seconds", "Time of a request", ["route"], buckets=BUCKETS, registry=self.registry
        )
        self.determinations = Counter(
            "coverpath_determinations", "Determinations made", ["decision"], registry=self.registry
        )
        self.faulty = Counter("coverpath_faulty_claims", "Claims refused for their faults", registry=self.registry)
        self.waiting = Gauge("coverpath_claims_waiting", "Claims that wait for a process", registry=self.registry)
        self.replaced = Gauge(
            "coverpath_engine_replaced", "Processes replaced, for a limit or a death", registry=self.registry
        )
        self.entries = Gauge("coverpath_journal_entries", "Entries of the journal", registry=self.registry)
        self.indexed = Gauge("coverpath_index_entries", "Entries that queries see", registry=self.registry)

    def text(self) -> bytes:
        """Return the figures as Prometheus reads them."""
        return generate_latest(self.registry)
