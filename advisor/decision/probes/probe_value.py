"""What a probe is worth before it is made: by how much its result would move the comparison of designs.

Notation, for S posterior draws:

    e_d    draws of the error of design d of the request; a design that may be trained with several weight
           decays counts as several,                                                 shape (S,)
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

Source: Strong, Oakley, Brennan and Breeze, Estimating the Expected Value of Sample Information Using the
Probabilistic Sensitivity Analysis Sample (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.accuracy.cases import case_of
from advisor.accuracy.noise import ensemble_seed_std, member_std, ratio_std
from advisor.accuracy.predictor import AccuracyPredictor
from advisor.decision.scenario import Evaluated
from advisor.designs.design import Design, homogeneous
from advisor.estimate import Estimate, Floats
from advisor.plans.dataset import DatasetFacts


def errors_of(evaluated: Sequence[Evaluated]) -> Floats:
    """Return the draws of the errors that are compared, shape (draws, designs and more).

    A design may be trained with several weight decays. One that is not chosen is compared as well where it
    has the least error of all in some draw. Those that never have add nothing to any value below.
    """
    chosen: Floats = np.stack([e.errors for e in evaluated], axis=1)
    tables = [e.errors_by_weight_decay for e in evaluated if e.errors_by_weight_decay is not None]
    if not tables:
        return chosen
    every = np.concatenate([chosen, *tables], axis=1)
    best = np.unique(every.argmin(axis=1))
    return np.concatenate([chosen, every[:, best[best >= len(evaluated)]]], axis=1)


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
    accuracy: AccuracyPredictor,
    design: Design,
    data: DatasetFacts,
    epochs: int,
    image_share: float = 1.0,
    weight_decay: float = 1.0,
) -> Outcome:
    """Return the predicted result of a training.

    Args:
        accuracy: predictor of the errors.
        design: design whose members have one shape.
        data: data set of the training, with the images that it trains on.
        epochs: epochs of a network that is trained from scratch.
        image_share: share of all training images that `data` has.
        weight_decay: weight decay over that of the recipe.
    """
    single = homogeneous(design.members[0], 1)
    drawn = accuracy.sample_errors(
        [design, single],
        data.learned_as,
        data.task,
        epochs,
        image_share=image_share,
        weight_decays=[weight_decay] * 2,
        validated=True,
    )
    # The penalty of a hatched member is part of the ratio, because the first figure is a single training.
    log_figures = np.stack([np.log(drawn[:, 1]), np.log(drawn[:, 0] / drawn[:, 1])], axis=1)
    counts = np.maximum(drawn.mean(axis=0) * data.validation_images, 0.5)
    members = len(design.members)
    case = case_of(design, data.learned_as, data.task, epochs)
    seed_std = accuracy.seed_stds[data.learned_as]
    stds = np.array(
        [
            member_std(seed_std, case, counts[1], data.validation_images),
            ratio_std(seed_std, (counts[0], counts[1]), data.validation_images, members),
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
    shares = np.bincount(savings.argmax(axis=1), minlength=savings.shape[1]) / len(savings)
    # What is best in no draw adds nothing; its regression would take time.
    best, savings = shares[shares > 0], savings[:, shares > 0]
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
