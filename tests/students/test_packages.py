"""What `with_requirements` names is enough to import a distribution, and no more."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from aarlab.students._packages import with_requirements

pytest.importorskip("packaging")

SITE = next(Path(folder) for folder in sys.path if Path(folder).name == "site-packages")


@pytest.mark.parametrize(("name", "module"), [("scikit-learn", "sklearn.linear_model"), ("httpx", "httpx")])
def test_a_distribution_can_be_imported_from_what_is_named(tmp_path, name, module):
    for entry in with_requirements(name):
        (tmp_path / entry).symlink_to(SITE / entry)
    code = (
        f"import sys; sys.path.append({str(tmp_path)!r}); import {module}, importlib.metadata as m; m.version({name!r})"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-B", "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_nothing_else_is_named():
    names = with_requirements("scikit-learn")
    assert {"sklearn", "scipy", "numpy", "numpy.libs", "joblib", "threadpoolctl.py"} <= set(names)
    assert not {"pytest", "httpx", "aarlab", "__pycache__", ".."} & set(names)
    assert not any(name.endswith(".pth") for name in names)
    assert names == tuple(sorted(names))


def test_extras_and_markers_are_followed_only_where_they_hold(tmp_path, monkeypatch):
    required = {
        "made-a": ["made-b[fast]>=1", "made-e; sys_platform == 'elsewhere'", "made-absent"],
        "made-b": ["made-c; extra == 'fast'", "made-d; extra == 'slow'", "made-a"],
        **{name: [] for name in ("made-c", "made-d", "made-e")},
    }
    for name, needs in required.items():
        folder = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {n}" for n in needs)]
        (folder / "METADATA").write_text("\n".join(lines))
        module = f"{name.replace('-', '_')}.py"
        (folder / "RECORD").write_text(f"{module},,\n{folder.name}/METADATA,,\n../bin/{name},,\n")
    monkeypatch.syspath_prepend(tmp_path)
    modules = [name for name in with_requirements("made-a") if name.endswith(".py")]
    assert modules == ["made_a.py", "made_b.py", "made_c.py"]


def test_what_is_not_installed_is_named():
    with pytest.raises(PackageNotFoundError, match="no-such-distribution"):
        with_requirements("no-such-distribution")
