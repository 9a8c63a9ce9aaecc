"""Which short training to make next: the one that is worth most for the decision, by the second.

A probe is a training of a smaller design, for fewer epochs, scored on validation images. What it would find
is drawn from the predictor itself: draw s of the posterior foresees the logarithms y_s of the probe's errors
(that of a member, and the ratio that averaging leaves), and a training scatters around them by its spread.
The request turns on what each design d would save over b, the one of least expected error. A probe is judged
by how far its outcome y is expected to move that, for the designs that may turn out best:

    move = e_b · Σ_d P(d is best) · sd_y( E[ log e_b − log e_d | y ] ).

The conditional expectation is a quadratic regression on y over the draws (Strong et al. 2015); what it
explains with the y of other draws, it explains by chance, and that is taken off. (The expected value of the
information itself would miss probes that decide only together, such as a small and a large network.)

Optuna proposes probes (family, depth, members, clusters, share of budget, epochs and images) and keeps
the one with the largest move a second. Probing ends where less than `WORTHWHILE` is at stake: where knowing
all errors would not save more than that over choosing now, or where no probe moves as much.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna

from advisor.accuracy.evidence import case_of, ensemble_seed_std, ratio_std, training_std
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.pricing import price
from advisor.decision.search import Evaluated, Scenario
from advisor.designs.design import Design, homogeneous, parse_design
from advisor.errors import UsageError
from advisor.estimate import Estimate, Floats
from advisor.networks.architecture import regular_network
from advisor.networks.families import family_named
from advisor.networks.regular_counts import regular_counts
from advisor.plans.dataset import DatasetFacts
from advisor.plans.methods import make_plan
from advisor.plans.plan import TrainingPlan

# Points of test error; errors of trainings scatter by far more.
WORTHWHILE = 0.02
# What a probe costs beside its training, whatever it trains: fitting, searching and choosing before it,
# building and evaluating its networks. Chosen, not measured; without it trainings of milliseconds would win.
BESIDE_SECONDS = 5.0
# Proposals that Optuna judges for one probe.
TRIALS = 60
# Smallest shares of budget and schedule that a probe takes; far below, other laws hold.
LEAST_BUDGET, LEAST_EPOCHS = 1 / 16, 1 / 4
# Shares of the training images, and how many a class keeps at least.
IMAGES = (1.0, 0.5, 0.25)
LEAST_OF_CLASS = 20
# Depths of a family that are proposed, from the shallowest of the request to the deepest, which is at most so
# many times the usual one.
DEPTHS, DEEPEST = 4, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A training that would teach something.

    Attributes:
        plan: what would be trained.
        seconds: predicted training time; no probe is chosen that may take longer than is left.
        move: points by which it is expected to move the comparison of the designs.
        plan_forecast: predicted error of its ensemble, share.
        images: share of the training images that it trains on.
    """

    plan: TrainingPlan
    seconds: Estimate
    move: float
    plan_forecast: Estimate

    images: float

    @property
    def rate(self) -> float:
        """Points a second of all that the probe costs."""
        return self.move / (self.seconds.mean + BESIDE_SECONDS)

    @property
    def key(self) -> str:
        """What makes two probes the same, whatever their seed."""
        return key_of(self.plan.design, self.plan.epochs, self.images)


