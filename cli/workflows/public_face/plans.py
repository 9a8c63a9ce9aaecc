"""Functions that forecast one plan: `explain` and `whatif`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cli.workflows.arguments import (
    Folder,
    Progress,
    SlotCounts,
    changes_given,
    home_of,
    plan_before,
    plan_request,
    price_given,
    say_of,
    slots_given,
    speaking_of_arguments,
)

if TYPE_CHECKING:
    from cli.workflows.answers.examine.explanation import Explanation
    from cli.workflows.answers.examine.whatif import WhatIf


@speaking_of_arguments()
def explain(
    target: str | Path | int | None = None,
    *,
    rank: int | None = None,
    dataset: str | None = None,
    resize: str | int | None = None,
    skip_damaged: bool = False,
    epochs: int | None = None,
    batch: int | None = None,
    augment: str | None = None,
    method: str | None = None,
    hatched_epochs: int | None = None,
    recipe: Literal["ours", "published"] | None = None,
    until_converged: bool = False,
    patience: int | None = None,
    device: str | None = None,
    step_mode: Literal["eager", "compiled", "graph"] | None = None,
    slots: SlotCounts = None,
    gpus: SlotCounts = None,
    cluster: str | None = None,
    insecure_cluster: bool = False,
    price_per_hour: str | float | None = None,
    layers: bool = False,
    home: Folder = None,
) -> Explanation:
    """Return a plan step by step with its predicted cost; of a run, the actual beside it.

    Args:
        target: design, file of a plan, run or ``"last"``; the last recommendation by default.
        rank: row of the last recommendation; the first by default.
        dataset: name of the data set, or ``folder:PATH``; the recommendation's by default.
        resize: side, or ``"HEIGHTxWIDTH"``, that the images of a folder are scaled to cover and cropped to.
        skip_damaged: whether files of a folder that cannot be read are left out.
        epochs: schedule of a network trained from scratch; the published one by default.
        batch: images in a step; that of the recipe and the data set by default.
        augment: augmentation of the images; the data set's own by default.
        method: training method; as the design says by default.
        hatched_epochs: epochs of a hatched member; a share of `epochs` by default.
        recipe: ``ours``, or ``published`` for that of the MotherNets paper; ``ours`` by default.
        until_converged: whether a training ends after 15 epochs without a gain in training accuracy.
        patience: the same after so many epochs without a gain.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        step_mode: how training steps are executed; what measured fastest by default, never ``compiled``.
        slots: numbers of worker processes, on CUDA of GPUs, to forecast the training time on: ``8`` or
            ``[1, 2, 4, 8]``; the machine need not have them.
        gpus: the same for GPUs: `device` ``"cuda"`` and `slots`.
        cluster: Ray cluster that a plan is priced for: ``auto``, or host and port of its head node; this
            machine by default.
        insecure_cluster: whether a cluster that demands no token is accepted.
        price_per_hour: price of the machine in USD an hour, or ``"k80"`` or ``"v100"``; adds the cost.
        layers: whether a training step is forecast layer by layer as well.
        home: folder of the database and the runs; see the module.

    Raises:
        UsageError: an argument that cannot be understood, or a run that does not exist.
        PlanError: a plan that is missing or damaged.
        RunError: there is no such cluster.
        StorageError: the database cannot be read.
    """
    given = locals()
    from cli.workflows.clusters import cluster_address
    from cli.workflows.examine.explain import explain as workflow

    counts, given["device"] = slots_given(given)
    return workflow(
        plan_request(given),
        price_given(price_per_hour),
        home_of(home),
        layers=layers,
        slots=counts,
        cluster=cluster_address(cluster, insecure_cluster),
    )


@speaking_of_arguments()
def whatif(
    target: str | Path | int,
    *,
    depth: str | int | None = None,
    width: str | int | None = None,
    members: str | int | None = None,
    g: str | int | None = None,
    batch: str | int | None = None,
    epochs: str | int | None = None,
    method: str | None = None,
    images: str | int | None = None,
    weight_decay: str | float | None = None,
    recipe: Literal["ours", "published"] | None = None,
    patience: int | None = None,
    dataset: str | None = None,
    resize: str | int | None = None,
    skip_damaged: bool = False,
    augment: str | None = None,
    base_epochs: int | None = None,
    base_batch: int | None = None,
    base_method: str | None = None,
    base_recipe: Literal["ours", "published"] | None = None,
    base_patience: int | None = None,
    device: str | None = None,
    price_per_hour: str | float | None = None,
    home: Folder = None,
    progress: Progress = None,
) -> WhatIf:
    """Return what changes when a design or its training is changed: error, time and memory, with intervals.

    Args:
        target: design, file of a plan, run or ``"last"`` to change.
        depth: depth of every member: ``32``, ``"+6"``, ``"-6"``, ``"x2"`` or ``"/2"``.
        width: width of every member, in the same forms.
        members: number of members, in the same forms.
        g: number of clusters, in the same forms.
        batch: images in a step, in the same forms.
        epochs: epochs of a network trained from scratch, in the same forms.
        method: new training method.
        images: training images, at as many epochs: ``"20k"``, ``"+500"``, ``"x2"`` or ``"/2"``.
        weight_decay: weight decay of all networks: ``3e-3``, ``"x3"`` or ``"/10"``.
        recipe: new recipe, with its batch.
        patience: epochs without a gain in training accuracy that end a training; 0 for a fixed length.
        dataset: name of the data set, or ``folder:PATH``; cifar10 by default.
        resize: side, or ``"HEIGHTxWIDTH"``, that the images of a folder are scaled to cover and cropped to.
        skip_damaged: whether files of a folder that cannot be read are left out.
        augment: augmentation of the images; the data set's own by default.
        base_epochs: epochs before the change; the published schedule by default.
        base_batch: images in a step before the change.
        base_method: training method before the change; as the design says by default.
        base_recipe: recipe before the change.
        base_patience: patience before the change.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        price_per_hour: price of the machine in USD an hour, or ``"k80"`` or ``"v100"``; adds the cost.
        home: folder of the database and the runs; see the module.
        progress: function that receives the messages, or ``"rich"``; see the module.

    Raises:
        UsageError: no change, or one that cannot be made.
        StorageError: the database cannot be read.
    """
    given = locals()
    from cli.workflows.examine.whatif import whatif as workflow

    price = price_given(price_per_hour)
    return workflow(plan_before(given), changes_given(given), home_of(home), say_of(progress), price)
