"""What a remote model is asked about an example, and what its answer says: prompts out, margins back.

Three readouts:

    forced_choice         two options, one letter; the difference of the letters' log-probabilities where the API tells
                          them, else +-`SAMPLED_MARGIN` for the letter that was written
    reason_then_choose    the same options, after reasoning; +-`SAMPLED_MARGIN`
    continuation_logprob  mean log-probability per token of a candidate after its question
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from aarlab.students._remote_wire import LEAST_LOGPROB, Said
from aarlab.students.remote import CONTINUATION

PAIR = """Question:
{prompt}

Answer A:
{a}

Answer B:
{b}

Which answer is better: correct, and true?"""
SINGLE = """Question:
{prompt}

Proposed answer:
{candidate}

Is the proposed answer correct?
A: {a}
B: {b}"""
VERDICTS = ("Yes", "No")
ENDINGS = {
    "forced_choice": "\n\nReply with one letter only, A or B.",
    "reason_then_choose": (
        "\n\nThink it through in a few short steps. Then write a last line that is exactly `Choice: A` or `Choice: B`."
    ),
}
CONTINUED = "Question: {prompt}\nAnswer:"

MOST_TOKENS = {"forced_choice": 8, "reason_then_choose": 1024}  # a letter may come after a line break, or in brackets
SAMPLED_MARGIN = 2.0  # of a letter without its probability: as if the model were 88% sure
BLANK = " \n\t\u2581\u0120"  # as tokens write spaces, two tokenizers' signs for one included
ONE_LETTER = re.compile(r"[\s(\"'*]*([AB])(?:[).:\"'*]|\s*$)")
LAST_LINE = re.compile(r"[\s*`]*choice:[\s*`]*([AB])[\s*`.]*", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """One thing to ask.

    Attributes:
        readout: of `aarlab.students.remote.READOUTS`.
        prompt: as sent.
        candidate: what continues the prompt; empty for choices.
        order: 0 as stored, 1 with the options exchanged; the number of the candidate, for continuations.
        pair: whether the options are two candidates.
        temperature: 0 for the likeliest answer, 1 for a sample.
        sample: number of the sample.
    """

    readout: str
    prompt: str
    candidate: str
    order: int
    pair: bool
    temperature: float = 0.0
    sample: int = 0


def questions(readout: str, row: Sequence[str], samples: int) -> list[Question]:
    """What to ask about one example: (prompt, first, second candidate) or (prompt, candidate)."""
    prompt, candidates = row[0], row[1:]
    pair = len(candidates) == 2
    if readout == CONTINUATION:
        context = CONTINUED.format(prompt=prompt)
        return [Question(readout, context, f" {text}", which, pair) for which, text in enumerate(candidates)]
    asked = []
    for order in (0, 1):
        a, b = (candidates if pair else VERDICTS)[:: -1 if order else 1]
        frame = PAIR if pair else SINGLE
        text = frame.format(prompt=prompt, candidate=candidates[0], a=a, b=b) + ENDINGS[readout]
        asked += [Question(readout, text, "", order, pair, float(samples > 1), sample) for sample in range(samples)]
    return asked


def margin(said: Said, question: Question) -> float | None:
    """How far an answer to a choice speaks for label 1; None if it cannot be read."""
    speaks_for_b = _of_letter(said) if question.readout == "forced_choice" else _of_last_line(said)
    if speaks_for_b is None:
        return None
    # Label 1 is the second candidate, B as stored; or "Yes", A as stored.
    return speaks_for_b if question.pair == (question.order == 0) else -speaks_for_b


def _of_letter(said: Said) -> float | None:
    told = _difference(said.first) if said.first else None
    return _of_match(ONE_LETTER.match(said.text)) if told is None else told


def _of_last_line(said: Said) -> float | None:
    lines = said.text.strip().splitlines() if said.ended else []
    return _of_match(LAST_LINE.fullmatch(lines[-1].strip())) if lines else None


def _of_match(match: re.Match[str] | None) -> float | None:
    return None if match is None else SAMPLED_MARGIN * (1 if match[1].upper() == "B" else -1)


def _difference(first: dict[str, float]) -> float | None:
    """Log-odds of B against A from the alternatives that the API told; None if neither is among them.

    One that is missing is less likely than each that was told, and than all that was not: that bound is taken for it.
    `LEAST_LOGPROB` itself bounds nothing: a written token that is not among the likeliest is told so, however likely.
    """
    letters = {letter: [v for token, v in first.items() if token.strip(BLANK) == letter] for letter in "AB"}
    if not any(letters.values()):
        return None
    untold = 1 - math.fsum(math.exp(value) for value in first.values())
    told = [value for value in first.values() if value > LEAST_LOGPROB]
    bound = min([*told, math.log(max(untold, math.exp(LEAST_LOGPROB)))])
    a, b = (math.log(math.fsum(map(math.exp, values))) if values else bound for values in letters.values())
    return b - a
