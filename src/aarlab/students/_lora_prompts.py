"""How the `lora` student reads an example: a prompt that ends where the label's token comes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Tokens = list[int]


@dataclass(frozen=True)
class Prompt:
    """A prompt, as data.

    Attributes:
        parts: its pieces in order, each encoded by itself, so that a long text can be cut without touching the
            rest; a piece may hold one of {question}, {first}, {second} (pairs) or {question}, {answer}.
        positive: the word that says label 1 (one token).
        negative: the word that says label 0 (one token).
    """

    parts: tuple[str, ...]
    positive: str
    negative: str


PAIR = Prompt(
    parts=(
        *("Question:", " {question}", "\nAnswer A:", " {first}", "\nAnswer B:", " {second}"),
        "\nWhich answer is better, A or B? Answer:",
    ),
    positive=" B",
    negative=" A",
)
POINTWISE = Prompt(
    parts=("Question:", " {question}", "\nAnswer:", " {answer}", "\nIs this answer correct, yes or no? Answer:"),
    positive=" yes",
    negative=" no",
)
PLACES = {3: ("{question}", "{first}", "{second}"), 2: ("{question}", "{answer}")}


def encode(prompt: Prompt, texts: Sequence[str], tokens: Callable[[str], Tokens], room: int) -> Tokens:
    """Tokens of the prompt for one example.

    Args:
        prompt: the prompt.
        texts: question, first and second candidate, or question and candidate.
        tokens: encodes a piece of text, without special tokens.
        room: tokens at most. What is too long loses the beginning of the question first, then the end of the
            longer candidate.

    Raises:
        ValueError: the prompt does not fit even without question and candidates.
    """
    places = PLACES[len(texts)]
    pieces: list[Tokens] = []
    owners: list[int | None] = []  # which text a piece holds
    for part in prompt.parts:
        owner = next((i for i, place in enumerate(places) if place in part), None)
        pieces.append(list(tokens(part if owner is None else part.replace(places[owner], texts[owner]))))
        owners.append(owner)
    excess = sum(map(len, pieces)) - room
    for i in (i for i, owner in enumerate(owners) if owner == 0 and excess > 0):
        cut = min(excess, len(pieces[i]))
        pieces[i] = pieces[i][cut:]
        excess -= cut
    while excess > 0:
        longest = max((i for i, owner in enumerate(owners) if owner), key=lambda i: len(pieces[i]))
        if not pieces[longest]:
            raise ValueError(f"the prompt without any text is longer than {room} tokens; raise max_length")
        pieces[longest].pop()
        excess -= 1
    return [token for piece in pieces for token in piece]
