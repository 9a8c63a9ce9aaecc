"""Which training to make next: of a leading design as it is asked about, then what changes the decision most.

A probe is a training that is evaluated on validation images. The first one is the training of the leading
design for the epochs of the request and on all images, the second that of its closest rival among the other
kind of designs, single networks or ensembles (`advisor.decision.leading`). Both are made where they fit the
time: a law that was fitted to short trainings on parts of the images is right about those, and may be wrong
about what is asked.

Every other probe is valued before it is made (`advisor.decision.probes.probe_value`). It may be of a smaller
design for fewer epochs. A leading design is among them for its whole schedule where that fits the time, else
for a part of it. So are the leading single network and the leading ensembles with every other weight decay,
for half of the schedule or of the images at least: what weight decay does shows late. Optuna proposes further
ones (family, depth, members, clusters, shares of budget, epochs and images). The one of largest move per
second is chosen. Probing ends where less than `WORTHWHILE` points are at stake: where perfect knowledge of
all errors would save less, or where no probe moves the comparison by as much.

Several probes may train side by side. Then the next one is chosen as if those that run had ended with what is
expected of them (`advisor.decision.probes.fantasies`), until their results are there. Its time is that of a
machine which is shared.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import optuna

from advisor.accuracy.cases import weight_decay_of
from advisor.cost.pricing import price
from advisor.decision.probes.contenders import contenders, first_to_train, key_of, with_other_weight_decays
from advisor.decision.probes.fantasies import ALONE, Beside, Fantasies
from advisor.decision.probes.probe_value import Outcome, at_stake, errors_of, expected_move, outcome
from advisor.decision.scenario import Evaluated, Scenario, plan_of
from advisor.decision.weight_decay import other_than_recipe, tuned_weight_decay_of
from advisor.designs.design import Design, homogeneous, parse_design
from advisor.errors import UsageError
from advisor.estimate import Estimate, Floats
from advisor.networks.architecture import regular_network
from advisor.networks.families import family_named
from advisor.networks.regular_counts import regular_counts
from advisor.plans.methods import PlanOptions, make_plan
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
# Shares of epochs and of images of a leading design's probe where its whole training does not fit the time.
SHORTENED = ((1.0, 0.5), (1.0, 0.25), (0.5, 1.0), (0.25, 1.0), (0.5, 0.5))
# The same with another weight decay than the design's own.
SHORTENED_BY_HALF = ((1.0, 0.5), (0.5, 1.0))
# Number of proposed depths, from the shallowest to the deepest of the request, and the largest depth over the
# usual one. Far deeper than any published network, a network may fail to learn, and the probe with it.
DEPTHS, LARGEST_DEPTH_RATIO = 4, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A training that is worth making.

    Attributes:
        plan: plan of the training.
        seconds: predicted training time, beside what else trains. Its upper end is at most the time that is
            left.
        move: expected move of the comparison of the designs, in points of test error.
        predicted_error: predicted validation error of its ensemble, share.
        image_share: share of the training images.
        full: whether it is the training that the request asks about: all epochs and images, and the plan of
            `advisor.decision.scenario.planned` but for its number of processes.
        peak_bytes: upper end of the predicted peak memory of its networks.
    """

    plan: TrainingPlan
    seconds: Estimate
    move: float
    predicted_error: Estimate
    image_share: float
    full: bool
    peak_bytes: float = 0.0

    @property
    def rate(self) -> float:
        """Points of expected move per second of the probe's whole cost."""
        return self.move / (self.seconds.mean + BESIDE_SECONDS)

    @property
    def key(self) -> str:
        """Text that is equal for two probes that differ by their seed only."""
        return key_of(self.plan.design, self.plan.epochs, self.image_share, self.weight_decay)

    @property
    def weight_decay(self) -> float:
        """Weight decay over that of the recipe."""
        return weight_decay_of(self.plan)

    @property
    def tuned_weight_decay(self) -> float | None:
        """Weight decay of its networks where it is not that of the recipe, else None."""
        return tuned_weight_decay_of(self.plan)


