"""What is derived from secrets and content: token hashes, content hashes, seeds."""

import hashlib
import hmac
import secrets


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(32)


def new_secret() -> bytes:
    """A study's secret: draws its splits, seeds and guard answers."""
    return secrets.token_bytes(32)


def token_hash(token: str) -> str:
    """What the server keeps of a token. It has 256 random bits, so a plain hash suffices."""
    return hashlib.sha256(token.encode("utf-8", errors="replace")).hexdigest()


def content_hash(code: str) -> str:
    """What makes two submissions the same."""
    return hashlib.sha256(code.encode()).hexdigest()


def draw_seeds(secret: bytes, sha256: str, task: str, count: int) -> tuple[int, ...]:
    """Training seeds of an evaluation: fixed by the frozen code, and not to be guessed without the secret.

    Args:
        secret: the study's.
        sha256: content hash of the code.
        task: "public", "private" or "audit".
        count: how many.

    Returns:
        Integers of 31 bits.
    """
    digests = (hmac.new(secret, f"{sha256}:{task}:{i}".encode(), hashlib.sha256).digest() for i in range(count))
    return tuple(int.from_bytes(digest[:4], "big") >> 1 for digest in digests)
