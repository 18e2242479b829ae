"""Serve an app: in the foreground, or beside the caller's own work."""

import contextlib
import gc
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from anyio import to_thread
from fastapi import FastAPI

from aarlab.api.errors import Unreachable
from aarlab.errors import AarlabError
from aarlab.server._services import services_of

START_SECONDS = 30.0
# Python runs one thread at a time, so more of them only wait for each other: with 40 and Python's own interval the
# slowest hundredth of reads took five times as long under load (docs/log.md).
THREADS = 6  # that answer requests
SWITCH_SECONDS = 0.0002  # how long one keeps another waiting
KEEP_ALIVE_SECONDS = 75  # longer than clients keep a silent connection, or they would send into one just closed
SHUTDOWN_SECONDS = 3  # for requests in progress
LOOPBACK = "127.0.0.1"


class _Server(uvicorn.Server):
    """Sends waiting requests home before it shuts down, and tells when it listens."""

    def __init__(
        self, app: FastAPI, proxy: str | None = None, listening: Callable[[], None] = lambda: None, **settings: Any
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="on",
                server_header=False,
                proxy_headers=proxy is not None,  # else whoever asks could say that it is somebody else
                forwarded_allow_ips=proxy,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                **settings,
            )
        )
        self._app, self._listening = app, listening
        self.ready = threading.Event()  # it listens, or has given up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets)
        self.ready.set()
        self._listening()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        services_of(self._app).bell.close()
        await super().shutdown(sockets)


def serve(
    app: FastAPI,
    host: str = LOOPBACK,
    port: int = 8470,
    *,
    unix_socket: Path | None = None,
    proxy: str | None = None,
    listening: Callable[[], None] = lambda: None,
) -> None:
    """Serve until interrupted (SIGINT or SIGTERM).

    What is protected: a socket file is of mode 0600 before anybody can connect to it. What is not: what travels beyond
    this machine; put TLS in front.

    Args:
        app: from `create_app`.
        host: address to listen on.
        port: port to listen on.
        unix_socket: listen on this socket file instead; made here, and removed at the end.
        proxy: address of a reverse proxy whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed; None believes
            nobody. On a socket file, whoever can connect to it is the proxy.
        listening: called once, from the server's own thread, when it takes requests; must return at once.

    Raises:
        DatabaseUnusable: the app cannot open its database.
        SocketUnusable: the socket file cannot be made, or another server listens on it.
    """

    def listens() -> None:
        gc.freeze()  # what is loaded by now is no garbage, and need not be looked through again and again
        listening()

    sys.setswitchinterval(SWITCH_SECONDS)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after a clean stop
        try:
            if unix_socket is None:
                _Server(app, proxy, listens, host=host, port=port).run()
            else:
                with socket_file(unix_socket) as listener:
                    _Server(app, None if proxy is None else "*", listens).run(sockets=[listener])
        except SystemExit:
            _raise_failure(app)
            raise


class SocketUnusable(AarlabError):
    """A socket file cannot be listened on."""


@contextlib.contextmanager
def socket_file(path: Path) -> Iterator[socket.socket]:
    """A socket that only its owner can connect to, bound to a file while the block runs.

    Args:
        path: of the file; a socket that nobody listens on any more is replaced.

    Raises:
        SocketUnusable: there is another file, a server listens on it, or it cannot be made.
    """
    advice = "Name another path, in a folder of your own."
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            if path.is_socket():
                _remove_stale(path)
            listener.bind(str(path))
            path.chmod(0o600)  # nobody can connect before it listens, which comes later
        except OSError as error:
            reason = error.strerror or error
            raise SocketUnusable(f"{path} cannot be listened on: {reason}.", advice) from None
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a server that is gone.

    Raises:
        SocketUnusable: one listens.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        try:
            visitor.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise SocketUnusable(f"A server listens on {path} already.", "Stop it, or name another path.")


@contextlib.contextmanager
def embedded(app: FastAPI) -> Iterator[str]:
    """Serve on a free port of this machine's loopback while the block runs.

    Args:
        app: from `create_app`.

    Yields:
        The server's address, such as `http://127.0.0.1:40123`.

    Raises:
        DatabaseUnusable: the app cannot open its database.
        Unreachable: it did not start for another reason; its log says why.
    """
    # The protocol is named because asyncio sets TCP_NODELAY only then; without it each answer takes 40 ms more.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind((LOOPBACK, 0))  # before the thread starts, so the port is known and nobody takes it
        port = listener.getsockname()[1]
        server = _Server(app, log_config=None)
        thread = threading.Thread(target=_run, args=(server, listener), name="aarlab-server")
        thread.start()
        try:
            if not server.ready.wait(START_SECONDS) or not server.started:
                _raise_failure(app)
                raise Unreachable("The server did not start.", "Its log says why.")
            yield f"http://{LOOPBACK}:{port}"
        finally:
            server.should_exit = True
            thread.join()


def _raise_failure(app: FastAPI) -> None:
    """Raise what kept an app from starting, if it is known."""
    failure = getattr(app.state, "failure", None)
    if isinstance(failure, AarlabError):
        raise failure


def _run(server: _Server, listener: socket.socket) -> None:
    try:
        server.run(sockets=[listener])
    except SystemExit:  # uvicorn's word for a start that failed, which it has logged
        pass
    finally:
        server.ready.set()
