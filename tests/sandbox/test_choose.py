"""Which sandbox is taken: the named one, or the first strong one that works, never a weaker one unasked."""

import pytest

from aarlab.sandbox import BubblewrapSandbox, LandlockSandbox, SandboxUnavailable, _choose, _confine, choose_sandbox

fresh = choose_sandbox.__wrapped__  # without what is remembered


def absent(name: str):
    def fail(*_: object):
        raise SandboxUnavailable((f"{name} is absent",))

    return fail


@pytest.fixture(autouse=True)
def forget():
    choose_sandbox.cache_clear()
    yield
    choose_sandbox.cache_clear()


def test_auto_takes_bubblewrap_first():
    assert isinstance(fresh("auto"), BubblewrapSandbox)


def test_auto_goes_on_to_containers(monkeypatch: pytest.MonkeyPatch):
    asked = []

    def working(name: str):
        asked.append(name)
        if name == "docker":
            return "docker, working"
        return absent(name)()

    monkeypatch.setattr(_choose, "_working", working)
    assert fresh("auto") == "docker, working"
    assert asked == ["bubblewrap", "podman", "docker"]


def test_auto_never_takes_landlock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_choose, "default_sandbox", absent("bubblewrap"))
    monkeypatch.setattr(_choose, "find_engine", lambda name: absent(name)())
    with pytest.raises(SandboxUnavailable) as caught:
        fresh("auto")
    assert caught.value.tried == ("bubblewrap is absent", "podman is absent", "docker is absent")


def test_a_named_one_is_not_replaced(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_choose, "find_engine", lambda name: absent(name)())
    with pytest.raises(SandboxUnavailable) as caught:
        fresh("podman")
    assert caught.value.tried == ("podman is absent",)


@pytest.mark.skipif(_confine.version() < _confine.FIRST, reason="this kernel has no Landlock")
def test_landlock_is_taken_when_named():
    sandbox = fresh("landlock")
    assert isinstance(sandbox, LandlockSandbox)
    assert not sandbox.trusted_isolation


def test_only_what_is_tried_by_auto_is_trusted():
    assert set(_choose.SANDBOXES) - set(_choose.STRONG) == {"auto", "landlock"}
    assert BubblewrapSandbox.trusted_isolation
