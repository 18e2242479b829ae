"""Who may open which page, what a viewer never sees, and how forms and addresses are kept safe."""

import re

import httpx
import pytest
from starlette.routing import Route

from aarlab.api import OperatorClient
from aarlab.api.access import Role, TokenCreate
from aarlab.api.schemas import PREFIX, StudyCreate
from aarlab.server.dashboard import ROUTERS, is_dashboard
from aarlab.server.dashboard._session import MOST, Sessions, inside
from aarlab.server.dashboard._shell import figure_json, plain
from aarlab.server.dashboard._views import Records, guarded
from aarlab.server.record import Record, SubmissionRecord
from demo import HOSTILE, Demo
from double import TOKEN

OPEN = {("GET", "/login"), ("POST", "/login"), ("GET", "/static/{mark}/{name}")}
PAGES = ("", "/leaderboard", "/researchers", "/forum", "/integrity", "/diversity", "/ledger")


def dashboard_routes() -> list[tuple[str, str]]:
    return [
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    ]


def path_of(route: str, study: str) -> str:
    values = {"study": study, "submission": "2", "mark": "x", "name": "pause"}
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: values.get(found[1], "1"), route)


def test_nothing_but_the_way_in_opens_without_a_session(shown: Demo):
    routes = dashboard_routes()
    assert len(routes) >= 14
    with httpx.Client(base_url=shown.url, headers={"Origin": shown.url, "Accept": "text/html"}) as http:
        for method, route in routes:
            path = path_of(route, shown.study)
            assert is_dashboard(path), f"{route} would ask for a bearer token"
            for headers in ({}, {"Authorization": f"Bearer {TOKEN}"}, {"Cookie": "aarlab-0=x"}):
                answer = http.request(method, path, headers=headers)
                if (method, route) in OPEN:
                    assert answer.status_code in (200, 404, 422)
                elif method == "GET":
                    assert (answer.status_code, answer.headers["location"][:6]) == (303, "/login"), path
                else:
                    assert answer.status_code == 401, path


def test_unknown_paths_still_ask_for_a_token(shown: Demo):
    for path in ("/anything", "/study", "/static", "/studies", "/login/x", "//studies/", "/..", f"{PREFIX}/studies"):
        assert httpx.get(shown.url + path).status_code == 401


def test_a_link_logs_in_and_leaves_no_token_behind(shown: Demo):
    with httpx.Client(base_url=shown.url) as http:
        answer = http.get("/login", params={"token": TOKEN, "next": f"/studies/{shown.study}?a=b"})
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/studies/{shown.study}?a=b"
        cookie = answer.headers["set-cookie"]
        assert TOKEN not in cookie
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        page = http.get(answer.headers["location"])
    assert page.status_code == 200
    assert TOKEN not in page.text
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-store"
    policy = page.headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in policy.split("; ")


def test_a_link_on_another_site_replaces_no_session(shown: Demo, opened):
    page = opened(shown.url, TOKEN)
    mine = page.context.cookies()
    link = f"{shown.url}/login?token={shown.viewer}&next=/studies/{shown.study}"
    page.goto("about:blank")
    page.set_content(f'<a href="{link}">a cat</a>')
    page.click("a")
    page.wait_for_url(re.compile("/login"))
    assert "paste the token" in page.inner_text("[role=alert]")
    assert page.context.cookies() == mine != []


@pytest.mark.parametrize(
    ("site", "logs_in"),
    [("none", True), ("same-origin", True), ("same-site", False), ("cross-site", False), ("", False)],
)
def test_where_a_link_stood_decides_whether_it_logs_in(shown: Demo, site: str, logs_in: bool):
    link = httpx.URL(f"{shown.url}/login", params={"token": TOKEN})
    answer = httpx.get(link, headers={"Sec-Fetch-Site": site, "Accept": "text/html"})
    assert ("set-cookie" in answer.headers) == logs_in
    assert ("paste the token" in answer.text) != logs_in
    assert TOKEN not in answer.text


@pytest.mark.parametrize("token", ["", "wrong", "x" * 5000, "\udcff", "a\0b"])
def test_wrong_tokens_do_not_log_in(shown: Demo, token: str):
    with httpx.Client(base_url=shown.url, headers={"Origin": shown.url, "Accept": "text/html"}) as http:
        answer = http.post("/login", data={"token": token.encode(errors="surrogateescape")})
        assert answer.status_code in (401, 422)
        assert not http.cookies
        assert http.get("/").status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/studies/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/studies/a\r\nSet-Cookie: x=y",
        "/api/v1/studies",
        "studies/x",
        "",
    ],
)
def test_login_leads_nowhere_else(path: str):
    assert inside(path) == "/"


def test_login_leads_on_to_a_page():
    assert inside("/studies/chat-1/forum?tag=a#b") == "/studies/chat-1/forum?tag=a#b"


