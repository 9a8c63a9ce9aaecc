"""Which short training to make next: the one that changes the decision most for each second of its cost.

A probe is a training of a smaller design for fewer epochs, evaluated on validation images. It is valued
before it is made, by what the accuracy predictor expects of it.

Notation, for S posterior draws:

    e_d    draws of the error of design d of the request,                            shape (S,)
    b      the design of least expected error, the one that would be chosen now
    g_d    saving of design d, log e_b − log e_d,                                    shape (S,)
    μ      draws of the logarithms that the probe will measure: the error of a member, and the ratio of the
           ensemble's error to it,                                                   shape (S, 1 or 2)
    y      simulated measurements, y ~ N(μ, σ²) with the noise σ of one training

The value of a probe is the expected move of the comparison, in points of test error:

    move = e_b · Σ_d P(d is best) · std_y( E[g_d | y] ).

E[g_d | y] is a quadratic regression of g_d on y over the draws (Strong et al. 2015). The variance that it
explains with y in random order is explained by chance, and is subtracted. (The expected value of sample
information would miss probes that change the decision only together, such as a small and a large network.)

Optuna proposes probes (family, depth, members, clusters, shares of budget, epochs and images); the one of
largest move per second is chosen. Probing ends where less than `WORTHWHILE` points are at stake: where
perfect knowledge of all errors would save less, or where no probe moves the comparison by as much.

Source: Strong, Oakley, Brennan and Breeze, Estimating the Expected Value of Sample Information Using the
Probabilistic Sensitivity Analysis Sample (2015).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import optuna

from advisor.accuracy.cases import case_of
from advisor.accuracy.noise import ensemble_seed_std, ratio_std, training_std
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

# Points of test error. The errors of trainings of one design differ by far more.
WORTHWHILE = 0.02
# Seconds that a probe costs beside its training, whatever it trains: fitting, searching and choosing before
# it, building and evaluating its networks. Chosen, not measured. Without it, trainings of milliseconds would
# always be chosen.
BESIDE_SECONDS = 5.0
# Proposals of Optuna for one probe.
TRIALS = 60
# Least shares of budget and schedule. Far below them the formula's power laws do not apply.
LEAST_BUDGET, LEAST_EPOCHS = 1 / 16, 1 / 4
# Shares of the training images, and the least number of images for each class.
IMAGE_SHARES = (1.0, 0.5, 0.25)
LEAST_IMAGES_OF_CLASS = 20
# Number of proposed depths, from the shallowest to the deepest of the request, and the largest depth over the
# usual one. Far deeper than any published network, a network may fail to learn, and the probe with it.
DEPTHS, LARGEST_DEPTH_RATIO = 4, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A training that is worth making.

    Attributes:
        plan: plan of the training.
        seconds: predicted training time. Its upper end is at most the time that is left.
        move: expected move of the comparison of the designs, in points of test error.
        predicted_error: predicted validation error of its ensemble, share.
        image_share: share of the training images.
    """

    plan: TrainingPlan
    seconds: Estimate
    move: float
    predicted_error: Estimate
    image_share: float

    @property
    def rate(self) -> float:
        """Points of expected move per second of the probe's whole cost."""
        return self.move / (self.seconds.mean + BESIDE_SECONDS)

    @property
    def key(self) -> str:
        """Text that is equal for two probes that differ by their seed only."""
        return key_of(self.plan.design, self.plan.epochs, self.image_share)


def next_probe(
    scenario: Scenario,
    evaluated: Sequence[Evaluated],
    *,
    budget: int,
    seconds: float,
    done: Collection[str],
    seed: int,
) -> Probe | None:
    """Return the probe of largest expected move per second, or None where none is worthwhile.

    Args:
        scenario: scenario of the request.
        evaluated: designs of the request with the draws of their errors.
        budget: parameter budget of the request.
        seconds: time that is left for probing.
        done: keys of the trainings that were made before, as of `key_of`.
        seed: random seed of Optuna's sampler, of the simulated measurements and of the probe's training.
    """
    errors = np.stack([e.errors for e in evaluated], axis=1)
    if 100 * at_stake(errors) < WORTHWHILE:
        return None
    found: dict[str, Probe] = {}

    def value(trial: optuna.Trial) -> float:
        plan = _proposed(trial, scenario, budget, seed)
        if plan is None:
            raise optuna.TrialPruned
        image_share = plan.dataset.train_images / scenario.dataset.train_images
        key = key_of(plan.design, plan.epochs, image_share)
        if key in done:
            raise optuna.TrialPruned
        if key not in found:
            found[key] = _valued(plan, scenario, errors, image_share, seed)
        probe = found[key]
        # A probe that takes too long is valued by its time, which leads the sampler to shorter ones.
        return probe.rate if probe.seconds.high <= seconds else -probe.seconds.high

    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(value, n_trials=TRIALS)
    worthwhile = [p for p in found.values() if p.seconds.high <= seconds and p.move >= WORTHWHILE]
    return max(worthwhile, key=lambda p: p.rate, default=None)


