"""Modules that are put off are whole when they are used, and cost nothing before."""

import json
import subprocess
import sys

CODE = """
import json, sys
from aarlab.harness._lazy import postpone
postpone("numpy.f2py", "numpy.testing", "numpy.there_is_none")
import scipy.optimize
before = "numpy.f2py.crackfortran" in sys.modules
import numpy.testing
numpy.testing.assert_allclose(1.0, 1.0)
from numpy.f2py import crackfortran
print(json.dumps([before, numpy.f2py.__name__, crackfortran.__name__, "numpy.there_is_none" in sys.modules]))
"""


def test_what_is_put_off_is_there_when_it_is_used():
    told = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
    assert json.loads(told) == [False, "numpy.f2py", "numpy.f2py.crackfortran", False]
