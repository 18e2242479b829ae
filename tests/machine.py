"""What this machine lets the tests do."""

from aarlab.sandbox._cgroup import make_group


def can_group() -> bool:
    """Whether this machine lets us cap a group of processes."""
    group = make_group(2**30, 100)
    if group is not None:
        group.destroy()
    return group is not None
