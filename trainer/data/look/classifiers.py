"""Simple classifiers of a sample: nearest neighbours, a linear one of pixels, and a linear one of patches.

The first two see nothing but pixels in their places. The third one sees which small patterns an image has,
and roughly where (`trainer.data.look.patches`). None of them has an iteration over epochs, so all three take
seconds.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from advisor.accuracy.data_level import CountedError
from trainer.data.images import Labels
from trainer.data.look.patches import patch_features
from trainer.data.look.sample import Sample

Floats = NDArray[np.float32]
# Numbers of neighbours that are tried.
NEIGHBOURS = (1, 5, 15)
# Number of principal components of the pixels, and inverse strength of the penalty of logistic regression on
# components whose largest has standard deviation 1. Chosen on validation images of digits and Fashion-MNIST.
COMPONENTS, INVERSE_PENALTY, ITERATIONS = 100, 3.0, 200
# Penalty of the ridge regression on standardised features of patches. Chosen on validation images of MNIST.
RIDGE_PENALTY = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimpleErrors:
    """Errors of the simple classifiers on validation images.

    Attributes:
        neighbours: error of nearest neighbours.
        k: number of neighbours, the one of `NEIGHBOURS` with the least error on these images.
        linear: error of logistic regression on principal components of the pixels.
        patches: error of ridge regression on features of patches.
        train_images: number of images that they learned from.
    """

    neighbours: CountedError
    k: int
    linear: CountedError
    patches: CountedError
    train_images: int

    @property
    def all(self) -> tuple[CountedError, ...]:
        """The errors of all classifiers."""
        return self.neighbours, self.linear, self.patches


def simple_errors(sample: Sample, seed: int) -> SimpleErrors:
    """Return the errors of the simple classifiers.

    Args:
        sample: images to learn from and to be measured on, of at least two classes.
        seed: random seed of the patches and of the principal components.
    """
    truth = sample.validation_labels
    train, validation = (images.flatten(1).numpy() for images in (sample.train, sample.validation))
    by_k = {k: _counted(found, truth) for k, found in _neighbours(train, validation, sample).items()}
    k = min(by_k, key=lambda each: by_k[each].wrong)
    features = patch_features(sample.train, sample.validation, seed)
    return SimpleErrors(
        neighbours=by_k[k],
        k=k,
        linear=_counted(_logistic(train, validation, sample.train_labels, seed), truth),
        patches=_counted(_ridge(*features, sample.train_labels), truth),
        train_images=len(train),
    )


def _counted(predicted: Labels, truth: Labels) -> CountedError:
    return CountedError(int((predicted != truth).sum()), len(truth))


def _neighbours(train: Floats, validation: Floats, sample: Sample) -> dict[int, Labels]:
    """Return the classes that most of the k nearest training images have, by k.

    The distance is Euclidean. Of classes with equally many neighbours, the one with the nearest wins.
    """
    distances = torch.cdist(torch.from_numpy(validation), torch.from_numpy(train)).numpy()
    nearest = np.argsort(distances, axis=1, kind="stable")[:, : max(NEIGHBOURS)]
    labels = sample.train_labels[nearest]  # (validation images, neighbours)
    classes = int(sample.train_labels.max()) + 1
    rows = np.arange(len(labels))
    votes = np.zeros((len(labels), classes))
    found = {}
    for place in range(labels.shape[1]):
        # A vote weighs 1, and a little more the nearer it is; all the little together weighs less than 1.
        votes[rows, labels[:, place]] += 1 + 2.0 ** -(place + 2)
        found[place + 1] = votes.argmax(axis=1)
    return {k: found[min(k, len(train))] for k in NEIGHBOURS}


def _logistic(train: Floats, validation: Floats, labels: Labels, seed: int) -> Labels:
    """Return the classes by logistic regression on the principal components of the pixels."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression

    count = min(COMPONENTS, *train.shape)
    components = PCA(count, svd_solver="randomized", random_state=seed % 2**32).fit(train)
    shown, asked = components.transform(train), components.transform(validation)
    scale = max(float(shown[:, 0].std()), 1e-6)
    with warnings.catch_warnings():
        # A regression that has not quite converged is as good for this purpose.
        warnings.simplefilter("ignore")
        fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=ITERATIONS, tol=1e-3).fit(
            shown / scale, labels
        )
    return np.asarray(fitted.predict(asked / scale), np.int64)


def _ridge(train: Floats, validation: Floats, labels: Labels) -> Labels:
    """Return the classes by ridge regression, which takes one step however many classes there are."""
    from sklearn.linear_model import RidgeClassifier

    return np.asarray(RidgeClassifier(alpha=RIDGE_PENALTY).fit(train, labels).predict(validation), np.int64)
