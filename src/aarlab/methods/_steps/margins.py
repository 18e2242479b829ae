"""The student's zero-shot opinion."""

import numpy as np

from aarlab.students import Examples, Floats, Student, Unsupported


def views(student: Student, examples: Examples) -> Floats:
    """Margins by template and order of options, shape (n, views); positive speaks for label 1.

    On pairs each is also asked of the exchanged pair, so that exchanging candidates exactly changes all signs.
    A student that was shown no template tells its log-probabilities instead.
    """

    def asked(presented: Examples) -> Floats:
        margins = student.margins(presented)
        try:
            return margins.templates.reshape(len(presented), -1)
        except Unsupported:
            return margins.logprob[:, None]

    return (asked(examples) - asked(examples.swapped())) / 2 if examples.pairs else asked(examples)


def opinion(student: Student, examples: Examples) -> Floats:
    """Mean margin over templates and orders, shape (n,)."""
    return np.asarray(views(student, examples).mean(axis=1))


def centred(margins: Floats, pairs: bool) -> Floats:
    """Margins less their median, so that they favour neither label; those of pairs do not by themselves."""
    return margins if pairs else margins - np.median(margins, axis=0)
