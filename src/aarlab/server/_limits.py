"""How often anybody may ask: token buckets, one a bearer token and one an address that has none. In memory.

What is protected: one client cannot crowd out the others, a forgotten loop or a guesser of tokens is slowed down, and
whoever comes from a million addresses does not fill the memory. What is not: many addresses together get many
buckets' worth, and a restart fills all buckets; against a flood from outside, the proxy in front needs limits too.
"""

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

KEPT = 10_000  # buckets of one kind, some 200 bytes each
IPV6_PREFIX = 64  # bits: what one customer gets; each address of it would be a bucket of its own


@dataclass(frozen=True)
class Rate:
    """How often one may ask.

    Attributes:
        per_second: sustained, in (0, inf).
        burst: at once, at least 1.
    """

    per_second: float
    burst: int


@dataclass(frozen=True)
class Limits:
    """How often each may ask. A long poll counts once.

    Attributes:
        token: each valid token.
        address: each address, of requests that need no token or bring another proof.
        wrong: each address, of requests with a missing, unknown, expired or revoked token.
    """

    token: Rate = Rate(100, 500)
    address: Rate = Rate(50, 200)
    wrong: Rate = Rate(20, 100)


class Buckets:
    """Token buckets of one rate, by key. For one thread: that of the server's event loop."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic, kept: int = KEPT) -> None:
        """No buckets yet; one that was never asked for is full.

        Args:
            rate: at which each fills, and how much it holds.
            clock: seconds, never going back.
            kept: how many are remembered; the one asked for least recently is forgotten, and so is full again.
        """
        self._rate, self._clock, self._kept = rate, clock, kept
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()  # how much is in it, and when it was

    def take(self, key: str) -> float:
        """Take one out of a bucket.

        Returns:
            0.0 if there was one; else the seconds until there is one, and nothing was taken.
        """
        now = self._clock()
        held, at = self._filled.pop(key, (float(self._rate.burst), now))
        held = min(float(self._rate.burst), held + (now - at) * self._rate.per_second)
        missing = max(0.0, 1.0 - held)
        self._filled[key] = (held if missing else held - 1.0, now)
        if len(self._filled) > self._kept:
            self._filled.popitem(last=False)
        return missing / self._rate.per_second

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._filled)


class Gate:
    """All buckets of a running server."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.tokens = Buckets(limits.token, clock)
        self.addresses = Buckets(limits.address, clock)
        self.wrong = Buckets(limits.wrong, clock)


def address_of(client: tuple[str, int] | None) -> str:
    """What an address is counted under: itself, or the network of an IPv6 address; one for all of a unix socket."""
    if client is None:
        return "unix"
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return client[0][:100]  # a test client's, or what a proxy forwarded
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address.packed, IPV6_PREFIX), strict=False))


def retry_after(seconds: float) -> str:
    """A wait as the header `Retry-After` says it: whole seconds, at least one."""
    return str(max(1, math.ceil(seconds)))
