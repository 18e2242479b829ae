"""What an operator does from the dashboard, what nobody else can, and what a forged form cannot."""

import html
import re

import httpx
import pytest

from aarlab.api.access import Role, TokenCreate
from aarlab.api.schemas import Level, SubmissionCreate
from aarlab.server import create_app, embedded
from aarlab.server.dashboard._controls import ACTS
from double import TOKEN, Double, only


def csrf(page: str) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', page)[1]


@pytest.fixture
def operator(world, visit) -> httpx.Client:
    return visit(world.url, TOKEN)


def act(http: httpx.Client, path: str, *, sure: bool = True, **fields: object) -> httpx.Response:
    """Sends a form, then the one on the page that asks whether one is sure."""
    page = http.get("/").text
    answer = http.post(path, data={"csrf": csrf(page), **fields})
    if not sure or answer.status_code != 200:
        return answer
    kept: dict[str, list[str]] = {}
    for name, value in re.findall(
        r'<input type="hidden" name="([^"]+)" value="([^"]*)"', answer.text.partition("<main")[2]
    ):
        kept.setdefault(name, []).append(html.unescape(value))
    return http.post(path, data=kept)


def kinds(world, study: str | None = None) -> list[str]:
    """What the operator did, in order."""
    events = world.operator.events(study or world.study)
    return [event.kind for event in events if event.actor == "operator" and event.kind != "figures.read"]


def test_nothing_is_done_before_one_is_sure(world, operator):
    before = kinds(world)
    answer = act(operator, f"/studies/{world.study}/controls/pause", sure=False)
    assert "Pause the study?" in answer.text
    assert not world.operator.study(world.study).paused
    assert kinds(world) == before


def test_pause_and_go_on(world, operator):
    answer = act(operator, f"/studies/{world.study}/controls/pause")
    assert answer.url.path == f"/studies/{world.study}"
    assert world.operator.study(world.study).paused
    act(operator, f"/studies/{world.study}/controls/resume")
    assert not world.operator.study(world.study).paused
    assert kinds(world)[-2:] == ["study.paused", "study.resumed"]


def test_finish(world, operator):
    act(operator, f"/studies/{world.study}/controls/finish")
    assert world.operator.study(world.study).finished
    assert kinds(world)[-1] == "study.finished"
    refused = act(operator, f"/studies/{world.study}/controls/pause")
    assert refused.status_code == 409
    assert "over" in refused.text


def test_budgets_are_raised_and_lifted(world, operator):
    path = f"/studies/{world.study}/controls/budgets"
    act(operator, path, evaluations_per_researcher="9", evaluations_per_study="50", dollars_per_study="12.5")
    study = world.operator.study(world.study)
    assert (study.evaluations_per_researcher, study.evaluations_per_study, study.dollars_per_study) == (9, 50, 12.5)
    act(operator, path, evaluations_per_study="")
    study = world.operator.study(world.study)
    assert (study.evaluations_per_study, study.dollars_per_study) == (None, 12.5)
    assert kinds(world).count("budget.changed") == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"evaluations_per_researcher": "many"},
        {"evaluations_per_researcher": "0"},
        {"dollars_per_study": "nan"},
        {"dollars_per_study": "-1"},
        {"dollars_per_study": "1e400"},
        {"evaluations_per_researcher": "5"},
        {},
    ],
)
def test_budgets_that_make_no_sense_are_refused(world, operator, fields):
    answer = act(operator, f"/studies/{world.study}/controls/budgets", **fields)
    assert answer.status_code == 422
    assert "budget.changed" not in kinds(world)


def test_a_budget_below_what_is_spent_is_refused(world, operator):
    ada = world.admit()
    for n in range(2):
        ada.wait(ada.submit(SubmissionCreate(name="m", code=f"# {n}")).id)
    answer = act(operator, f"/studies/{world.study}/controls/budgets", evaluations_per_researcher="1")
    assert answer.status_code == 409
    assert world.operator.study(world.study).evaluations_per_researcher == 5


