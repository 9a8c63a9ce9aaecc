"""Which command answers what. A test checks that no command with ``--json`` is missing."""

from __future__ import annotations

from cli.workflows.answers.advice import Advice
from cli.workflows.answers.answer import Answer
from cli.workflows.answers.probing import Probing
from cli.workflows.answers.space import DesignSpace, EquivalentDesigns

ANSWERS: dict[str, type[Answer]] = {
    "space": DesignSpace,
    "equivalents": EquivalentDesigns,
    "recommend": Advice,
    "probe": Probing,
}
