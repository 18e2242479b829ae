"""The remote student reads what was asked beforehand, and nothing else."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest

from aarlab.students import Examples, Unsupported, make_student
from aarlab.students.remote import READOUTS, RemoteStudent

N = 6
MARGINS = np.arange(N * 2 * 2, dtype=np.float32).reshape(N, 2, 2)
LOGPROB = np.linspace(-1, 1, N, dtype=np.float32)


def student(readouts=READOUTS):
    return RemoteStudent("openai", "some/model", readouts)


def examples(pairs=True, **columns):
    columns = columns or {"margins": MARGINS, "logprob": LOGPROB}
    return Examples(columns, np.zeros(N, np.bool_), pairs)


def test_margins_are_those_stored():
    margins = student().margins(examples())
    np.testing.assert_array_equal(margins.templates, MARGINS)
    np.testing.assert_array_equal(margins.logprob, LOGPROB)
    assert margins.templates.dtype == margins.logprob.dtype == np.float64


def test_exchanged_candidates_change_the_sign_and_the_order():
    margins = student().margins(examples().swapped())
    np.testing.assert_array_equal(margins.templates, -MARGINS[:, :, ::-1])
    np.testing.assert_array_equal(margins.templates.mean(axis=2), -MARGINS.mean(axis=2))
    np.testing.assert_array_equal(margins.logprob, -LOGPROB)


def test_only_swapped_rows_are_exchanged():
    some = Examples(examples().columns, np.arange(N) % 2 == 1, pairs=True)
    margins = student().margins(some)
    np.testing.assert_array_equal(margins.templates[::2], MARGINS[::2])
    np.testing.assert_array_equal(margins.templates[1::2], -MARGINS[1::2, :, ::-1])


@pytest.mark.parametrize(
    ("column", "readable", "unread", "values"),
    [("margins", "templates", "logprob", MARGINS), ("logprob", "logprob", "templates", LOGPROB)],
)
def test_a_half_that_was_not_read_raises_when_it_is_looked_at(column, readable, unread, values):
    margins = copy.copy(student(("forced_choice",)).margins(examples(**{column: values})))
    np.testing.assert_array_equal(getattr(margins, readable), values)
    with pytest.raises(Unsupported, match="it can: forced_choice"):
        getattr(margins, unread)
    assert not hasattr(margins, "anything_else")


@pytest.mark.parametrize(
    "ask",
    [
        lambda s, e: s.hidden(e, 1, "mean"),
        lambda s, e: s.finetune(e, np.ones(N)),
        lambda s, e: s.finetune(e, np.ones(N), np.ones(N), loss="squared", seed=1, max_steps=3),
        lambda s, _: s.margins(examples(other=LOGPROB)),
    ],
)
def test_what_it_cannot_do_is_named(ask):
    with pytest.raises(Unsupported, match="it can: margins, texts"):
        ask(student(), examples())


def test_a_job_makes_it_again_and_holds_no_address():
    about, arrays = student().to_job()
    again = make_student(json.loads(json.dumps(about)), arrays)
    assert isinstance(again, RemoteStudent)
    assert (again.name, again.readouts) == ("remote:openai/some/model", READOUTS)
    assert set(about) == {"kind", "provider", "model", "readouts"}
    assert arrays == {}


def test_the_sandbox_needs_no_http_for_it():
    code = "import sys, aarlab.students.remote; sys.exit(bool({'httpx', 'pydantic', 'sqlite3'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
