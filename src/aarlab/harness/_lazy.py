"""Import a module when it is used, not when it is named."""

import sys
from importlib.util import LazyLoader, find_spec, module_from_spec


def postpone(*names: str) -> None:
    """Put off executing these submodules until somebody asks for something in them; unknown names are left alone."""
    for name in names:
        spec = find_spec(name)
        if name in sys.modules or spec is None or spec.loader is None:
            continue
        spec.loader = LazyLoader(spec.loader)
        module = module_from_spec(spec)
        sys.modules[name] = module
        parent, _, child = name.rpartition(".")
        setattr(sys.modules[parent], child, module)  # as an import would
        spec.loader.exec_module(module)
