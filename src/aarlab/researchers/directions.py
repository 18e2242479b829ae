"""Where each researcher starts: short and vague on purpose, so that a team spreads out and stays free."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Direction:
    """A researcher's starting point.

    Attributes:
        name: one word or two; a scripted researcher begins with the ideas of that family.
        text: what the researcher is told.
    """

    name: str
    text: str


DIRECTIONS: tuple[Direction, ...] = (
    Direction("confidence", "The teacher knows more about some examples than about others. Does it know which?"),
    Direction("ensembling", "One student errs in its own way. What do many students, made to differ, agree on?"),
    Direction("distillation", "What a student has understood may be a better lesson than what it was told."),
    Direction("representation", "The student holds many views of each example. In which does the truth lie open?"),
    Direction("curriculum", "The order of lessons matters to pupils. Find one that helps this pupil."),
    Direction("consistency", "Truth does not contradict itself. Look for where answers do, and make use of it."),
    Direction("self_training", "After a first lesson, the student may be able to correct its own textbook."),
    Direction("selection", "Some examples teach, some mislead. Train on less, and better."),
    Direction("noise", "Weak labels are the truth seen through a bad lens. Model the lens."),
)
