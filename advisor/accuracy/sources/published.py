"""Published figures that the accuracy predictor learns from, as literal tables.

`ERRORS` are test errors with crops and flips, of independently trained members, as printed in

- He et al. 2016 (ResNet; 110 layers: mean of 5), Zagoruyko and Komodakis 2016 (Wide ResNet), Huang et al.
  2017 (DenseNet), Wen et al. 2019, Garipov et al. 2018, Chirkova et al. 2020 and the uncertainty-baselines
  results;
- Ashukha et al. 2020 (their table of errors on CIFAR-100: one network, and 100 together), Tian et al. 2020
  (Contrastive Representation Distillation, table 1: networks before distillation), Nam et al. 2021 (Diversity
  Matters When Learning from Ensembles);
- Chrabaszcz et al. 2017 (ImageNet32);
- the tables of public training repositories: giung2 and giung2-jax (cs-giung; 45,000 of 50,000 images of
  CIFAR, 90,000 of Tiny ImageNet), pytorch-cifar-models (chenyaofo), pytorch-classification (bearpaw),
  pytorch-cifar (kuangliu), imgclsmob (osmr; SVHN without its extra images, epochs not printed: a whole
  schedule is assumed).

VGGs have batch normalisation and the head of this project's `vgg`, give or take a hidden layer. Every fourth
row of the sources that came last is left out for tests. tests/data/published_errors_more.csv has all of their
rows, with the place of each.

`GAPS` are switchover thresholds, and gaps beyond them, of Wasay and Idreos, "More or Less" (ICLR 2021),
sections 3 and 4, and the memory split of Chirkova et al., "Deep Ensembles on a Fixed Memory Budget" (2020,
abstract).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log


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
        image_share: share of the training images.
    """

    source: str
    dataset: str
    family: str
    depth: int
    parameters: float
    members: int
    epochs: int
    error: float
    image_share: float = 1.0


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
    PublishedError("Zagoruyko 2016", "cifar10", "wrn", 40, 35.7, 1, 200, 4.66),
    PublishedError("Zagoruyko 2016", "cifar10", "wrn", 28, 52.5, 1, 200, 4.33),
    PublishedError("Zagoruyko 2016", "cifar10", "wrn", 22, 17.2, 1, 200, 4.38),
    PublishedError("Zagoruyko 2016", "cifar100", "wrn", 28, 52.5, 1, 200, 20.43),
    PublishedError("Zagoruyko 2016", "cifar100", "wrn", 22, 17.2, 1, 200, 21.22),
    PublishedError("Zagoruyko 2016", "cifar100", "wrn", 22, 26.8, 1, 200, 20.75),
    PublishedError("Garipov et al. 2018", "cifar100", "wrn", 28, 36.5, 1, 200, 19.2),
    PublishedError("Chirkova et al. 2020", "cifar100", "wrn", 28, 36.5, 1, 200, 19.4),
    PublishedError("Ashukha et al. 2020", "cifar100", "vgg", 16, 15.3, 1, 400, 25.44),
    PublishedError("Ashukha et al. 2020", "cifar100", "vgg", 16, 15.3, 100, 400, 19.88),
    PublishedError("Ashukha et al. 2020", "cifar100", "wrn", 28, 36.5, 1, 300, 19.31),
    PublishedError("giung2", "cifar10", "wrn", 28, 0.37, 1, 200, 7.69, 0.9),
    PublishedError("giung2", "cifar10", "wrn", 28, 0.37, 2, 200, 5.77, 0.9),
    PublishedError("giung2", "cifar10", "wrn", 28, 0.37, 4, 200, 5.4, 0.9),
    PublishedError("giung2", "cifar100", "wrn", 28, 0.38, 1, 200, 30.83, 0.9),
    PublishedError("giung2", "cifar100", "wrn", 28, 0.38, 2, 200, 27.53, 0.9),
    PublishedError("giung2", "cifar100", "wrn", 28, 0.38, 4, 200, 25.01, 0.9),
    PublishedError("giung2", "cifar100", "wrn", 28, 36.5, 1, 200, 19.5, 0.9),
    PublishedError("giung2", "cifar100", "wrn", 28, 36.5, 2, 200, 18.32, 0.9),
    PublishedError("giung2", "cifar100", "wrn", 28, 36.5, 4, 200, 17.52, 0.9),
    PublishedError("Nam et al. 2021", "cifar100", "wrn", 28, 36.5, 1, 200, 19.78, 0.9),
    PublishedError("Nam et al. 2021", "cifar100", "wrn", 28, 36.5, 2, 200, 18.1, 0.9),
    PublishedError("Nam et al. 2021", "cifar100", "wrn", 28, 36.5, 3, 200, 17.54, 0.9),
    PublishedError("giung2-jax", "cifar10", "vgg", 11, 9.76, 1, 200, 7.82, 0.9),
    PublishedError("giung2-jax", "cifar10", "vgg", 13, 9.94, 1, 200, 6.3, 0.9),
    PublishedError("giung2-jax", "cifar10", "vgg", 16, 15.25, 1, 200, 6.5, 0.9),
    PublishedError("giung2-jax", "cifar10", "resnet", 20, 0.27, 1, 200, 7.51, 0.9),
    PublishedError("giung2-jax", "cifar10", "resnet", 32, 0.47, 1, 200, 6.57, 0.9),
    PublishedError("giung2-jax", "cifar10", "resnet", 32, 1.85, 1, 200, 5.14, 0.9),
    PublishedError("giung2-jax", "cifar10", "resnet", 32, 7.39, 1, 200, 4.17, 0.9),
    PublishedError("giung2-jax", "cifar10", "resnet", 44, 0.66, 1, 200, 6.15, 0.9),
    PublishedError("giung2-jax", "cifar10", "resnet", 56, 0.86, 1, 200, 6.25, 0.9),
    PublishedError("giung2-jax", "cifar10", "wrn", 22, 1.08, 1, 200, 5.51, 0.9),
    PublishedError("giung2-jax", "cifar10", "wrn", 28, 0.37, 1, 200, 7.13, 0.9),
    PublishedError("giung2-jax", "cifar10", "wrn", 28, 9.13, 1, 200, 4.26, 0.9),
    PublishedError("giung2-jax", "cifar100", "vgg", 11, 9.8, 1, 200, 30.46, 0.9),
    PublishedError("giung2-jax", "cifar100", "vgg", 13, 9.99, 1, 200, 26.44, 0.9),
    PublishedError("giung2-jax", "cifar100", "vgg", 16, 15.3, 1, 200, 26.55, 0.9),
    PublishedError("giung2-jax", "cifar100", "resnet", 20, 0.28, 1, 200, 31.81, 0.9),
    PublishedError("giung2-jax", "cifar100", "resnet", 32, 0.47, 1, 200, 29.38, 0.9),
    PublishedError("giung2-jax", "cifar100", "resnet", 32, 1.86, 1, 200, 24.96, 0.9),
    PublishedError("giung2-jax", "cifar100", "resnet", 32, 7.41, 1, 200, 22.22, 0.9),
    PublishedError("giung2-jax", "cifar100", "resnet", 44, 0.67, 1, 200, 29.26, 0.9),
    PublishedError("giung2-jax", "cifar100", "resnet", 56, 0.86, 1, 200, 28.2, 0.9),
    PublishedError("giung2-jax", "cifar100", "wrn", 22, 1.09, 1, 200, 26.43, 0.9),
    PublishedError("giung2-jax", "cifar100", "wrn", 28, 0.38, 1, 200, 31.14, 0.9),
    PublishedError("giung2-jax", "cifar100", "wrn", 28, 9.16, 1, 200, 21.33, 0.9),
    PublishedError("pytorch-cifar-models", "cifar10", "resnet", 20, 0.27, 1, 200, 7.4),
    PublishedError("pytorch-cifar-models", "cifar10", "resnet", 32, 0.47, 1, 200, 6.47),
    PublishedError("pytorch-cifar-models", "cifar10", "resnet", 44, 0.66, 1, 200, 5.99),
    PublishedError("pytorch-cifar-models", "cifar10", "vgg", 11, 9.76, 1, 200, 7.21),
    PublishedError("pytorch-cifar-models", "cifar10", "vgg", 13, 9.94, 1, 200, 6.0),
    PublishedError("pytorch-cifar-models", "cifar10", "vgg", 16, 15.25, 1, 200, 5.84),
    PublishedError("pytorch-cifar-models", "cifar100", "resnet", 20, 0.28, 1, 200, 31.17),
    PublishedError("pytorch-cifar-models", "cifar100", "resnet", 32, 0.47, 1, 200, 29.84),
    PublishedError("pytorch-cifar-models", "cifar100", "resnet", 44, 0.67, 1, 200, 28.37),
    PublishedError("pytorch-cifar-models", "cifar100", "vgg", 11, 9.8, 1, 200, 29.22),
    PublishedError("pytorch-cifar-models", "cifar100", "vgg", 13, 9.99, 1, 200, 25.37),
    PublishedError("pytorch-cifar-models", "cifar100", "vgg", 16, 15.3, 1, 200, 26.0),
    PublishedError("Tian et al. 2020", "cifar100", "wrn", 40, 2.26, 1, 240, 24.39),
    PublishedError("Tian et al. 2020", "cifar100", "wrn", 16, 0.7, 1, 240, 26.74),
    PublishedError("Tian et al. 2020", "cifar100", "wrn", 40, 0.57, 1, 240, 28.02),
    PublishedError("Tian et al. 2020", "cifar100", "resnet", 20, 0.28, 1, 240, 30.94),
    PublishedError("Tian et al. 2020", "cifar100", "resnet", 110, 1.73, 1, 240, 25.69),
    PublishedError("Tian et al. 2020", "cifar100", "resnet", 32, 0.47, 1, 240, 28.86),
    PublishedError("bearpaw", "cifar10", "vgg", 19, 20.04, 1, 164, 6.66),
    PublishedError("bearpaw", "cifar100", "vgg", 19, 20.04, 1, 164, 28.05),
    PublishedError("kuangliu", "cifar10", "vgg", 16, 14.7, 1, 350, 7.36),
    PublishedError("giung2-jax", "tiny-imagenet", "vgg", 11, 10.37, 1, 100, 44.15, 0.9),
    PublishedError("giung2-jax", "tiny-imagenet", "vgg", 13, 10.56, 1, 100, 41.77, 0.9),
    PublishedError("giung2-jax", "tiny-imagenet", "vgg", 16, 15.87, 1, 100, 42.24, 0.9),
    PublishedError("Chrabaszcz et al. 2017", "imagenet32", "wrn", 28, 1.6, 1, 40, 56.92),
    PublishedError("Chrabaszcz et al. 2017", "imagenet32", "wrn", 28, 9.5, 1, 40, 45.36),
    PublishedError("Chrabaszcz et al. 2017", "imagenet32", "wrn", 28, 37.1, 1, 40, 40.96),
    PublishedError("imgclsmob", "svhn", "resnet", 20, 0.27, 1, 250, 3.43),
    PublishedError("imgclsmob", "svhn", "resnet", 56, 0.86, 1, 250, 2.75),
    PublishedError("imgclsmob", "svhn", "resnet", 110, 1.73, 1, 250, 2.45),
    PublishedError("imgclsmob", "svhn", "densenet", 100, 6.98, 1, 120, 2.6),
    PublishedError("imgclsmob", "svhn", "wrn", 16, 17.12, 1, 200, 2.78),
    PublishedError("imgclsmob", "svhn", "wrn", 28, 36.48, 1, 200, 2.71),
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
        depth: depth of all networks.
    """

    dataset: str
    family: str
    members: int
    parameters: float
    share: float
    log_ratio: float
    std: float
    depth: int = 32


GAPS: tuple[PublishedGap, ...] = (
    # k = 4: DenseNet and ResNet switch at 1M to 1.5M parameters. In between the ratio changes by 0.01.
    PublishedGap("cifar10", "resnet", 4, 1.25, 1.0, 0.0, 0.01),
    PublishedGap("cifar10", "densenet", 4, 1.5, 1.0, 0.0, 0.01),
    # Larger k switches later: 3M (k = 6) and 5M (k = 8) for DenseNet.
    PublishedGap("cifar10", "densenet", 6, 3.0, 1.0, 0.0, 0.015),
    PublishedGap("cifar10", "densenet", 8, 5.0, 1.0, 0.0, 0.015),
    # Wide ResNet switches at ten times the size.
    PublishedGap("cifar10", "wrn", 4, 12.0, 1.0, 0.0, 0.03),
    # Beyond the threshold in size, at most half of the epochs are needed.
    PublishedGap("cifar10", "resnet", 4, 2.1, 0.5, 0.0, 0.02),
    PublishedGap("cifar10", "densenet", 4, 2.1, 0.5, 0.0, 0.02),
    # Beyond the threshold, ensembles have 1 to 3 points less error. Harder data switch earlier.
    PublishedGap("cifar10", "resnet", 4, 5.0, 1.0, -0.12, 0.06),
    PublishedGap("cifar100", "densenet", 4, 1.0, 1.0, 0.0, 0.03),
    PublishedGap("cifar100", "densenet", 4, 5.0, 1.0, -0.10, 0.05),
    # Tiny ImageNet switches earlier still. The figure is ours: the paper has only the order.
    PublishedGap("tiny-imagenet", "densenet", 4, 0.7, 1.0, 0.0, 0.03),
    # Chirkova et al. 2020: sixteen thin networks of the size of one wrn-28-10, 17.48 % against 19.4 %.
    PublishedGap("cifar100", "wrn", 16, 36.5, 1.0, log(17.48 / 19.4), 0.03, 28),
)

# Mean member error of ensemble V5 (MotherNets paper) under MotherNets over that under full data.
HATCHED_PENALTY = 8.4 / 8.1

# The same for Snapshot Ensembles.
SNAPSHOT_PENALTY = 9.8 / 8.1

# Covariance of two members of one mother over the variance of a member, for members of different shapes.
# For members of one shape, which start as copies, nothing is published; it may be up to 1.
SHARED_MOTHER_CORRELATION = 0.009 / 0.026
