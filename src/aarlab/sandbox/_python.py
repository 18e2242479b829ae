"""This interpreter, as a sandbox sees it: the standard library and named packages, nothing else installed."""

import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from aarlab.sandbox._types import Program

HOME = "/python"
PACKAGES = "/packages"


def python_program(
    arguments: Sequence[str],
    *,
    packages: Sequence[str] = (),
    mounts: Mapping[str, Path] | None = None,
    path: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    devices: tuple[str, ...] = (),
) -> Program:
    """A program that runs this very Python.

    Args:
        arguments: of the interpreter, such as `("-m", "module")`.
        packages: names in site-packages to make importable, with the `NAME.libs` folders they need;
            names that are not installed are left out.
        mounts: further files and folders, host path by path inside.
        path: folders inside to import from, besides the packages.
        environment: further environment variables.
        devices: device files to pass in.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    executable = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix}))
    inside = f"{HOME}/lib/{version}"
    all_mounts = {
        **_system_libraries(),
        f"{HOME}/bin/{executable.name}": executable,
        inside: library,
        **_shared_python(),
        **_packages(packages),
        **(mounts or {}),
    }
    return Program(
        argv=(f"{HOME}/bin/{executable.name}", "-s", "-P", "-B", *arguments),
        mounts=all_mounts,
        masks=tuple(f"{inside}/{name}" for name in ("site-packages", "dist-packages") if (library / name).is_dir()),
        environment={
            "PYTHONHOME": HOME,
            "PYTHONPATH": ":".join((*path, PACKAGES)),
            "LD_LIBRARY_PATH": f"{HOME}/lib",
            "LC_ALL": "C.UTF-8",
            "HOME": "/tmp",  # noqa: S108 - inside
            **(environment or {}),
        },
        devices=devices,
    )


def _system_libraries() -> dict[str, Path]:
    """Folders of the C library and the dynamic loader; only the architecture's own where there is one."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    narrow = bool(multiarch) and Path("/usr/lib", multiarch).is_dir()
    names = ["/lib64", "/usr/lib64", "/lib32", "/usr/lib32"]
    names += [f"/usr/lib/{multiarch}"] if narrow else ["/usr/lib"]
    if Path("/lib").is_symlink() or not narrow:
        names.append("/lib")
    else:
        names.append(f"/lib/{multiarch}")
    return {name: Path(name) for name in names if Path(name).is_dir()}


def _shared_python() -> dict[str, Path]:
    """libpython, where the interpreter is built against a shared one."""
    name = sysconfig.get_config_var("INSTSONAME") or ""
    path = Path(sysconfig.get_config_var("LIBDIR") or "/nowhere") / name
    return {f"{HOME}/lib/{name}": path} if ".so" in name and path.is_file() else {}


def _packages(names: Sequence[str]) -> dict[str, Path]:
    sites = [Path(folder) for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
    found = {}
    for name in names:
        for candidate in (site / form for site in sites for form in (name, f"{name}.py")):
            if candidate.exists():
                found[f"{PACKAGES}/{candidate.name}"] = candidate
                break
    return found