def test_a_session_ends_with_its_token(shown: Demo, visit):
    issued = shown.operator.issue(TokenCreate(role=Role.VIEWER, study=shown.study))
    http = visit(shown.url, issued.token)
    assert http.get(f"/studies/{shown.study}").url.path == f"/studies/{shown.study}"
    shown.operator.revoke(issued.about.id)
    assert http.get(f"/studies/{shown.study}").url.path == "/login"


def test_logging_out_ends_the_session(shown: Demo, visit):
    http = visit(shown.url, shown.viewer)
    kept = dict(http.cookies)
    assert http.post("/logout", data={"csrf": csrf(http.get("/").text)}).url.path == "/login"
    answer = httpx.get(f"{shown.url}/", cookies=kept)
    assert answer.status_code == 401


def test_sessions_do_not_fill_the_memory():
    class App:
        class state:  # noqa: N801
            pass

    sessions = Sessions()
    from aarlab.server.dashboard import _session

    class Known:
        class tokens:  # noqa: N801
            @staticmethod
            def identify(_token):
                return _session.Operator()

            @staticmethod
            def known(_hashed):
                return _session.Operator()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_session, "services_of", lambda _app: Known)
        first, other = sessions.begin(App, "token"), sessions.begin(App, "another's")
        for _ in range(MOST):
            last = sessions.begin(App, "token")
        assert sessions.visitor(App, first) is None
        assert sessions.visitor(App, last) is not None
        assert sessions.visitor(App, other) is not None, "one token ends its own sessions only"
        for n in range(MOST):
            sessions.begin(App, f"token {n}")
        assert sessions.visitor(App, last) is None


def csrf(page: str) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', page)[1]


def test_other_studies_look_absent(shown: Demo, visit):
    other = shown.operator.create_study(StudyCreate(testbed="synthetic")).id
    for token in (shown.viewer, shown.token):
        http = visit(shown.url, token)
        assert other not in http.get("/").text
        for rest in PAGES:
            absent, foreign = http.get(f"/studies/nowhere{rest}"), http.get(f"/studies/{other}{rest}")
            assert absent.status_code == foreign.status_code == 404, rest
            assert absent.text.replace("nowhere", other) == foreign.text
        assert http.get(f"/studies/{other}/stream").status_code == 404


def test_a_page_that_is_not_there_is_a_page(shown: Demo, visit):
    answer = visit(shown.url, TOKEN).get("/studies/no%2Fwhere%3Cb%3E")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<b>" not in answer.text


def exact_figures(record: Record) -> set[str]:
    """What must never be told to a viewer, as pages would write it and as figures would hold it."""
    found = set()
    for one in record.submissions:
        for score in (one.public, one.private):
            if score is None:
                continue
            numbers = [*score.accuracy, sum(score.accuracy) / len(score.accuracy)]
            found |= {f"{number:.4f}" for number in numbers} | {repr(number) for number in numbers}
            found |= {str(seed) for seed in score.seeds}
            if score.pgr is not None:
                found |= {repr(score.pgr.estimate), repr(score.pgr.low), repr(score.pgr.high)}
        for number in (one.p_private, one.gain_private and one.gain_private.estimate):
            if number is not None:
                found.add(repr(number))
    return {number for number in found if len(number) >= 6}  # shorter ones may be anything


def test_no_page_of_a_viewer_holds_an_exact_figure(shown: Demo, record: Record, visit):
    secret = exact_figures(record)
    told = {repr(value) for one in record.submissions if one.told for value in (one.told.accuracy, one.told.pgr)}
    assert len(secret - told) > 50
    audits = [
        found.finding.summary for one in record.submissions for found in one.audits if len(found.finding.summary) > 20
    ]
    assert audits
    paths = [f"/studies/{shown.study}{rest}" for rest in PAGES]
    paths += [f"/studies/{shown.study}/leaderboard?sort={key}" for key in ("private", "gain", "p", "teacher", "cost")]
    paths += [f"/studies/{shown.study}/submissions/{one.id}" for one in record.submissions]
    paths += [f"/studies/{shown.study}/researchers/{one.name}" for one in record.researchers]
    for token in (shown.viewer, shown.token):
        http = visit(shown.url, token)
        for path in paths:
            answer = http.get(path)
            assert answer.status_code in (200, 403), path
            words = set(re.findall(r"\d+\.\d+(?:e-?\d+)?|\d{6,}", answer.text))
            assert not words & (secret - told), path
            assert not [summary for summary in audits if summary in answer.text], path
            assert 'action="/studies/' not in answer.text, "there is a control on it"
    operators = visit(shown.url, TOKEN).get(f"/studies/{shown.study}").text
    assert set(re.findall(r"\d+\.\d+", operators)) & secret, "the search finds nothing where there is something"


