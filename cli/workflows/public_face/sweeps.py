"""Functions that forecast many plans side by side: `frontier`, `equivalents` and `est`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cli.workflows.arguments import (
    Folder,
    Progress,
    SlotCounts,
    est_request,
    home_of,
    plan_request,
    price_given,
    say_of,
    slots_given,
    speaking_of_arguments,
)
from cli.workflows.defaults import DATASET, MEMBERS, SEED

if TYPE_CHECKING:
    from cli.workflows.answers.examine.class_comparison import EquivalentComparison
    from cli.workflows.answers.examine.frontier import Frontier
    from cli.workflows.answers.examine.switchover import SwitchoverMap


@speaking_of_arguments()
def frontier(
    ensemble: str,
    *,
    dataset: str | None = None,
    resize: str | int | None = None,
    skip_damaged: bool = False,
    epochs: int | None = None,
    batch: int | None = None,
    augment: str | None = None,
    recipe: Literal["ours", "published"] | None = None,
    until_converged: bool = False,
    patience: int | None = None,
    device: str | None = None,
    slots: SlotCounts = None,
    gpus: SlotCounts = None,
    price_per_hour: str | float | None = None,
    home: Folder = None,
    progress: Progress = None,
) -> Frontier:
    """Return error, time, memory and cost of an ensemble for every number of clusters and every method.

    Args:
        ensemble: design without a number of clusters: ``"V5"``, ``"4xresnet-20-16"``.
        dataset: name of the data set, or ``folder:PATH``; cifar10 by default.
        resize: side, or ``"HEIGHTxWIDTH"``, that the images of a folder are scaled to cover and cropped to.
        skip_damaged: whether files of a folder that cannot be read are left out.
        epochs: schedule of a network trained from scratch; the published one by default.
        batch: images in a step; that of the recipe and the data set by default.
        augment: augmentation of the images; the data set's own by default.
        recipe: ``ours``, or ``published`` for that of the MotherNets paper; ``ours`` by default.
        until_converged: whether a training ends after 15 epochs without a gain in training accuracy.
        patience: the same after so many epochs without a gain.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        slots: numbers of worker processes, on CUDA of GPUs, to forecast the training time on: ``8`` or
            ``[1, 2, 4, 8]``; the machine need not have them.
        gpus: the same for GPUs: `device` ``"cuda"`` and `slots`.
        price_per_hour: price of the machine in USD an hour, or ``"k80"`` or ``"v100"``; adds the cost.
        home: folder of the database and the runs; see the module.
        progress: function that receives the messages, or ``"rich"``; see the module.

    Raises:
        UsageError: an argument that cannot be understood.
        StorageError: the database cannot be read.
    """
    given = locals()
    from cli.workflows.examine.sweeps.frontier import frontier as workflow

    counts, given["device"] = slots_given(given)
    request, price = plan_request(given, "ensemble"), price_given(price_per_hour)
    return workflow(request, price, home_of(home), say_of(progress), slots=counts)


@speaking_of_arguments()
def equivalents(
    network: str,
    *,
    members: int = MEMBERS,
    dataset: str | None = None,
    resize: str | int | None = None,
    skip_damaged: bool = False,
    tolerance: float = 0.0,
    epochs: int | None = None,
    batch: int | None = None,
    augment: str | None = None,
    recipe: Literal["ours", "published"] | None = None,
    until_converged: bool = False,
    patience: int | None = None,
    device: str | None = None,
    price_per_hour: str | float | None = None,
    home: Folder = None,
    progress: Progress = None,
) -> EquivalentComparison:
    """Return a network and the width- and depth-equivalent ensembles of its size, side by side.

    This is `advisor equivalents --compare`.

    Args:
        network: regular network: ``"resnet-26-16"``.
        members: number of members of the ensembles.
        dataset: name of the data set, or ``folder:PATH``; cifar10 by default.
        resize: side, or ``"HEIGHTxWIDTH"``, that the images of a folder are scaled to cover and cropped to.
        skip_damaged: whether files of a folder that cannot be read are left out.
        tolerance: share of the network's parameters by which an ensemble may exceed them.
        epochs: schedule of a network trained from scratch; the published one by default.
        batch: images in a step; that of the recipe and the data set by default.
        augment: augmentation of the images; the data set's own by default.
        recipe: ``ours``, or ``published`` for that of the MotherNets paper; ``ours`` by default.
        until_converged: whether a training ends after 15 epochs without a gain in training accuracy.
        patience: the same after so many epochs without a gain.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        price_per_hour: price of the machine in USD an hour, or ``"k80"`` or ``"v100"``; adds the cost.
        home: folder of the database and the runs; see the module.
        progress: function that receives the messages, or ``"rich"``; see the module.

    Raises:
        UsageError: an argument that cannot be understood.
        StorageError: the database cannot be read.
    """
    request = plan_request(locals(), "network")
    from cli.workflows.examine.sweeps.class_comparison import compare_classes

    price = price_given(price_per_hour)
    return compare_classes(request, members, tolerance, price, home_of(home), say_of(progress))


@speaking_of_arguments()
def est(
    *,
    family: str,
    members: int = MEMBERS,
    dataset: str = DATASET,
    resize: str | int | None = None,
    skip_damaged: bool = False,
    budget: str | float | None = None,
    epochs: str | int | None = None,
    g: int = 1,
    axis: Literal["epochs", "images"] = "epochs",
    images: str | int | None = None,
    reading: Literal["whole", "long"] = "whole",
    seed: int = SEED,
    home: Folder = None,
    progress: Progress = None,
) -> SwitchoverMap:
    """Return where single networks give way to ensembles: the Ensemble Switchover Threshold of a data set.

    Args:
        family: family of all designs.
        members: number of members of the ensembles.
        dataset: name of the data set, or ``folder:PATH``.
        resize: side, or ``"HEIGHTxWIDTH"``, that the images of a folder are scaled to cover and cropped to.
        skip_damaged: whether files of a folder that cannot be read are left out.
        budget: range of the parameters of all members together: ``"250k-8M"``; around the threshold by
            default.
        epochs: range of the epochs, ``"10-500"``, or one number; around the published schedule by default.
        g: number of clusters of MotherNets, which a second map shows.
        axis: columns of the map: ``epochs``, or ``images`` for numbers of training images.
        images: range of the training images, ``"500-20k"``, or one number; those of the data set by default.
        reading: reading of the epochs: ``whole`` for a schedule of each length, ``long`` for one long
            schedule.
        seed: random seed of the posterior draws.
        home: folder of the database and the runs; see the module.
        progress: function that receives the messages, or ``"rich"``; see the module.

    Raises:
        UsageError: an argument that cannot be understood.
        InfeasibleError: the lowest budget holds no network, or nothing is known of the reading.
        StorageError: the database cannot be read.
    """
    request = est_request(locals())
    from cli.workflows.examine.switchover import est as workflow

    return workflow(request, home_of(home), say_of(progress))