def test_a_researchers_budget(world, operator):
    world.admit()
    (ada,) = world.operator.researchers(world.study)
    path = f"/studies/{world.study}/controls/researcher"
    answer = act(operator, path, researcher=ada.id, evaluations="11", dollars="3")
    assert answer.status_code == 200
    assert world.operator.researchers(world.study)[0].evaluations_limit == 11
    assert act(operator, path, researcher="999", evaluations="12").status_code == 404


def test_audit_overrule_and_confirm(world, operator):
    ada = world.admit()
    one = ada.wait(ada.submit(SubmissionCreate(name="m", code="# accuracy=0.8\n# flag=reading\n")).id).id
    controls = f"/studies/{world.study}/controls"
    answer = act(operator, f"{controls}/audit", submissions=[one])
    assert answer.url.path == f"/studies/{world.study}/submissions/{one}"
    world.operator.audit(world.study, [one])  # waits
    assert world.operator.submission(one).level == Level.REPLICATED
    asked = act(operator, f"{controls}/confirm", sure=False, submissions=[one])
    assert "Not through their audits" in asked.text
    short = act(operator, f"{controls}/overrule", submission=one, audit="reading", verdict="passed", reason="no")
    assert short.status_code == 422
    reason = "Read the code: <b>it reads its own cache</b>."
    act(operator, f"{controls}/overrule", submission=one, audit="reading", verdict="passed", reason=reason)
    assert world.operator.submission(one).level == Level.AUDITED
    act(operator, f"{controls}/confirm", submissions=[one])
    world.operator.confirm(world.study, [one])
    assert world.operator.submission(one).level == Level.CONFIRMED
    page = operator.get(f"/studies/{world.study}/submissions/{one}").text
    assert "&lt;b&gt;it reads" in page
    assert "<b>it reads" not in page
    assert {"audit.requested", "audit.overruled", "private.requested"} <= set(kinds(world))


@pytest.mark.parametrize("name", ["audit", "confirm"])
@pytest.mark.parametrize("submissions", [[], ["999"], ["x"], ["-1"], ["9" * 30]])
def test_what_is_not_there_is_not_audited(world, operator, name, submissions):
    answer = act(operator, f"/studies/{world.study}/controls/{name}", submissions=submissions)
    assert answer.status_code == (404 if submissions else 422)


def test_start_a_study(world, operator):
    answer = act(operator, "/studies/start", testbed="synthetic", evaluations_per_researcher="7", dollars_per_study="")
    assert answer.status_code == 200
    new = world.operator.studies()[-1]
    assert answer.url.path == f"/studies/{new.id}"
    assert new.evaluations_per_researcher == 7
    assert kinds(world, new.id)[0] == "study.created"


def test_starting_twice_starts_one(world, operator):
    page = operator.get("/").text
    asked = operator.post("/studies/start", data={"csrf": csrf(page), "testbed": "synthetic"})
    key = re.search(r'name="key" value="([^"]+)"', asked.text)[1]
    fields = {"csrf": csrf(page), "testbed": "synthetic", "key": key, "sure": "yes"}
    first, second = (operator.post("/studies/start", data=fields) for _ in range(2))
    assert first.url == second.url
    assert len(world.operator.studies()) == 2


def test_an_unknown_testbed_is_told(world, operator):
    answer = act(operator, "/studies/start", testbed="nowhere")
    assert answer.status_code == 422
    assert len(world.operator.studies()) == 1


def test_an_operator_of_one_study_starts_none(world, visit):
    token = world.operator.issue(TokenCreate(role=Role.OPERATOR, study=world.study)).token
    http = visit(world.url, token)
    assert "Start a study" not in http.get("/").text
    assert act(http, "/studies/start", testbed="synthetic").status_code == 403
    assert act(http, f"/studies/{world.study}/controls/pause").status_code == 200
    assert world.operator.study(world.study).paused