@dataclass(frozen=True, slots=True)
class Valuation:
    """What a plan would be worth as a probe.

    Attributes:
        scenario: scenario of the request.
        errors: draws of the errors of the request's designs, shape (draws, designs).
        seed: random seed of the simulated measurements.
        beside: what trains at the same time.
        known: probes that are valued already, by their keys.
    """

    scenario: Scenario
    errors: Floats
    seed: int
    beside: Beside = ALONE
    known: dict[str, Probe] = field(default_factory=dict)

    def of(self, plan: TrainingPlan) -> Probe:
        """Return a plan as a probe, with its price and its expected move."""
        scenario, beside = self.scenario, self.beside
        image_share = _image_share(plan, scenario)
        key = key_of(plan.design, plan.epochs, image_share, weight_decay_of(plan))
        if (known := self.known.get(key)) is not None and known.plan == plan:
            return known
        expected = _outcome(plan, scenario)
        log_figures = beside.fantasies.conditioned(expected.log_figures)
        priced = price(plan, scenario.cost)
        self.known[key] = Probe(
            plan=plan,
            seconds=priced.train_seconds.scaled(beside.slowdown),
            move=100 * expected_move(self.errors, log_figures, expected.stds, self.seed),
            predicted_error=expected.predicted_error,
            image_share=image_share,
            full=image_share == 1 and plan.epochs == scenario.epochs,
            peak_bytes=priced.train_peak_bytes.high,
        )
        return self.known[key]


def next_probe(
    scenario: Scenario,
    evaluated: Sequence[Evaluated],
    *,
    budget: int,
    seconds: float,
    done: Collection[str],
    seed: int,
    running: Sequence[Probe] = (),
    slowdown: float = 1.0,
    valued: dict[str, Probe] | None = None,
) -> Probe | None:
    """Return the next probe, or None where none is worthwhile: a leading design's, else the most informative.

    Args:
        scenario: scenario of the request.
        evaluated: designs of the request with the draws of their errors.
        budget: parameter budget of the request.
        seconds: time that is left for probing. Where it is infinite, no training is preferred for being a
            leading design's.
        done: keys of the trainings that were made before or are being made, as of `key_of`.
        seed: random seed of Optuna's sampler, of the simulated measurements and of the probe's training; a
            full training has that of the scenario.
        running: probes that train already, in the order of their choice; what is expected of them counts as
            observed.
        slowdown: factor on the time of a probe by what trains beside it.
        valued: probes that earlier calls have valued, by their keys; they differ by their time only. This
            call adds its own.
    """
    beside = Beside(Fantasies.of([_outcome(p.plan, scenario) for p in running], seed), slowdown)
    evaluated = beside.fantasies.evaluated(evaluated)
    errors = errors_of(evaluated)
    valuation = Valuation(scenario, errors, seed, beside, {} if valued is None else valued)
    if 100 * at_stake(errors) < WORTHWHILE:
        return None
    if math.isfinite(seconds):
        first = _of_first(valuation, evaluated, done)
        if fitting := next((p for p in first if p.seconds.high <= seconds), None):
            return fitting
    found = {p.key: p for p in _of_leading(valuation, evaluated, seconds, done)}

    def value(trial: optuna.Trial) -> float:
        plan = _proposed(trial, scenario, budget, seed)
        if plan is None:
            raise optuna.TrialPruned
        key = key_of(plan.design, plan.epochs, _image_share(plan, scenario))
        if key in done:
            raise optuna.TrialPruned
        if key not in found:
            found[key] = valuation.of(plan)
        probe = found[key]
        # A probe that takes too long is valued by its time, which leads the sampler to shorter ones.
        return probe.rate if probe.seconds.high <= seconds else -probe.seconds.high

    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(value, n_trials=TRIALS)
    worthwhile = [p for p in found.values() if p.seconds.high <= seconds and p.move >= WORTHWHILE]
    return max(worthwhile, key=lambda p: p.rate, default=None)