def key_of(design: str, epochs: int, image_share: float) -> str:
    """Return a text that is equal for two trainings that differ by their seed only.

    Args:
        design: short name of the design.
        epochs: epochs of a network that is trained from scratch.
        image_share: share of the training images.
    """
    part = f" of {image_share:.0%} of the images" if image_share < 1 else ""
    return f"{design} for {epochs} epoch{'s' * (epochs != 1)}{part}"


def _proposed(trial: optuna.Trial, scenario: Scenario, budget: int, seed: int) -> TrainingPlan | None:
    """Return the plan that a trial proposes, or None where no such training is possible."""
    families = sorted({c.family for c in scenario.candidates})
    family = str(trial.suggest_categorical("family", families))
    counts = sorted({c.members for c in scenario.candidates if c.family == family})
    depth = int(trial.suggest_categorical(f"depth/{family}", _depths(scenario, family)))
    members = int(trial.suggest_categorical(f"members/{family}", counts))
    clusters = int(trial.suggest_categorical(f"clusters/{members}", [members, 1])) if members > 1 else 1
    share = trial.suggest_float("budget", LEAST_BUDGET, 1.0, log=True)
    epochs = max(round(scenario.epochs * trial.suggest_float("epochs", LEAST_EPOCHS, 1.0, log=True)), 1)
    image_share = float(trial.suggest_categorical("images", IMAGE_SHARES))
    task, least_images = scenario.dataset.task, LEAST_IMAGES_OF_CLASS * scenario.dataset.task.classes
    if image_share < 1 and image_share * scenario.dataset.train_images < least_images:
        return None
    width = regular_counts(family, task, depth).widest(depth, share * budget / members)
    if width is None:
        return None
    design = homogeneous(regular_network(family, depth, width), members, clusters)
    return _plan(design, scenario, epochs, image_share, seed)


def _depths(scenario: Scenario, family: str) -> list[int]:
    """Return the depths to propose: evenly spaced in the order of the request's, both ends included."""
    all_depths = {c.depth for c in scenario.candidates if c.family == family}
    usual = {depth for depth in all_depths if depth <= LARGEST_DEPTH_RATIO * family_named(family).usual_depth}
    depths = sorted(usual or all_depths)
    places = np.linspace(0, len(depths) - 1, min(DEPTHS, len(depths)))
    return [depths[round(place)] for place in places]


def _plan(
    design: Design, scenario: Scenario, epochs: int, image_share: float, seed: int
) -> TrainingPlan | None:
    """Return the plan of a probe, or None where its settings are not allowed."""
    try:
        return make_plan(
            design,
            replace(scenario.dataset, train_images=round(image_share * scenario.dataset.train_images)),
            epochs=epochs,
            batch=scenario.batch,
            seed=seed,
            # A probe ends before further processes would have started.
            execution=replace(scenario.execution, processes=1),
        )
    except UsageError:
        return None


