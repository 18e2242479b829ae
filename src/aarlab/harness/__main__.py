"""`python -m aarlab.harness JOB_FOLDER`: run one method with one seed, both told through the pipe."""

import sys
from pathlib import Path

from aarlab.harness._lazy import postpone

# scipy imports all of numpy's namespace, and these two with it: a fifth of the CPU that a sandbox needs to start.
postpone("numpy.f2py", "numpy.testing")

from aarlab.harness._serve import serve  # noqa: E402 - imports scipy

serve(Path(sys.argv[1]))
