"""Published figures that the accuracy predictor learns from, as literal tables.

`ERRORS` are test errors on CIFAR with crops and flips, of independently trained members, as printed in: He et
al. 2016 (ResNet; 110 layers: mean of 5), Zagoruyko and Komodakis 2016 (Wide ResNet), Huang et al. 2017
(DenseNet), Wen et al. 2019, Garipov et al. 2018, Chirkova et al. 2020 and the uncertainty-baselines results.

`GAPS` are switchover thresholds, and gaps beyond them, of Wasay and Idreos, "More or Less" (ICLR 2021),
sections 3 and 4.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublishedError:
    """One published test error.

    Attributes:
        source: authors and year.
        dataset: name of the data set.
        family: family of the members.
        depth: depth of a member.
        parameters: parameters of a member, in millions.
        members: number of members.
        epochs: epochs of each member.
        error: test error in percent.
    """

    source: str
    dataset: str
    family: str
    depth: int
    parameters: float
    members: int
    epochs: int
    error: float


ERRORS: tuple[PublishedError, ...] = (
    PublishedError("He et al. 2016", "cifar10", "resnet", 20, 0.27, 1, 164, 8.75),
    PublishedError("He et al. 2016", "cifar10", "resnet", 32, 0.46, 1, 164, 7.51),
    PublishedError("He et al. 2016", "cifar10", "resnet", 44, 0.66, 1, 164, 7.17),
    PublishedError("He et al. 2016", "cifar10", "resnet", 56, 0.85, 1, 164, 6.97),
    PublishedError("He et al. 2016", "cifar10", "resnet", 110, 1.7, 1, 164, 6.61),
    PublishedError("Wen et al. 2019", "cifar10", "resnet", 32, 7.43, 1, 250, 4.69),
    PublishedError("Wen et al. 2019", "cifar10", "resnet", 32, 7.43, 4, 250, 3.70),
    PublishedError("Zagoruyko 2016", "cifar10", "wrn", 40, 0.6, 1, 200, 6.85),
    PublishedError("Zagoruyko 2016", "cifar10", "wrn", 40, 2.2, 1, 200, 5.33),
    PublishedError("Zagoruyko 2016", "cifar10", "wrn", 40, 8.9, 1, 200, 4.97),
    PublishedError("Zagoruyko 2016", "cifar10", "wrn", 28, 36.5, 1, 200, 4.17),
    PublishedError("Zagoruyko 2016", "cifar10", "wrn", 16, 11.0, 1, 200, 4.81),
    PublishedError("uncertainty-baselines", "cifar10", "wrn", 28, 36.5, 1, 200, 4.0),
    PublishedError("uncertainty-baselines", "cifar10", "wrn", 28, 36.5, 4, 200, 3.4),
    PublishedError("Huang et al. 2017", "cifar10", "densenet", 40, 1.0, 1, 300, 5.24),
    PublishedError("Huang et al. 2017", "cifar10", "densenet", 100, 7.0, 1, 300, 4.10),
    PublishedError("Huang et al. 2017", "cifar10", "densenet", 100, 27.2, 1, 300, 3.74),
    PublishedError("Zagoruyko 2016", "cifar100", "wrn", 40, 0.6, 1, 200, 30.89),
    PublishedError("Zagoruyko 2016", "cifar100", "wrn", 40, 2.2, 1, 200, 26.04),
    PublishedError("Zagoruyko 2016", "cifar100", "wrn", 40, 8.9, 1, 200, 22.89),
    PublishedError("Zagoruyko 2016", "cifar100", "wrn", 28, 36.5, 1, 200, 20.50),
    PublishedError("Zagoruyko 2016", "cifar100", "wrn", 16, 11.0, 1, 200, 22.07),
    PublishedError("uncertainty-baselines", "cifar100", "wrn", 28, 36.5, 1, 200, 20.2),
    PublishedError("uncertainty-baselines", "cifar100", "wrn", 28, 36.5, 4, 200, 17.3),
    PublishedError("Garipov et al. 2018", "cifar100", "wrn", 28, 36.5, 2, 200, 17.6),
    PublishedError("Garipov et al. 2018", "cifar100", "wrn", 28, 36.5, 3, 200, 17.0),
    PublishedError("Huang et al. 2017", "cifar100", "densenet", 40, 1.0, 1, 300, 24.42),
    PublishedError("Huang et al. 2017", "cifar100", "densenet", 100, 7.0, 1, 300, 20.20),
    PublishedError("Huang et al. 2017", "cifar100", "densenet", 100, 27.2, 1, 300, 19.25),
)


@dataclass(frozen=True, slots=True)
class PublishedGap:
    """Ensemble error over the error of one network of the same total size.

    Attributes:
        dataset: name of the data set.
        family: family of the members.
        members: number of members.
        parameters: parameters of all members together, in millions.
        share: epochs over those of the published schedule.
        log_ratio: natural logarithm of the ratio; 0 at the switchover threshold.
        std: standard deviation of `log_ratio`, as read from the paper.
    """

    dataset: str
    family: str
    members: int
    parameters: float
    share: float
    log_ratio: float
    std: float


GAPS: tuple[PublishedGap, ...] = (
    # k = 4: DenseNet and ResNet switch at 1M to 1.5M parameters.
    PublishedGap("cifar10", "resnet", 4, 1.25, 1.0, 0.0, 0.02),
    PublishedGap("cifar10", "densenet", 4, 1.5, 1.0, 0.0, 0.02),
    # Larger k switches later: 3M (k = 6) and 5M (k = 8) for DenseNet.
    PublishedGap("cifar10", "densenet", 6, 3.0, 1.0, 0.0, 0.03),
    PublishedGap("cifar10", "densenet", 8, 5.0, 1.0, 0.0, 0.03),
    # Wide ResNet switches at ten times the size.
    PublishedGap("cifar10", "wrn", 4, 12.0, 1.0, 0.0, 0.03),
    # Beyond the threshold in size, less than half of the epochs are needed.
    PublishedGap("cifar10", "resnet", 4, 2.5, 0.4, 0.0, 0.03),
    # Beyond the threshold, ensembles have 1 to 3 points less error. Harder data switch earlier.
    PublishedGap("cifar10", "resnet", 4, 5.0, 1.0, -0.12, 0.06),
    PublishedGap("cifar100", "densenet", 4, 1.0, 1.0, 0.0, 0.03),
    PublishedGap("cifar100", "densenet", 4, 5.0, 1.0, -0.10, 0.05),
)

# Mean member error of ensemble V5 (MotherNets paper) under MotherNets over that under full data.
HATCHED_PENALTY = 8.4 / 8.1

# The same for Snapshot Ensembles.
SNAPSHOT_PENALTY = 9.8 / 8.1

# Covariance of two members of one mother over the variance of a member, for members of different shapes.
# For members of one shape, which start as copies, nothing is published; it may be up to 1.
SHARED_MOTHER_CORRELATION = 0.009 / 0.026