def _valued(plan: TrainingPlan, scenario: Scenario, errors: Floats, image_share: float, seed: int) -> Probe:
    """Return a plan as a probe, with its price and its expected move."""
    expected = outcome(scenario.accuracy, parse_design(plan.design), plan.dataset, plan.epochs, image_share)
    return Probe(
        plan=plan,
        seconds=price(plan, scenario.cost).train_seconds,
        move=100 * expected_move(errors, expected.log_figures, expected.stds, seed),
        predicted_error=expected.predicted_error,
        image_share=image_share,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The predicted result of a training on its validation images.

    Attributes:
        log_figures: μ, the logarithms of a member's error and of the ratio of the ensemble's error to it; for
            a single network only the first; shape (draws, figures).
        stds: σ, standard deviations of one training around them, shape (figures,).
        predicted_error: error of the ensemble, share.
    """

    log_figures: Floats
    stds: Floats
    predicted_error: Estimate


def outcome(
    accuracy: AccuracyPredictor, design: Design, data: DatasetFacts, epochs: int, image_share: float = 1.0
) -> Outcome:
    """Return the predicted result of a training.

    Args:
        accuracy: predictor of the errors.
        design: design whose members have one shape.
        data: data set of the training, with the images that it trains on.
        epochs: epochs of a network that is trained from scratch.
        image_share: share of all training images that `data` has.
    """
    single = homogeneous(design.members[0], 1)
    drawn = accuracy.sample_errors(
        [design, single], data.learned_as, data.task, epochs, image_share=image_share
    )
    # The penalty of a hatched member is part of the ratio, because the first figure is a single training.
    log_figures = np.stack([np.log(drawn[:, 1]), np.log(drawn[:, 0] / drawn[:, 1])], axis=1)
    counts = np.maximum(drawn.mean(axis=0) * data.validation_images, 0.5)
    members = len(design.members)
    case = case_of(design, data.learned_as, data.task, epochs)
    seed_std = accuracy.seed_stds[data.learned_as]
    stds = np.array(
        [
            np.hypot(training_std(seed_std, case), 1 / np.sqrt(counts[1] * members)),
            ratio_std(seed_std, case, counts[0]),
        ]
    )
    figures = slice(0, 1 if members == 1 else 2)
    return Outcome(
        log_figures=log_figures[:, figures],
        stds=stds[figures],
        predicted_error=accuracy.predict(
            drawn[:, 0], ensemble_seed_std(seed_std, case), data.validation_images
        ),
    )


def expected_move(errors: Floats, log_figures: Floats, stds: Floats, seed: int) -> float:
    """Return the expected move of the comparison by a measurement, in the unit of the errors.

    Args:
        errors: draws of the error of every design, shape (draws, designs).
        log_figures: μ, draws of the measured figures, shape (draws, figures).
        stds: σ, standard deviations of the measurement, shape (figures,).
        seed: random seed of the simulated measurements.
    """
    generator = np.random.default_rng(seed)
    measured = log_figures + generator.standard_normal(log_figures.shape) * stds
    savings, level = _savings(errors)
    best = np.bincount(savings.argmax(axis=1), minlength=savings.shape[1]) / len(savings)
    shuffled = measured[generator.permutation(len(savings))]
    explained = _explained_variance(savings, measured) - _explained_variance(savings, shuffled)
    return level * float(best @ np.sqrt(np.maximum(explained, 0.0)))


def at_stake(errors: Floats) -> float:
    """Return the expected saving of perfect knowledge over choosing now, in the unit of the errors.

    Args:
        errors: draws of the error of every design, shape (draws, designs).
    """
    savings, level = _savings(errors)
    return level * float(savings.max(axis=1).mean())


def _savings(errors: Floats) -> tuple[Floats, float]:
    """Return g, the log saving of each design over the design of least expected error, and e_b.

    Logarithms keep the few draws in which every design fails from deciding alone; e_b is the median for the
    same reason.
    """
    logs = np.log(errors)
    chosen = int(errors.mean(axis=0).argmin())
    return logs[:, [chosen]] - logs, float(np.median(errors[:, chosen]))


def _explained_variance(savings: Floats, measured: Floats) -> Floats:
    """Return the variance of E[g | y] by a quadratic regression, shape (designs,).

    Args:
        savings: g, shape (draws, designs).
        measured: y, shape (draws, figures).
    """
    x = (measured - measured.mean(axis=0)) / measured.std(axis=0)
    products = [x[:, i] * x[:, j] for i in range(x.shape[1]) for j in range(i, x.shape[1])]
    design_matrix = np.stack([np.ones(len(x)), *x.T, *products], axis=1)
    fitted: Floats = design_matrix @ np.linalg.lstsq(design_matrix, savings, rcond=None)[0]
    variance: Floats = fitted.var(axis=0)
    return variance
