"""Answers of `advisor db`, which import nothing slow."""

from __future__ import annotations

from dataclasses import dataclass

from cli.workflows.answers.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePath(Answer):
    """The path of the database.

    Attributes:
        database: path of the database.
        studies: path of the folder of Optuna's journals.
        exists: whether there is a database already.
    """

    database: str
    studies: str
    exists: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseCheck(Answer):
    """What is damaged in the database, and in the files of its runs.

    Attributes:
        database: path of the database.
        problems: one line each; empty if all is whole.
        runs: number of runs whose files were verified; null unless they were to be.
    """

    database: str
    problems: tuple[str, ...]
    runs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseBackup(Answer):
    """A copy of the database.

    Attributes:
        backup: path of the copy.
    """

    backup: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedTrainings(Answer):
    """Trainings of a CSV file that became evidence.

    Attributes:
        file: name of the file.
        trainings: number of trainings in the file.
        added: number of trainings that are new to the database.
        already_there: number of trainings that the database had before.
        completed: number of these that were completed by curves or errors of the file.
    """

    file: str
    trainings: int
    added: int
    already_there: int
    completed: int
