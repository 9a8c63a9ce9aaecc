"""The Python face: what ``import advisor`` gives a program or a notebook.

Each function is a command of the command line, its arguments named as the options, and returns that command's
answer as a frozen dataclass (`cli.workflows.answers`): attributes for programs, a table in a notebook, and
`to_json()` for what ``--json`` prints.

    import advisor

    advice = advisor.recommend(budget="60k", epochs=20, dataset="digits", progress="rich")
    run = advisor.train(progress="rich")
    ensemble = advisor.load(run)

Two arguments are the same everywhere. `home` is the folder of everything that is written; by default it is
the project's or the user's, as on the command line. `progress` is a function that receives messages: lines
of text, the start of a training, its epochs, its end, the last three with a name where trainings run side by
side (`cli.workflows.views.Said`); ``"rich"`` shows them on stderr, and by default nothing is shown.

Nothing is printed and no signal is taken over, so a function may be called from any thread. Errors are
`AdvisorError`s that speak of arguments. `advisor/__init__.py` resolves the names here when they are first
used (docs/adr/0013).
"""

from __future__ import annotations

from advisor.errors import AdvisorError
from cli.workflows.home import Home
from cli.workflows.public_face.advising import probe, recommend
from cli.workflows.public_face.past_runs import diversity, load, runs
from cli.workflows.public_face.plans import explain, whatif
from cli.workflows.public_face.sweeps import equivalents, est, frontier
from cli.workflows.public_face.training import train

__all__ = [
    "AdvisorError",
    "Home",
    "diversity",
    "equivalents",
    "est",
    "explain",
    "frontier",
    "load",
    "probe",
    "recommend",
    "runs",
    "train",
    "whatif",
]