def full_probes(
    scenario: Scenario,
    evaluated: Sequence[Evaluated],
    done: Collection[str],
    seed: int,
    beside: Beside = ALONE,
) -> list[Probe]:
    """Return the full trainings to make first: of the leading design and its rival, unless one like it was.

    Args:
        scenario: scenario of the request.
        evaluated: designs of the request with the draws of their errors.
        done: keys of the trainings that were made before, as of `key_of`.
        seed: random seed of the simulated measurements.
        beside: what trains at the same time.
    """
    return _of_first(Valuation(scenario, errors_of(evaluated), seed, beside), evaluated, done)


def _of_first(valuation: Valuation, evaluated: Sequence[Evaluated], done: Collection[str]) -> list[Probe]:
    """Return the full trainings to make first; arguments as for `full_probes`."""
    scenario = valuation.scenario
    leading = first_to_train(evaluated, scenario.dataset, scenario.epochs, done)
    return [valuation.of(_full_plan(e, scenario)) for e in leading]


def _of_leading(
    valuation: Valuation, evaluated: Sequence[Evaluated], seconds: float, done: Collection[str]
) -> Iterator[Probe]:
    """Yield the probes of leading designs: the whole training where it fits the time, else parts of it."""
    scenario, leading = valuation.scenario, contenders(evaluated)
    others = with_other_weight_decays(leading, scenario.weight_decays)
    parts = [(e, SHORTENED) for e in leading] + [(e, SHORTENED_BY_HALF) for e in others]
    for each, shortened in parts:
        whole = valuation.of(_full_plan(each, scenario))
        if whole.seconds.high <= seconds:
            if whole.key not in done:
                yield whole
            continue
        for epoch_share, image_share in shortened:
            epochs = max(round(epoch_share * scenario.epochs), 1)
            decay = each.weight_decay
            plan = _plan(each.design, scenario, epochs, image_share, valuation.seed, decay)
            if plan is not None and key_of(plan.design, plan.epochs, image_share, decay) not in done:
                yield valuation.of(plan)


def _full_plan(leading: Evaluated, scenario: Scenario) -> TrainingPlan:
    return plan_of(_in_one_process(scenario), leading)


def _in_one_process(scenario: Scenario) -> Scenario:
    # A probe ends before further processes would have started. The weights do not depend on it.
    return replace(scenario, execution=replace(scenario.execution, processes=1))


def _image_share(plan: TrainingPlan, scenario: Scenario) -> float:
    return plan.dataset.train_images / scenario.dataset.train_images


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
    width = regular_counts(family, scenario.dataset.task, depth).widest(depth, share * budget / members)
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
    design: Design,
    scenario: Scenario,
    epochs: int,
    image_share: float,
    seed: int,
    weight_decay: float = 1.0,
) -> TrainingPlan | None:
    """Return the plan of a probe; None where its settings are not allowed, or classes have too few images."""
    least_images = LEAST_IMAGES_OF_CLASS * scenario.dataset.task.classes
    images = round(image_share * scenario.dataset.train_images)
    if image_share < 1 and images < least_images:
        return None
    full = image_share == 1 and epochs == scenario.epochs
    try:
        return make_plan(
            design,
            replace(scenario.dataset, train_images=images),
            epochs=epochs,
            batch=scenario.batch,
            seed=scenario.seed if full else seed,
            execution=_in_one_process(scenario).execution,
            options=PlanOptions(weight_decay=other_than_recipe(design, weight_decay)),
        )
    except UsageError:
        return None


def _outcome(plan: TrainingPlan, scenario: Scenario) -> Outcome:
    """Return the predicted result of a plan, by the draws of the scenario."""
    return outcome(
        scenario.accuracy,
        parse_design(plan.design),
        plan.dataset,
        plan.epochs,
        _image_share(plan, scenario),
        weight_decay_of(plan),
    )
