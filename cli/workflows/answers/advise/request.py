"""The request of `advisor recommend` and `advisor probe`, which is part of the advice."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.decision.ranking import Objective
from advisor.decision.weight_decay import Tune
from advisor.plans.dataset import Augmentation
from advisor.plans.method_traits import Method
from advisor.plans.recipes.choice import RecipeName
from cli.workflows.defaults import OBJECTIVE, RECIPE, TRIALS, TUNE


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendRequest:
    """A request for advice as the user writes it; it is stored with the answer.

    Attributes:
        budget: parameters of all members together, as a user writes them (``5M``).
        epochs: schedule of a network trained from scratch.
        dataset: name of the data set.
        augmentation: name of the augmentation; None for that of the data set.
        families: names of the families, empty for all convolutional ones.
        members: member counts, empty for the usual ones.
        methods: training methods of ensembles, empty for the usual ones.
        objective: objective of the ranking.
        max_memory_bytes: upper limit on the memory of training, None for none.
        max_latency_ms: upper limit on the inference time of one image, None for none.
        max_train_seconds: upper limit on the time of the whole training, None for none.
        device: ``cpu`` or ``cuda``; None for cuda if there is one.
        batch: images in a training step; None for that of the data set.
        seed: random seed of the search, of the posterior draws and of the plans.
        trials: number of designs that the search looks at.
        profile_seconds: upper limit on the time of new measurements.
        resize: size that the images of a folder are scaled to cover and cropped to, None for none.
        skip_damaged: whether damaged files of a folder are left out.
        tune: ``auto`` to choose the weight decay of designs, ``off`` for that of the recipes.
        price_per_hour_usd: price of the machine in USD per hour, None for no cost.
        max_usd: upper limit on the cost of the whole training in USD, None for none.
        recipe: ``ours`` or ``published``, that of the MotherNets paper.
        until_converged: whether a training ends when its accuracy no longer improves.
        patience: epochs without a gain in training accuracy that end a training; None for those of the
            recipe, or 15 if `until_converged`.
    """

    budget: str
    epochs: int
    dataset: str
    augmentation: str | None
    families: tuple[str, ...]
    members: tuple[int, ...]
    methods: tuple[str, ...] = ()
    objective: str = OBJECTIVE
    max_memory_bytes: float | None = None
    max_latency_ms: float | None = None
    max_train_seconds: float | None = None
    device: str | None
    batch: int | None
    seed: int
    trials: int = TRIALS
    profile_seconds: float
    resize: str | None = None
    skip_damaged: bool = False
    tune: str = TUNE
    price_per_hour_usd: float | None = None
    max_usd: float | None = None
    recipe: str = RECIPE
    until_converged: bool = False
    patience: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRequest(RecommendRequest):
    """The request that an advice answers.

    Attributes:
        batch: images in a training step.
        budget_parameters: parameters of all members together.
        tune: whether the weight decay of designs is chosen.
        used_augmentation: augmentation of training batches, that of the data set if the request names none.
        recipe: recipe of the trainings.
        used_patience: epochs without a gain in training accuracy that end a training; null where its length
            is fixed.
    """

    methods: tuple[Method, ...]
    objective: Objective
    tune: Tune = Tune.AUTO
    recipe: RecipeName = RecipeName.OURS
    used_patience: int | None = None
    batch: int
    budget_parameters: int
    used_augmentation: Augmentation
