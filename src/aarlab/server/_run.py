"""Serve an app: in the foreground, or beside the caller's own work."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI

from aarlab.api.errors import Unreachable
from aarlab.errors import AarlabError
from aarlab.server._services import services_of

START_SECONDS = 30.0
SHUTDOWN_SECONDS = 3  # for requests in progress
LOOPBACK = "127.0.0.1"


class _Server(uvicorn.Server):
    """Sends waiting requests home before it shuts down, and tells when it listens."""

    def __init__(self, app: FastAPI, **settings: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                lifespan="on",
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                **settings,
            )
        )
        self._app = app
        self.ready = threading.Event()  # it listens, or has given up

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        services_of(self._app).bell.close()
        await super().shutdown(sockets)


def serve(app: FastAPI, host: str = LOOPBACK, port: int = 8470) -> None:
    """Serve until interrupted (SIGINT or SIGTERM).

    Args:
        app: from `create_app`.
        host: address to listen on.
        port: port to listen on.

    Raises:
        DatabaseUnusable: the app cannot open its database.
    """
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after a clean stop
        try:
            _Server(app, host=host, port=port).run()
        except SystemExit:
            _raise_failure(app)
            raise


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