def test_others_can_do_nothing(world, visit):
    viewer = world.operator.issue(TokenCreate(role=Role.VIEWER)).token
    member = world.admit()._http.headers["authorization"].removeprefix("Bearer ")
    before = kinds(world)
    for token in (viewer, member):
        http = visit(world.url, token)
        for path in ["/studies/start", *(f"/studies/{world.study}/controls/{name}" for name in ACTS)]:
            answer = act(http, path, sure=False, sure_="yes", testbed="synthetic")
            assert answer.status_code == 403, path
    assert kinds(world) == before


def test_forged_forms_do_nothing(world, operator, visit):
    path = f"/studies/{world.study}/controls/pause"
    mine = csrf(operator.get("/").text)
    theirs = csrf(visit(world.url, TOKEN).get("/").text)
    sure = {"sure": "yes"}
    forged = [
        operator.post(path, data={**sure}),
        operator.post(path, data={**sure, "csrf": ""}),
        operator.post(path, data={**sure, "csrf": theirs}),
        operator.post(path, data={**sure, "csrf": "\N{SNOWMAN}"}),
        operator.post(path, data={**sure, "csrf": mine}, headers={"Origin": "https://evil.example"}),
        operator.post(path, data={**sure, "csrf": mine}, headers={"Origin": "null"}),
        operator.post(path, data={**sure, "csrf": mine}, headers={"Origin": ""}),
        operator.post(path, files={"csrf": ("x", mine.encode())}),
        operator.post(path, content=b'{"sure": "yes"}', headers={"Content-Type": "application/json"}),
    ]
    assert {answer.status_code for answer in forged} <= {400, 403, 422}
    assert operator.get(path, params={**sure, "csrf": mine}).status_code == 405
    assert not world.operator.study(world.study).paused


def test_too_large_a_form_is_refused(world, operator):
    mine = csrf(operator.get("/").text)
    path = f"/studies/{world.study}/controls/overrule"
    assert operator.post(path, data={"csrf": mine, "reason": "x" * 2**20}).status_code == 413
    many = "&".join(f"a{n}=b" for n in range(1000))
    answer = operator.post(
        path, content=f"csrf={mine}&{many}", headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert answer.status_code == 400


@pytest.mark.slow
def test_steps_in_a_browser(world, opened):
    page = opened(world.url, TOKEN, f"/studies/{world.study}")
    page.get_by_role("button", name="Pause…").click()
    page.get_by_role("heading", name="Pause the study?").wait_for()
    page.get_by_role("link", name="Cancel").click()
    assert not world.operator.study(world.study).paused
    page.get_by_role("button", name="Pause…").click()
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_role("button", name="Go on…").wait_for()
    assert world.operator.study(world.study).paused


@pytest.mark.slow
def test_steps_without_javascript(world, opened):
    page = opened(world.url, TOKEN, f"/studies/{world.study}", script=False)
    page.get_by_text("Budgets", exact=True).click()
    page.get_by_label("Evaluations of each researcher").fill("8")
    page.get_by_role("button", name="Change budgets…").click()
    assert page.get_by_text("Evaluations of each researcher: 5 becomes 8.").is_visible()
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_text("Budgets", exact=True).wait_for()
    assert world.operator.study(world.study).evaluations_per_researcher == 8


def test_a_team_is_started_where_the_server_can(tmp_path, visit):
    started = []
    app = create_app(
        tmp_path / "study.db", only(Double()), TOKEN, launch=lambda study, team: started.append((study, team))
    )
    with embedded(app) as url:
        http = visit(url, TOKEN)
        assert "Scripted researchers to start" in http.get("/").text
        asked = act(http, "/studies/start", sure=False, testbed="synthetic", researchers="4")
        assert "4 scripted researchers start at once" in asked.text
        assert started == []
        answer = act(http, "/studies/start", testbed="synthetic", researchers="4")
        assert [(f"/studies/{study}", team.researchers) for study, team in started] == [(answer.url.path, 4)]
        assert act(http, "/studies/start", testbed="synthetic", researchers="999").status_code == 422
        act(http, "/studies/start", testbed="synthetic", researchers="0")
        assert len(started) == 1