def next_probe(
    scenario: Scenario,
    evaluated: Sequence[Evaluated],
    *,
    budget: int,
    seconds: float,
    done: Collection[str],
    seed: int,
) -> Probe | None:
    """Return the probe that is worth most a second, or None where none is worth its while.

    Args:
        scenario: of the request.
        evaluated: designs of the request with the draws of their errors.
        budget: parameters of the request.
        seconds: left for probing.
        done: what was trained before, by `key_of`.
        seed: of Optuna's sampler, of the outcomes and of the probe's training.
    """
    errors = np.stack([j.errors for j in evaluated], axis=1)
    if 100 * at_stake(errors) < WORTHWHILE:
        return None
    found: dict[str, Probe] = {}

    def worth(trial: optuna.Trial) -> float:
        plan = _proposed(trial, scenario, budget, seed)
        if plan is None:
            raise optuna.TrialPruned
        images = plan.dataset.train_images / scenario.dataset.train_images
        key = key_of(plan.design, plan.epochs, images)
        if key in done:
            raise optuna.TrialPruned
        if key not in found:
            found[key] = _judged(plan, scenario, errors, images, seed)
        probe = found[key]
        # One that takes too long is the worse the longer it takes, which leads the sampler back.
        return probe.rate if probe.seconds.high <= seconds else -probe.seconds.high

    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(worth, n_trials=TRIALS)
    worthy = [p for p in found.values() if p.seconds.high <= seconds and p.move >= WORTHWHILE]
    return max(worthy, key=lambda p: p.rate, default=None)


def key_of(design: str, epochs: int, images: float) -> str:
    """Return what makes two trainings the same, whatever their seed."""
    part = f" of {images:.0%} of the images" if images < 1 else ""
    return f"{design} for {epochs} epoch{'s' * (epochs != 1)}{part}"


def _proposed(trial: optuna.Trial, scenario: Scenario, budget: int, seed: int) -> TrainingPlan | None:
    families = sorted({c.family for c in scenario.candidates})
    family = str(trial.suggest_categorical("family", families))
    counts = sorted({c.members for c in scenario.candidates if c.family == family})
    known = {c.depth for c in scenario.candidates if c.family == family}
    # Far deeper than anything published, a network may learn nothing, and so would we.
    usual = {depth for depth in known if depth <= DEEPEST * family_named(family).usual_depth}
    depths = _spread(sorted(usual or known))
    depth = int(trial.suggest_categorical(f"depth/{family}", depths))
    members = int(trial.suggest_categorical(f"members/{family}", counts))
    clusters = int(trial.suggest_categorical(f"clusters/{members}", [members, 1])) if members > 1 else 1
    share = trial.suggest_float("budget", LEAST_BUDGET, 1.0, log=True)
    epochs = max(round(scenario.epochs * trial.suggest_float("epochs", LEAST_EPOCHS, 1.0, log=True)), 1)
    images, task = float(trial.suggest_categorical("images", IMAGES)), scenario.dataset.task
    if images < 1 and images * scenario.dataset.train_images < LEAST_OF_CLASS * task.classes:
        return None
    width = regular_counts(family, task, depth).widest(depth, share * budget / members)
    if width is None:
        return None
    design = homogeneous(regular_network(family, depth, width), members, clusters)
    return _plan(design, scenario, epochs, images, seed)


def _plan(design: Design, scenario: Scenario, epochs: int, images: float, seed: int) -> TrainingPlan | None:
    try:
        return make_plan(
            design,
            replace(scenario.dataset, train_images=round(images * scenario.dataset.train_images)),
            epochs=epochs,
            batch=scenario.batch,
            seed=seed,
            # A probe is over before further processes would have started.
            execution=replace(scenario.execution, processes=1),
        )
    except UsageError:
        return None


def _spread(depths: list[int]) -> list[int]:
    """Return a few depths, evenly spaced in their order, both ends among them."""
    places = np.linspace(0, len(depths) - 1, min(DEPTHS, len(depths)))
    return [depths[round(place)] for place in places]


