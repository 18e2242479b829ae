"""Steps that several methods share. A submission may import them too."""

from aarlab.methods._steps.ccs import ccs
from aarlab.methods._steps.evolution import evolve
from aarlab.methods._steps.folds import out_of_fold, split_questions
from aarlab.methods._steps.labels import as_confident_as, confidence, ranked, top, unit, verdicts
from aarlab.methods._steps.logistic import logistic
from aarlab.methods._steps.margins import centred, opinion, views
from aarlab.methods._steps.states import Neighbours, nearest, principal, states
from aarlab.methods._steps.training import mean_of, member_logits, passes, reading, shuffled_orders

__all__ = [
    "Neighbours",
    "as_confident_as",
    "ccs",
    "centred",
    "confidence",
    "evolve",
    "logistic",
    "mean_of",
    "member_logits",
    "nearest",
    "opinion",
    "out_of_fold",
    "passes",
    "principal",
    "ranked",
    "reading",
    "shuffled_orders",
    "split_questions",
    "states",
    "top",
    "unit",
    "verdicts",
    "views",
]
