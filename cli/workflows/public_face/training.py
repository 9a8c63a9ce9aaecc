"""The function that trains a plan, or continues a run: `train`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from advisor.errors import UsageError
from cli.workflows.arguments import (
    Folder,
    Progress,
    home_of,
    plan_request,
    say_of,
    speaking_of_arguments,
    targets_given,
    train_options,
)
from cli.workflows.clock import WaitingClock

if TYPE_CHECKING:
    from cli.workflows.answers.runs.run import Run


@speaking_of_arguments()
def train(
    target: str | Path | None = None,
    *,
    rank: int | None = None,
    dataset: str | None = None,
    resize: str | int | None = None,
    skip_damaged: bool = False,
    epochs: int | None = None,
    batch: int | None = None,
    augment: str | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    method: str | None = None,
    hatched_epochs: int | None = None,
    noise: float | None = None,
    shrink: float | None = None,
    recipe: Literal["ours", "published"] | None = None,
    until_converged: bool = False,
    patience: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    step_mode: Literal["eager", "compiled", "graph"] | None = None,
    time_limit: str | float | None = None,
    until_error: str | float | None = None,
    until_time: str | float | None = None,
    until_usd: float | None = None,
    price_per_hour: str | float | None = None,
    cluster: str | None = None,
    insecure_cluster: bool = False,
    download: bool = False,
    resume: int | Literal["last"] | None = None,
    home: Folder = None,
    progress: Progress = None,
) -> Run:
    """Train a design, a saved plan, or the top of the last recommendation; or continue a run.

    Args:
        target: short name of a design, or file of a plan; the last recommendation by default.
        rank: row of the last recommendation; the first by default.
        dataset: name of the data set, or ``folder:PATH``; the recommendation's by default. With `resume` or
            the file of a plan, folder in which its data lie now.
        resize: side, or ``"HEIGHTxWIDTH"``, that the images of a folder are scaled to cover and cropped to.
        skip_damaged: whether files of a folder that cannot be read are left out.
        epochs: schedule of a network trained from scratch; the published one by default.
        batch: images in a step; that of the recipe and the data set by default.
        augment: augmentation of the images; the data set's own by default.
        lr: initial learning rate; the published one by default.
        weight_decay: weight decay of all networks; the published one by default.
        method: training method; as the design says by default.
        hatched_epochs: epochs of a hatched member; a share of `epochs` by default.
        noise: noise on a hatched member's weights, as a share of each layer's own standard deviation.
        shrink: factor on a hatched member's weights before the noise.
        recipe: ``ours``, or ``published`` for that of the MotherNets paper; ``ours`` by default.
        until_converged: whether a training ends after 15 epochs without a gain in training accuracy.
        patience: the same after so many epochs without a gain.
        seed: origin of all randomness.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        step_mode: how training steps are executed; what measured fastest by default, never ``compiled``.
        time_limit: time after which training checkpoints and ends, in seconds or as ``"2h"``.
        until_error: validation error until which a MotherNets ensemble gets clusters: 0.06 or ``"6%"``.
        until_time: time of all training together until which clusters are added, in seconds or as ``"2h"``.
        until_usd: cost of all training together until which clusters are added; it needs `price_per_hour`.
        price_per_hour: price of the machine in USD an hour, or ``"k80"`` or ``"v100"``.
        cluster: Ray cluster whose nodes train: ``auto``, or host and port of its head node; none by default.
        insecure_cluster: whether a cluster that demands no token is accepted.
        download: whether a missing data set may be fetched.
        resume: number of a run to continue, or ``"last"``; the run fixes its plan.
        home: folder of the database and the runs; see the module.
        progress: function that receives the messages, or ``"rich"``; see the module.

    Raises:
        UsageError: an argument that cannot be understood.
        InfeasibleError: no number of clusters reaches the error, or the time is too short for one.
        PlanError, DataError: a plan or a data set that is missing or damaged.
        DeadlineError: the time limit is reached; the run can be resumed.
        PartialRunError, RunError: some members, or all, failed.
        StorageError: the database or the disk refuses.
    """
    given, clock = locals(), WaitingClock()
    request, targets = plan_request(given), targets_given(given)
    from cli.workflows.runs import train as workflow
    from cli.workflows.runs.lookup import run_id_of
    from cli.workflows.runs.navigation import navigate as path

    where, say = home_of(home), say_of(progress)
    options = replace(train_options(given), clock=clock)
    if resume is None and targets is not None:
        return path.navigate(request, targets, options, where, say)
    if resume is None:
        return workflow.train(request, options, where, say)
    if request != plan_request({"dataset": dataset}) or targets is not None:
        raise UsageError("resume continues a run, which fixes its plan: leave the other arguments out")
    options = replace(options, moved_to=dataset)
    return path.resume(run_id_of(str(resume), where), options, where, say)
