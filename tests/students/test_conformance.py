"""All students keep the Student contract, each as far as it can."""

from dataclasses import replace

import numpy as np
import pytest

from aarlab.students import Examples
from aarlab.students.remote import READOUTS, RemoteStudent
from students.conformance import CHECKS, Case, run
from tiny_model import tiny_model, word_examples


def probe(small_testbed, pairs):
    # Read as single candidates, the differences stored for pairs will do as well.
    examples = {split: replace(small_testbed.examples(split), pairs=pairs) for split in ("train", "public")}
    return Case(
        small_testbed.student,
        examples["train"],
        small_testbed.labels("train"),
        examples["public"],
        small_testbed.labels("public"),
        steps=500,
        optimum=1e-2,
        symmetric=pairs,
        draws={"hidden_units": 4, "max_steps": 10},
    )


def lora(pairs):
    from aarlab.students.lora import LoraStudent
    from aarlab.students.lora_settings import LoraSettings

    settings = LoraSettings(rank=8, alpha=16, learning_rate=1e-2, epochs=6, batch=16, max_length=64)
    train, labels = word_examples(96, pairs=pairs)
    test, test_labels = word_examples(60, pairs=pairs, seed=1)
    return Case(
        LoraStudent.load(tiny_model(), settings),
        train,
        labels,
        test,
        test_labels,
        restored=lambda about: about | {"model": str(tiny_model())},
    )


def remote():
    rng = np.random.default_rng(0)
    columns = {"margins": rng.normal(size=(20, 2, 2)).astype(np.float32), "logprob": rng.normal(size=20)}
    examples = Examples(columns, np.zeros(20, np.bool_), pairs=True)
    return Case(RemoteStudent("openai", "model", READOUTS), examples, np.ones(20), examples, np.ones(20))


@pytest.fixture(
    scope="module",
    params=[
        "probe",
        "probe, single candidates",
        "remote",
        pytest.param("lora", marks=pytest.mark.torch),
        pytest.param("lora, single candidates", marks=pytest.mark.torch),
    ],
)
def case(request):
    kind, _, single = request.param.partition(", ")
    if kind == "lora":
        for package in ("torch", "transformers", "peft"):
            pytest.importorskip(package)
        return lora(pairs=not single)
    return remote() if kind == "remote" else probe(request.getfixturevalue("small_testbed"), not single)


@pytest.mark.parametrize("check", CHECKS)
def test_student(case, check):
    run(check, case)
