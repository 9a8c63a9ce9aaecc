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
of text, the start of a training, its epochs, its end (`cli.workflows.views.Said`); ``"rich"`` shows them on
stderr, and by default nothing is shown.

Nothing is printed and no signal is taken over, so a function may be called from any thread. Errors are
`AdvisorError`s that speak of arguments. `advisor/__init__.py` resolves the names here when they are first
used (docs/adr/0013).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from advisor.errors import AdvisorError, UsageError
from cli.workflows.arguments import (
    Counts,
    Folder,
    Names,
    Progress,
    home_of,
    plan_request,
    price_given,
    request_of,
    request_to_probe,
    say_of,
    session_options,
    speaking_of_arguments,
    targets_given,
    train_options,
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
from cli.workflows.home import Home
from cli.workflows.views import silent

if TYPE_CHECKING:
    from cli.workflows.answers.advice import Advice
    from cli.workflows.answers.examine.explanation import Explanation
    from cli.workflows.answers.probing import Probing
    from cli.workflows.answers.run import Run
    from cli.workflows.answers.run_list import RunList
    from trainer.ensembles.ensemble import Ensemble

__all__ = ["AdvisorError", "Home", "explain", "load", "probe", "recommend", "runs", "train"]


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
    probe: float | Literal["auto"] = PROBE,
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
        probe: time for training probes before advising, in minutes, 0 for none; ``auto`` for what is
            worthwhile where the data are at hand, at most 3 minutes.
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
    from cli.workflows.advise.recommend import recommend as workflow

    options = probe_options(probe, download=download)
    file = None if save is None else Path(save)
    return workflow(request_of(given), home_of(home), file, say_of(progress), options)


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

    options = session_options(minutes, download)
    return workflow(request_to_probe(given), options, home_of(home), say_of(progress))


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
    time_limit: str | float | None = None,
    until_error: str | float | None = None,
    until_time: str | float | None = None,
    until_usd: float | None = None,
    price_per_hour: str | float | None = None,
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
        time_limit: time after which training checkpoints and ends, in seconds or as ``"2h"``.
        until_error: validation error until which a MotherNets ensemble gets clusters: 0.06 or ``"6%"``.
        until_time: time of all training together until which clusters are added, in seconds or as ``"2h"``.
        until_usd: cost of all training together until which clusters are added; it needs `price_per_hour`.
        price_per_hour: price of the machine in USD an hour, or ``"k80"`` or ``"v100"``.
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
    given = locals()
    request, targets = plan_request(given), targets_given(given)
    from cli.workflows.runs import train as workflow
    from cli.workflows.runs.lookup import run_id_of
    from cli.workflows.runs.navigation import navigate as path

    where, say = home_of(home), say_of(progress)
    if resume is None and targets is not None:
        return path.navigate(request, targets, train_options(time_limit, download), where, say)
    if resume is None:
        price = price_given(price_per_hour)
        return workflow.train(request, train_options(time_limit, download, price=price), where, say)
    if request != plan_request({"dataset": dataset}) or targets is not None:
        raise UsageError("resume continues a run, which fixes its plan: leave the other arguments out")
    options = train_options(time_limit, download, dataset)
    return path.resume(run_id_of(str(resume), where), options, where, say)


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
        price_per_hour: price of the machine in USD an hour, or ``"k80"`` or ``"v100"``; adds the cost.
        layers: whether a training step is forecast layer by layer as well.
        home: folder of the database and the runs; see the module.

    Raises:
        UsageError: an argument that cannot be understood, or a run that does not exist.
        PlanError: a plan that is missing or damaged.
        StorageError: the database cannot be read.
    """
    request = plan_request(locals())
    from cli.workflows.examine.explain import explain as workflow

    return workflow(request, price_given(price_per_hour), home_of(home), layers=layers)


@speaking_of_arguments()
def runs(
    *,
    where: Mapping[str, object] | None = None,
    sort: str = "-id",
    limit: int | None = 50,
    home: Folder = None,
) -> RunList:
    """Return past runs, the newest first.

    Args:
        where: values that columns must have: ``{"dataset": "digits", "status": "done"}``.
        sort: column; with ``-`` in front, largest first.
        limit: largest number of runs; None for all.
        home: folder of the database.

    Raises:
        UsageError: an unknown column.
        StorageError: the database cannot be read.
    """
    from cli.workflows.runs.listing import list_runs

    conditions = [f"{column}={value}" for column, value in (where or {}).items()]
    return list_runs(home_of(home), conditions, sort, limit)


@speaking_of_arguments()
def load(run: Run | Path | str | int = "last", *, device: str | None = None, home: Folder = None) -> Ensemble:
    """Return a trained ensemble as one `torch.nn.Module` in evaluation mode.

    The module takes images (batch, channels, height, width), uint8 or floats from 0 to 255, and returns the
    average of its members' probabilities, float32 (batch, classes). Other images are refused with a
    `DataError`, also floats that look like images from 0 to 1. Its attribute `classes` has the names of the
    classes by label.

    Args:
        run: answer of `train`, number of a run or ``"last"``, folder of a run, or a file that
            ``advisor export --to safetensors`` wrote.
        device: ``cpu`` or ``cuda``; CUDA if there is one.
        home: folder of the runs; it does not matter where `run` is an answer, a folder or a file.

    Raises:
        UsageError: a run that does not exist.
        RunError: a run that is not finished.
        StorageError: a file that is missing or damaged.
    """
    from cli.workflows.runs.trained import load_run
    from profiler.device import choose_device
    from trainer.ensembles.ensemble import load as from_files

    if isinstance(run, int) or isinstance(run, str) and (run == "last" or run.isdecimal()):
        return load_run(str(run), home_of(home), silent, device=device, download=False).ensemble
    path = Path(run) if isinstance(run, str | Path) else run.path
    return from_files(path, choose_device(device))
