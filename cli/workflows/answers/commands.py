"""Which command answers what. A test checks that no command with ``--json`` is missing."""

from __future__ import annotations

from cli.workflows.answers.answer import Answer
from cli.workflows.answers.examine.explanation import Explanation
from cli.workflows.answers.examine.profile import Profile
from cli.workflows.answers.examine.switchover import SwitchoverMap
from cli.workflows.answers.examine.whatif import WhatIf
from cli.workflows.answers.space import DesignSpace, EquivalentDesigns

ANSWERS: dict[str, type[Answer]] = {
    "space": DesignSpace,
    "equivalents": EquivalentDesigns,
    "explain": Explanation,
    "whatif": WhatIf,
    "profile": Profile,
    "est": SwitchoverMap,
}
