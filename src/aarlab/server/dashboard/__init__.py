"""The dashboard: pages on which a person watches a study and, as its operator, steers it.

Rendered by the server; works without JavaScript but for figures and live updates. Every page is a function of a study's
record (`server/record.py`) as whoever looks may see it (`_views.py`), and lies behind a session (`_session.py`).
"""

from fastapi import FastAPI

from aarlab.server.dashboard import _controls, _entrance, _errors, _people_pages, _stream, _study_pages
from aarlab.server.dashboard._session import Gate, Sessions, is_dashboard
from aarlab.server.dashboard._views import Records, reader_of

__all__ = ["ROUTERS", "is_dashboard", "mount"]

ROUTERS = (
    _entrance.router,
    _stream.router,
    _study_pages.router,
    _people_pages.router,
    _controls.router,
)


def mount(app: FastAPI) -> None:
    """Add the dashboard to a server, at `/`."""
    app.state.sessions = Sessions()
    app.state.records = Records(*reader_of(app))
    app.state.streams = _stream.Streams()
    _errors.install(app)
    app.add_middleware(Gate)
    for router in ROUTERS:
        app.include_router(router, include_in_schema=False)
