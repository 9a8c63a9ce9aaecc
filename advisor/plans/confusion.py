"""The confusion matrix of an ensemble on the test set: which classes are taken for which others.

Notation: n[c] is the number of test images of class c, and n[c, a] the number of those that the ensemble
takes for class a. The matrix is sparse: it holds n[c] and the entries with a ≠ c that are not zero. With
1,000 classes these are at most as many as there are wrong images.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionMatrix:
    """Numbers of test images by true class and by the class that the ensemble gives them.

    Attributes:
        images: number n[c] of test images of each class.
        confused: (c, a, n[c, a]) of every pair of different classes that were confused, ordered by c and a.
        names: names of the classes by label, empty if they have none.
    """

    images: tuple[int, ...]
    confused: tuple[tuple[int, int, int], ...]
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.images or min(self.images) < 0:
            raise ValueError("a confusion matrix needs classes, each with a number of images from 0 up")
        if len(self.names) not in (0, self.classes):
            raise ValueError(f"{self.classes} classes cannot have {len(self.names)} names")
        pairs = [(label, answer) for label, answer, _ in self.confused]
        if pairs != sorted(set(pairs)):
            raise ValueError("every pair of confused classes must occur once, in order")
        for label, answer, number in self.confused:
            if label == answer or not (0 <= label < self.classes and 0 <= answer < self.classes):
                raise ValueError(f"classes {label} and {answer} are not two of {self.classes} classes")
            if number < 1:
                raise ValueError(f"classes {label} and {answer} are confused on {number} images")
        if any(wrong > of for wrong, of in zip(self.errors, self.images, strict=True)):
            raise ValueError("a class has more wrong images than images")

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.images)

    @property
    def errors(self) -> tuple[int, ...]:
        """Number of wrong images of each class."""
        wrong: Counter[int] = Counter()
        for label, _, number in self.confused:
            wrong[label] += number
        return tuple(wrong[label] for label in range(self.classes))

    def name_of(self, label: int) -> str | None:
        """Return the name of a class, None if it has none."""
        return self.names[label] if self.names else None
