"""Routes: the ways of samples through a network, of which a measurement times as few as give every price."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from searchlab.exits.scores import GATE


@dataclass(frozen=True)
class Route:
    """All samples leave at `exit`, after a decision by `score` at every exit up to it. None: no other exit is used."""

    exit: int
    score: str | None = None


def routes_for(exits: int, scores: Sequence[str]) -> list[Route]:
    """Returns the fewest routes with every exit, every score, and every exit alone; with gates, every exit again."""
    of_logits = [score for score in scores if score != GATE]
    turns = max(exits, len(of_logits)) if of_logits else 0
    found = [Route(turn % exits, of_logits[turn % len(of_logits)]) for turn in range(turns)]
    alone = [Route(exit) for exit in range(exits)]
    return [*alone, *found, *(Route(exit, GATE) for exit in range(exits) if GATE in scores)]


def mixed_routes(exits: int, scores: Sequence[str]) -> list[Route]:
    """Returns one route to every exit, in an order that mixes short and long ones; by gates if there are any."""
    score = GATE if GATE in scores else scores[0]
    return [Route(exit, score) for exit in random.Random(0).sample(range(exits), exits)]
