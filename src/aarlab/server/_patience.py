"""How long the server waits for what may come right again."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Times and counts of waiting.

    Attributes:
        busy_seconds: for the database, while somebody else holds it; then whoever asked is told to come again. Less
            than a client waits for its answer.
        lease_seconds: after which a task counts as abandoned, unless its server renews the lease. Servers that share a
            database need clocks that agree to within a lease.
        retry_seconds: before a task is tried a second time, after a fault of ours; doubled for each further try.
        attempts: how often a task is taken out of the queue before it counts as failed.
    """

    busy_seconds: float = 10.0
    lease_seconds: float = 60.0
    retry_seconds: float = 5.0
    attempts: int = 3

    def backoff(self, attempts: int) -> float:
        """Seconds to wait after this many attempts."""
        return float(self.retry_seconds * 2 ** max(0, min(attempts, self.attempts) - 1))
