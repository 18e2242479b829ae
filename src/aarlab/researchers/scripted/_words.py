"""What a scripted researcher says: names, stories, findings."""

from collections.abc import Sequence

import numpy as np

from aarlab.api.schemas import Submission
from aarlab.researchers.directions import Direction
from aarlab.researchers.scripted._genome import Gene, Genome
from aarlab.researchers.scripted._search import Observation, Proposal
from aarlab.researchers.scripted._space import IDEAS

MAX_NAME = 80
FEW = 4  # methods with and without an idea that a comparison needs


def name_of(genome: Genome) -> str:
    """The ideas of a method in one line."""
    rest = " + ".join(gene.name for gene in (*genome.labels, *genome.training)) or "nothing more"
    name = f"{genome.head.name}: {rest}"
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…"


def describe(gene: Gene) -> str:
    """An idea with its parameters."""
    return f"{gene.name}({', '.join(f'{name}={value}' for name, value in gene.values)})"


def change(proposal: Proposal) -> str:
    """What is new against the parent, in one line."""
    if proposal.parent is None:
        return "from its direction alone"
    old, new = set(proposal.parent.genome.genes), set(proposal.genome.genes)
    parts = [f"+ {describe(gene)}" for gene in proposal.genome.genes if gene not in old]
    parts += [f"- {describe(gene)}" for gene in proposal.parent.genome.genes if gene not in new]
    return "; ".join(parts)[:300] or "the same ideas in another order"


def story(proposal: Proposal, researcher: str, direction: Direction) -> str:
    """Where a method comes from."""
    origin = "" if proposal.parent is None else f" Descends from submission {proposal.parent.submission}."
    return f"Composed by {researcher}, a scripted researcher; direction: {direction.name}.{origin}"


def report(scored: Submission, proposal: Proposal) -> tuple[str, str]:
    """Title and body of the finding about one method."""
    name = name_of(proposal.genome)
    ideas = "\n".join(f"- {describe(gene)}" for gene in proposal.genome.genes)
    if scored.failure is not None:
        return (
            f"{name} fails: {scored.failure.kind}"[:200],
            f"{ideas}\n\n{scored.failure.message[:2000]}\n\n{scored.failure.advice}",
        )
    assert scored.feedback is not None
    feedback, parent = scored.feedback, proposal.parent
    against, verdict = "", ""
    if parent is not None and parent.accuracy is not None:
        difference = feedback.accuracy - parent.accuracy
        against = f", {difference:+.2f} against #{parent.submission}"
        verdict = f"Changed: {change(proposal)}. "
        if abs(difference) <= feedback.resolution:
            verdict += "The difference is no larger than one step of the guard: by itself it says little. "
    facts = feedback.diagnostics
    swap = "" if facts.swap_consistency is None else f", swap consistency {facts.swap_consistency:.2f}"
    body = (
        f"{ideas}\n\n{verdict}"
        f"Agreement with weak labels {facts.agreement:.2f}, confidence {facts.confidence:.2f}{swap}, "
        f"seeds disagree on {facts.seed_disagreement:.2f}. {feedback.cpu_seconds:.1f} s of CPU."
    )
    told = f"accuracy {feedback.accuracy:.2f}{against}"
    if feedback.censored:
        told = "not above the floor"
    elif not feedback.fresh:
        told = f"no news beside the best told so far, {feedback.accuracy:.2f}"
    return f"{name}: {told}"[:200], body


def conclusion(seen: Sequence[Observation], direction: Direction) -> tuple[str, str] | None:
    """What the team's scores say about the ideas of a direction; None if too few tried them."""
    scored = [(o.genome, o.accuracy) for o in seen if o.accuracy is not None]
    lines = []
    for idea in IDEAS.values():
        if idea.family != direction.name:
            continue
        having = np.array([a for genome, a in scored if idea.name in {g.name for g in genome.genes}])
        lacking = np.array([a for genome, a in scored if idea.name not in {g.name for g in genome.genes}])
        if min(len(having), len(lacking)) < FEW:
            continue
        error = float(np.sqrt(having.var(ddof=1) / len(having) + lacking.var(ddof=1) / len(lacking)))
        difference = float(having.mean() - lacking.mean())
        lines.append(
            f"- {idea.name}: {difference:+.3f} ± {error:.3f} (standard error) in guarded accuracy, "
            f"{len(having)} methods with it and {len(lacking)} without"
        )
    if not lines:
        return None
    body = "\n".join(lines) + (
        "\n\nA comparison of methods that also differ in their other ideas, and were chosen for their scores: "
        "a hint where to look, no effect of the idea alone."
    )
    return f"What {direction.name} brought: {len(scored)} methods compared", body
