"""Answers of `advisor runs list`, `runs export` and `runs delete`, which import nothing slow."""

from __future__ import annotations

from dataclasses import dataclass

from cli.workflows.answers.answer import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """A run in one line; its fields are the columns of `db.listing`.

    Attributes:
        id: number of the run.
        created_at: time of its creation, UTC, ISO 8601.
        status: a value of `RunStatus`, such as ``done`` or ``interrupted``.
        design: short name of the design.
        dataset: name of the data set.
        family: families of the members.
        method: training method, a value of `Method`.
        epochs: epochs of a network that is trained from scratch.
        members: number of members.
        clusters: number of clusters.
        batch: images in a step.
        seed: origin of all randomness.
        device: ``cpu`` or ``cuda``.
        parameters: parameters of all members together.
        train_seconds: wall-clock time of training so far, in seconds.
        predicted_train_seconds: predicted mean of the training time in seconds, null where it is not known.
        test_error: test error of the ensemble as a share, null before the end.
        predicted_test_error: predicted mean of the test error, null where it is not known.
        mean_member_error: mean test error of the members.
        voting_error: test error of the majority vote.
        super_learner_error: test error of the weighted average.
        best_member_error: test error of the member with the least validation error.
        calibration_error: expected calibration error.
        fingerprint: digest of the machine's fingerprint.
        message: reason why the run stopped, else empty.
        overhead_seconds: seconds that were waited for beside the training so far, null where not known.
    """

    id: int
    created_at: str
    status: str
    design: str
    dataset: str
    family: str
    method: str
    epochs: int
    members: int
    clusters: int
    batch: int
    seed: int
    device: str
    parameters: int
    train_seconds: float
    predicted_train_seconds: float | None
    test_error: float | None
    predicted_test_error: float | None
    mean_member_error: float | None
    voting_error: float | None
    super_learner_error: float | None
    best_member_error: float | None
    calibration_error: float | None
    fingerprint: str
    message: str
    overhead_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunList(Answer):
    """Past runs, one line each.

    Attributes:
        runs: runs in the requested order.
    """

    runs: tuple[ListedRun, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedRun(Answer):
    """A run that is deleted with its records and files.

    Attributes:
        deleted: number of the run.
    """

    deleted: int
