"""Functions that advise on a parameter budget: `recommend` and `probe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from cli.workflows.arguments import (
    Counts,
    Folder,
    Names,
    Progress,
    home_of,
    request_of,
    request_to_probe,
    say_of,
    session_options,
    speaking_of_arguments,
)
from cli.workflows.defaults import (
    DATASET,
    OBJECTIVE,
    PROBE,
    PROBE_PROFILE_SECONDS,
    RECIPE,
    RECOMMEND_PROFILE_SECONDS,
    SEED,
    TRIALS,
    TUNE,
)

if TYPE_CHECKING:
    from cli.workflows.answers.advise.advice import Advice
    from cli.workflows.answers.advise.probing import Probing


@speaking_of_arguments()
def recommend(
    *,
    budget: str | float,
    epochs: int,
    dataset: str = DATASET,
    resize: str | int | None = None,
    skip_damaged: bool = False,
    family: Names = (),
    members: Counts = (),
    method: Names = (),
    objective: str = OBJECTIVE,
    max_memory: str | float | None = None,
    max_latency_ms: float | None = None,
    max_train_time: str | float | None = None,
    price_per_hour: str | float | None = None,
    max_usd: float | None = None,
    device: str | None = None,
    batch: int | None = None,
    augment: str | None = None,
    tune: Literal["auto", "off"] = TUNE,
    recipe: Literal["ours", "published"] = RECIPE,
    until_converged: bool = False,
    patience: int | None = None,
    seed: int = SEED,
    trials: int = TRIALS,
    profile_seconds: float = RECOMMEND_PROFILE_SECONDS,
    remeasure: bool = False,
    probe: float | Literal["auto"] = PROBE,
    cluster: str | None = None,
    insecure_cluster: bool = False,
    download: bool = False,
    save: Path | str | None = None,
    home: Folder = None,
    progress: Progress = None,
) -> Advice:
    """Suggest designs for a parameter budget, with predicted cost and error.

    Args:
        budget: parameters of all members together: ``5e6`` or ``"5M"``.
        epochs: schedule of a network trained from scratch.
        dataset: name of a data set, or ``folder:PATH``; its images are read where it is probed.
        resize: side, or ``"HEIGHTxWIDTH"``, that the images of a folder are scaled to cover and cropped to.
        skip_damaged: whether files of a folder that cannot be read are left out.
        family: families of the members; all convolutional ones if empty.
        members: member counts; the usual ones if empty.
        method: training methods of ensembles; full data, MotherNets and snapshots if empty.
        objective: ``error``, ``nll`` (negative log-likelihood), ``time`` or ``balanced``.
        max_memory: largest peak memory of training, in bytes or as ``"8G"``.
        max_latency_ms: longest inference of one image, in milliseconds.
        max_train_time: longest training, in seconds or as ``"12h"``.
        price_per_hour: price of the machine in USD an hour, or ``"k80"`` or ``"v100"``; adds the cost.
        max_usd: largest cost of training in USD; it needs `price_per_hour`.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        batch: images in a step; that of the recipe and the data set by default.
        augment: augmentation of the images; the data set's own by default.
        tune: ``auto`` to choose another weight decay than the recipe's where less error is expected by it,
            ``off`` for the recipe's.
        recipe: ``ours``, or ``published`` for that of the MotherNets paper.
        until_converged: whether a training ends after 15 epochs without a gain in training accuracy.
        patience: the same after so many epochs without a gain.
        seed: origin of all randomness.
        trials: number of designs that the search looks at.
        profile_seconds: longest time for new measurements, in seconds.
        remeasure: whether what was measured for such images before is measured again, for instance because
            the machine was busy.
        probe: time for training probes before advising, in minutes, 0 for none; ``auto`` for what is
            worthwhile where the data are at hand, at most 3 minutes.
        cluster: Ray cluster whose nodes train probes, and that plans are priced for: ``auto``, or host and
            port of its head node.
        insecure_cluster: whether a cluster that demands no token is accepted.
        download: whether a missing data set may be fetched.
        save: file for the plan of rank 1.
        home: folder of the database and the runs; see the module.
        progress: function that receives the messages, or ``"rich"``; see the module.

    Raises:
        UsageError: an argument that cannot be understood.
        InfeasibleError: no design fits the budget or the limits.
        StorageError: the database or the plan file cannot be written.
    """
    given = locals()
    from cli.workflows.advise.probe_options import probe_options
    from cli.workflows.advise.repeated import answered
    from cli.workflows.clusters import cluster_address

    where = cluster_address(cluster, insecure_cluster)
    options = probe_options(probe, download=download, cluster=where)
    file = None if save is None else Path(save)
    return answered(request_of(given), home_of(home), file, say_of(progress), options, where, remeasure)


@speaking_of_arguments()
def probe(
    *,
    dataset: str,
    minutes: float,
    budget: str | float | None = None,
    epochs: int | None = None,
    resize: str | int | None = None,
    skip_damaged: bool = False,
    family: Names = (),
    members: Counts = (),
    device: str | None = None,
    batch: int | None = None,
    augment: str | None = None,
    tune: Literal["auto", "off"] = TUNE,
    seed: int = SEED,
    profile_seconds: float = PROBE_PROFILE_SECONDS,
    cluster: str | None = None,
    insecure_cluster: bool = False,
    download: bool = False,
    home: Folder = None,
    progress: Progress = None,
) -> Probing:
    """Train what teaches most about a recommendation: short, small, chosen one after the other.

    Args:
        dataset: name of the data set to train on, or ``folder:PATH``.
        minutes: time for all trainings together, in minutes.
        budget: parameters of all members together; those of the last recommendation by default.
        epochs: schedule of a network from scratch; that of the last recommendation by default.
        resize: side, or ``"HEIGHTxWIDTH"``, that the images of a folder are scaled to cover and cropped to.
        skip_damaged: whether files of a folder that cannot be read are left out.
        family: families of the members; all convolutional ones if empty.
        members: member counts; the usual ones if empty.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        batch: images in a step; that of the recipe and the data set by default.
        augment: augmentation of the images; the data set's own by default.
        tune: ``auto`` to choose another weight decay than the recipe's where less error is expected by it,
            ``off`` for the recipe's.
        seed: origin of all randomness.
        profile_seconds: longest time for new measurements, in seconds.
        cluster: Ray cluster whose nodes train probes: ``auto``, or host and port of its head node.
        insecure_cluster: whether a cluster that demands no token is accepted.
        download: whether a missing data set may be fetched.
        home: folder of the database and the runs; see the module.
        progress: function that receives the messages, or ``"rich"``; see the module.

    Raises:
        UsageError: an argument that cannot be understood, or no recommendation to probe for.
        DataError: the data set is missing.
        StorageError: the database cannot be written.
    """
    given = locals()
    from cli.workflows.advise.probe import probe as workflow

    options = session_options(given)
    return workflow(request_to_probe(given), options, home_of(home), say_of(progress))
