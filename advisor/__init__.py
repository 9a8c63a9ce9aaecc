"""advisor reasons: vocabulary, design space, plans, predictors, search and recommendation.

Nothing in this package imports torch, SQL or a terminal; it is pure Python, numpy, scipy,
scikit-learn and Optuna, so that every forecast can be made without a network being built.

It is also where a program finds the whole. The names of `__all__` are the public face, which
`cli.workflows.public_face` defines. They are imported when they are first used, so that `import advisor` is
quick. No module below this package may use them (docs/adr/0013).
"""

from __future__ import annotations

# Known to type checkers by its name; `typing` itself would be most of the time that the import takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from cli.workflows.public_face import (
        AdvisorError,
        Home,
        diversity,
        equivalents,
        est,
        explain,
        frontier,
        load,
        probe,
        recommend,
        runs,
        train,
        whatif,
    )

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


def __getattr__(name: str) -> object:
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("cli.workflows.public_face"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING"})
