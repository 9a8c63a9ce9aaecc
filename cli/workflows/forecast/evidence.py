"""Evidence of the accuracy predictor: runs of the database, finished or not, and imported trainings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from advisor.accuracy.cases import weight_decay_of
from advisor.accuracy.evidence import Curve, TrainedEvidence, has_curve
from advisor.accuracy.noise import fitted_seed_std
from advisor.accuracy.pooled import pooled_without
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.accuracy.sources.reported import ReportedTraining
from advisor.conformal import ErrorBasis
from advisor.designs.design import parse_design
from advisor.plans.convergence.kinds import Kind, kind_of, scratch_epochs, train_steps
from advisor.plans.dataset import DATASETS, DatasetFacts, learned_name
from advisor.plans.plan import TrainingPlan
from advisor.plans.recipes.choice import patience_of_plan
from advisor.plans.records import RESUMABLE, Run, RunStatus
from cli.workflows.forecast.coverage import corrections_of
from cli.workflows.forecast.probe_source import is_probe
from cli.workflows.views import Say
from db.queries import Store

# Validation errors after every epoch, by network.
Curves = Mapping[str, tuple[float, ...]]
WITH_EVIDENCE = (RunStatus.DONE, *RESUMABLE)


def evidence_of(
    runs: Sequence[Run],
    curves: Mapping[int, Curves] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> list[TrainedEvidence]:
    """Return the evidence that runs give.

    A run that diverged gives none. A run that has not ended, or lost members, gives the learning curves of
    the members that it has.

    Args:
        runs: runs of the database.
        curves: validation errors by number of the run; a run without an entry has no curves.
        sizes: training images of each data set by name; without an entry, a run had all images of its data.
    """
    found = ((run, _evidence_of_run(run, (curves or {}).get(run.id, {}))) for run in runs)
    return [_of_share(e, run.plan.dataset.train_images, sizes) for run, e in found if e is not None]


def _of_share(e: TrainedEvidence, images: int, sizes: Mapping[str, int] | None) -> TrainedEvidence:
    return replace(e, image_share=min(images / (sizes or {}).get(e.dataset, images), 1.0))


def _evidence_of_run(run: Run, curves: Curves) -> TrainedEvidence | None:
    if run.status not in WITH_EVIDENCE:
        return None
    done = run.status is RunStatus.DONE and run.test is not None
    converges = patience_of_plan(run.plan) is not None
    # The formula knows the curves of schedules of a fixed length only.
    curve = None if converges else _curve(run, curves)
    if not done and curve is None:
        return None
    return TrainedEvidence(
        dataset=run.plan.dataset.learned_as,
        task=run.plan.dataset.task,
        design=parse_design(run.plan.design),
        method=run.plan.method,
        epochs=_trained_epochs(run.plan, curves) if converges else run.plan.epochs,
        weight_decay=weight_decay_of(run.plan),
        member_errors=run.test.member_errors if done and run.test is not None else None,
        ensemble_error=run.test.error if done and run.test is not None else None,
        test_images=run.plan.dataset.test_images,
        errors_by_members=run.test.errors_by_members if done and run.test is not None else None,
        curve=curve,
        nll=run.test.nll if done and run.test is not None else None,
        calibration_error=run.test.calibration_error if done and run.test is not None else None,
    )


def _trained_epochs(plan: TrainingPlan, curves: Curves) -> int:
    """Return the mean epochs that networks took from scratch to convergence; without any, those expected."""
    scratch = [step.network for step in train_steps(plan) if kind_of(plan, step) is not Kind.HATCHED]
    lengths = [len(curves[name]) for name in scratch if curves.get(name)]
    return max(round(fmean(lengths) if lengths else scratch_epochs(plan)), 1)


def _curve(run: Run, curves: Curves) -> Curve | None:
    """Return mean validation errors of the members with most epochs, if the formula covers the design."""
    if not has_curve(parse_design(run.plan.design), run.plan.method):
        return None
    own = [curves[m.name] for m in run.plan.members if curves.get(m.name)]
    longest = max(map(len, own), default=0)
    furthest = [errors for errors in own if len(errors) == longest]
    # A network that diverged has NaN.
    means = tuple(fmean(errors) for errors in zip(*furthest, strict=True))
    images = run.plan.dataset.validation_images
    if not means or not images or not all(0 <= mean <= 1 for mean in means):
        return None
    return Curve(member=means, ensemble=None, images=images)


def evidence_of_reported(
    trainings: Sequence[ReportedTraining], sizes: Mapping[str, int] | None = None
) -> list[TrainedEvidence]:
    """Return the evidence that imported trainings give: as much as runs of the database.

    Args:
        trainings: imported trainings.
        sizes: training images of each data set by name, as in `evidence_of`.
    """
    return [
        _of_share(_evidence_of_training(training), training.train_images, sizes) for training in trainings
    ]


def _evidence_of_training(training: ReportedTraining) -> TrainedEvidence:
    return TrainedEvidence(
        dataset=learned_name(training.dataset, training.augmentation),
        task=training.task,
        design=parse_design(training.design),
        epochs=training.epochs,
        member_errors=training.member_errors,
        ensemble_error=training.error,
        test_images=training.test_images,
        errors_by_members=training.errors_by_members,
        curve=_reported_curve(training),
        weight_decay=training.weight_decay,
    )


def _reported_curve(training: ReportedTraining) -> Curve | None:
    known = has_curve(parse_design(training.design), None)
    if training.member_curve is None or not training.validation_images or not known:
        return None
    return Curve(
        member=training.member_curve, ensemble=training.ensemble_curve, images=training.validation_images
    )


def accuracy_for(
    store: Store, facts: DatasetFacts, seed: int
) -> tuple[AccuracyPredictor, list[TrainedEvidence]]:
    """Return the accuracy predictor of a data set and the trainings that it has learned from.

    The predictor also learns from the errors of simple classifiers on the data, where they are stored
    (`cli.workflows.forecast.level`).

    Trainings of older programs stored the path of a folder and not what was in it. They count for that path.

    Args:
        store: database with runs, imported trainings and looks at data sets.
        facts: facts of the data set; any training on it may have had a part of its images only.
        seed: random seed of the posterior draws.
    """
    runs = [run for run in store.runs() if run.status in WITH_EVIDENCE]
    stored = store.stored_trainings()
    reported = [each.training for each in stored]
    dataset, by_path = facts.learned_as, learned_name(facts.name, facts.augmentation)
    sizes = sizes_of(runs, reported)
    sizes |= dict.fromkeys((dataset, by_path), all_images(sizes, facts))
    evidence = evidence_of(runs, store.curves([run.id for run in runs]), sizes)
    probes = [is_probe(each.source) for each in stored]
    found = evidence_of_reported(reported, sizes)
    evidence += [replace(e, validated=probe) for e, probe in zip(found, probes, strict=True)]
    evidence = [replace(e, dataset=dataset) if e.dataset == by_path else e for e in evidence]
    look = store.look(facts.key)
    levels = () if look is None else (look.level(facts, sizes[dataset]),)
    pooled = pooled_without(facts.name)
    corrections = corrections_of(store)
    tasks = {dataset: facts.task}
    return AccuracyPredictor([dataset], evidence, seed, levels, pooled, sizes, corrections, tasks), evidence


def error_basis(accuracy: AccuracyPredictor, trainings: int) -> ErrorBasis:
    """Return the best evidence that a predictor has learned from, beside the published errors.

    Args:
        accuracy: predictor of one data set.
        trainings: number of trainings that it has learned from.
    """
    if trainings:
        return ErrorBasis.RUNS
    return ErrorBasis.DATA if accuracy.levels else ErrorBasis.PRIOR


def all_images(sizes: Mapping[str, int], facts: DatasetFacts) -> int:
    """Return the number of training images that a data set has: the largest that is known.

    Args:
        sizes: training images of each data set by name; see `sizes_of`.
        facts: facts of the data set, which may be those of a part.
    """
    names = facts.learned_as, learned_name(facts.name, facts.augmentation)
    return max(facts.train_images, *(sizes.get(name, 0) for name in names))


def seed_stds_of(store: Store, datasets: Iterable[str]) -> dict[str, float]:
    """Return the standard deviation of the log error of one network between seeds, by data set.

    The whole predictor does not have to be fitted for it.

    Args:
        store: database with runs and imported trainings.
        datasets: names that errors on the data are learned under.
    """
    runs, reported = store.runs(), store.reported()
    sizes = sizes_of(runs, reported)
    evidence = evidence_of(runs, sizes=sizes) + evidence_of_reported(reported, sizes)
    return {dataset: fitted_seed_std(dataset, evidence) for dataset in datasets}


def say_of_earlier_contents(store: Store, facts: DatasetFacts, say: Say) -> None:
    """Say how many runs on a folder do not count, because it had other contents then."""
    if facts.identity is None:
        return
    runs = (run for run in store.runs() if run.status in WITH_EVIDENCE)
    own = (run.plan.dataset for run in runs if run.plan.dataset.name == facts.name)
    number = sum(data.identity is not None and data.key != facts.key for data in own)
    if number:
        what = "1 run does" if number == 1 else f"{number} runs do"
        say(f"{what} not count as training on these data: {facts.name} had other contents then")


def imported_facts(store: Store, dataset: str) -> DatasetFacts | None:
    """Return the facts of a data set from its imported training on the most images; None if there is none."""
    own = [training for training in store.reported() if training.dataset == dataset]
    return max(own, key=lambda training: training.train_images).facts if own else None


def sizes_of(runs: Sequence[Run], reported: Sequence[ReportedTraining]) -> dict[str, int]:
    """Return the training images of every data set, by the name under which its errors are learned.

    For a data set that the program does not know, that is the largest number in any training.
    """
    trained = [
        (run.plan.dataset.name, run.plan.dataset.learned_as, run.plan.dataset.train_images) for run in runs
    ]
    trained += [(t.dataset, learned_name(t.dataset, t.augmentation), t.train_images) for t in reported]
    sizes: dict[str, int] = {}
    for name, learned_as, images in trained:
        known = DATASETS[name].train_images if name in DATASETS else images
        sizes[learned_as] = max(sizes.get(learned_as, 0), known)
    return sizes