def test_what_a_viewer_gets_holds_nothing_exact(record: Record):
    cut = guarded(record)
    document = cut.model_dump_json(include={"submissions", "ranking", "probing", "events", "snapshots", "charges"})
    told = {repr(value) for one in record.submissions if one.told for value in (one.told.accuracy, one.told.pgr)}
    assert not set(re.findall(r"\d+\.\d+", document)) & (exact_figures(record) - told)
    assert cut.events == cut.probing == cut.snapshots == ()
    assert all(charge.researcher is not None for charge in cut.charges)
    accuracies = [one.told.accuracy for rank in cut.ranking for one in cut.submissions if one.id == rank]
    levels = [one.level for rank in cut.ranking for one in cut.submissions if one.id == rank]
    assert list(zip([-level for level in levels], [-a for a in accuracies], strict=True)) == sorted(
        zip([-level for level in levels], [-a for a in accuracies], strict=True)
    ), "the order would tell more than the figures"


def test_every_field_of_a_record_was_thought_of():
    """A new field is shown to viewers unless `guarded` takes it out: decide, then name it here."""
    shown_to_all = {
        *("id", "researcher", "method", "sha256", "parent", "note", "family", "complexity", "likeness", "status"),
        *("level", "created_at", "ended_at", "hours", "code", "told", "failure"),
    }
    taken_out = {
        *("public", "private", "failure_private", "gain_private", "p_private", "audited", "audits", "flags"),
        *("teacher_dependence", "student_dependence", "dollars"),
    }
    assert set(SubmissionRecord.model_fields) == shown_to_all | taken_out
    assert set(Record.model_fields) == {
        *("format", "made_by", "study", "researchers", "submissions", "ranking", "findings", "snapshots", "probing"),
        *("diversity", "likeness", "ledger", "charges", "events"),
    }


def test_a_record_is_read_once_for_each_state(record: Record):
    number, reads = [1], []

    def read(study: str) -> Record:
        reads.append(study)
        return record

    records = Records(lambda _: number[0], read)
    first = records.view("a", exact=True)
    assert records.view("a", exact=True) is first
    assert records.view("a", exact=False).record.events == ()
    made = [first.once("x", lambda _: object()) for _ in range(2)]
    assert made[0] is made[1]
    assert len(reads) == 1
    number[0] = 2
    assert records.view("a", exact=True).number == 2
    assert len(reads) == 2


def test_looking_is_noted_once_a_session(shown: Demo, visit):
    def looks() -> int:
        return sum(
            event.kind == "figures.read" and event.payload == {"what": "dashboard"}
            for event in shown.operator.events(shown.study)
        )

    before = looks()
    operator = visit(shown.url, TOKEN)
    for rest in ("", "/leaderboard", ""):
        operator.get(f"/studies/{shown.study}{rest}")
    assert looks() == before + 1
    visit(shown.url, shown.viewer).get(f"/studies/{shown.study}")
    assert looks() == before + 1


def test_files_are_served_for_good_and_compressed(shown: Demo, visit):
    page = visit(shown.url, shown.viewer).get("/").text
    paths = re.findall(r'(?:src|href|data-plotly)="(/static/[^"]+)"', page)
    assert len(paths) == 3
    for path in paths:
        answer = httpx.get(shown.url + path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-encoding"] == "gzip"
        plain_one = httpx.get(shown.url + path, headers={"Accept-Encoding": "identity"})
        assert plain_one.content == answer.content
    for path in ("/static/x/app.js", "/static/x/..%2f_shell.py", paths[0].rpartition("/")[0] + "/_shell.py"):
        assert httpx.get(shown.url + path).status_code == 404


def test_figures_cannot_break_out_of_their_element():
    class Drawn:
        def to_plotly_json(self):
            return {"data": [{"text": ["</script><script>window.hacked=1</script>\u2028"]}], "layout": {"template": {}}}

    written = str(figure_json(Drawn()))
    assert not set("<>&\u2028") & set(written)
    assert "template" not in written


def test_text_in_figures_has_no_tags_and_an_end():
    assert "<" not in plain(HOSTILE)
    assert len(plain("x" * 500, 20)) == 20


def test_pages_can_be_reached_by_a_client_of_the_api(shown: Demo):
    """The API still wants a bearer token, and takes no cookie."""
    with httpx.Client(base_url=shown.url) as http:
        http.get("/login", params={"token": TOKEN})
        assert http.cookies
        assert http.get(f"{PREFIX}/studies").status_code == 401
    with OperatorClient(shown.url, TOKEN) as operator:
        assert operator.study(shown.study).id == shown.study


def test_a_fault_of_ours_is_told_without_its_inside(world, visit, monkeypatch):
    def broken(*_):
        raise RuntimeError("secret inside")

    monkeypatch.setattr("aarlab.server.dashboard._study_pages.study_context", broken)
    answer = visit(world.url, TOKEN).get(f"/studies/{world.study}")
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")
    assert "its log says why" in answer.text
    assert "secret inside" not in answer.text
    assert answer.headers["content-security-policy"]