def _judged(plan: TrainingPlan, scenario: Scenario, errors: Floats, images: float, seed: int) -> Probe:
    told = outcome(scenario.accuracy, parse_design(plan.design), plan.dataset, plan.epochs, images)
    return Probe(
        plan=plan,
        seconds=price(plan, scenario.cost).train_seconds,
        move=100 * expected_move(errors, told.seen, told.stds, seed),
        plan_forecast=told.plan_forecast,
        images=images,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a training would find, as the predictor foresees it.

    Attributes:
        seen: of each draw, the logarithms of a member's error and of the ratio that averaging leaves, of a
            single network the first alone; shape (draws, figures).
        stds: of a training around them, shape (figures,).
        plan_forecast: error of its ensemble, share.
    """

    seen: Floats
    stds: Floats
    plan_forecast: Estimate


def outcome(
    accuracy: AccuracyPredictor, design: Design, data: DatasetFacts, epochs: int, images: float = 1.0
) -> Outcome:
    """Foresee what a training finds on its validation images.

    Args:
        accuracy: predictor.
        design: of members of one shape.
        data: that it trains on.
        epochs: schedule of a network from scratch.
        images: share of the training images that `data` has.
    """
    single = homogeneous(design.members[0], 1)
    drawn = accuracy.sample_errors([design, single], data.learned_as, data.task, epochs, images=images)
    # A hatched member has its own penalty, which the ratio to a single training takes in.
    logs = np.stack([np.log(drawn[:, 1]), np.log(drawn[:, 0] / drawn[:, 1])], axis=1)
    counted = np.maximum(drawn.mean(axis=0) * data.validation_images, 0.5)
    members = len(design.members)
    case = case_of(design, data.learned_as, data.task, epochs)
    seeds = accuracy.seeds[data.learned_as]
    stds = np.array(
        [
            np.hypot(training_std(seeds, case), 1 / np.sqrt(counted[1] * members)),
            ratio_std(seeds, case, counted[0]),
        ]
    )
    figures = slice(0, 1 if members == 1 else 2)
    return Outcome(
        seen=logs[:, figures],
        stds=stds[figures],
        plan_forecast=accuracy.predict(drawn[:, 0], ensemble_seed_std(seeds, case), data.validation_images),
    )


def expected_move(errors: Floats, seen: Floats, stds: Floats, seed: int) -> float:
    """Return how far an observation is expected to move the comparison of the designs.

    Args:
        errors: draws of the error of every design, shape (draws, designs).
        seen: what each draw says an observation would be, shape (draws, figures).
        stds: of an observation around that, shape (figures,).
        seed: of the outcomes.

    Returns:
        In the unit of `errors`.
    """
    generator = np.random.default_rng(seed)
    outcomes = seen + generator.standard_normal(seen.shape) * stds
    saved, level = _saved(errors)
    best = np.bincount(saved.argmax(axis=1), minlength=saved.shape[1]) / len(saved)
    # What a regression on outcomes that belong to other draws explains, it explains by chance.
    explained = _explained(saved, outcomes) - _explained(saved, outcomes[generator.permutation(len(saved))])
    return level * float(best @ np.sqrt(np.maximum(explained, 0.0)))


def at_stake(errors: Floats) -> float:
    """Return what knowing all errors would save over choosing now, in the unit of errors (draws, designs)."""
    saved, level = _saved(errors)
    return level * float(saved.max(axis=1).mean())


def _saved(errors: Floats) -> tuple[Floats, float]:
    """Share of its error that each design saves over the one of least expected error, and that one's level.

    In logarithms, or the few draws in which everything fails would decide alone.
    """
    logs = np.log(errors)
    chosen = int(errors.mean(axis=0).argmin())
    return logs[:, [chosen]] - logs, float(np.median(errors[:, chosen]))


def _explained(saved: Floats, outcomes: Floats) -> Floats:
    """Variance of the expected saving given the outcome, shape (designs,): of a quadratic regression.

    Args:
        saved: shape (draws, designs).
        outcomes: shape (draws, figures).
    """
    x = (outcomes - outcomes.mean(axis=0)) / outcomes.std(axis=0)
    products = [x[:, i] * x[:, j] for i in range(x.shape[1]) for j in range(i, x.shape[1])]
    rows = np.stack([np.ones(len(x)), *x.T, *products], axis=1)
    fitted: Floats = rows @ np.linalg.lstsq(rows, saved, rcond=None)[0]
    explained: Floats = fitted.var(axis=0)
    return explained
