"""Errors by class and the confusion matrix, as `advisor predict` and `advisor runs show` give them."""

from __future__ import annotations

from dataclasses import dataclass, field

from advisor.plans.confusion import ConfusionMatrix
from cli.workflows.answers.answer import key


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorOfClass:
    """How the ensemble does on the test images of one class.

    Attributes:
        class_index: index of the class.
        name: name of the class, null where the data set has no names.
        images: number of its test images.
        wrong: number of those that are given another class.
        error: share of those, null where the class has no test images.
    """

    class_index: int = field(metadata=key("class"))
    name: str | None
    images: int
    wrong: int
    error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """An entry of the confusion matrix off its diagonal: a class that is taken for another.

    Attributes:
        class_index: index of the true class.
        name: name of the true class, null where the data set has no names.
        taken_for: index of the class that the images are given.
        taken_for_name: name of that class, null where the data set has no names.
        images: number of these images, at least 1.
    """

    class_index: int = field(metadata=key("class"))
    name: str | None
    taken_for: int
    taken_for_name: str | None
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorsByClass:
    """Errors by class and the confusion matrix of the averaged probabilities on the test images.

    Attributes:
        classes: all classes in the order of their indices.
        confusions: entries of the confusion matrix off its diagonal that are not zero, the most frequent
            first. The diagonal has the images of each class that are not wrong.
    """

    classes: tuple[ErrorOfClass, ...]
    confusions: tuple[Confusion, ...]

    @classmethod
    def of(cls, matrix: ConfusionMatrix) -> ErrorsByClass:
        """Return the errors by class of a confusion matrix."""
        counted = enumerate(zip(matrix.images, matrix.errors, strict=True))
        frequent = sorted(matrix.confused, key=lambda entry: (-entry[2], entry[:2]))
        return cls(
            classes=tuple(
                ErrorOfClass(
                    class_index=label,
                    name=matrix.name_of(label),
                    images=images,
                    wrong=wrong,
                    error=wrong / images if images else None,
                )
                for label, (images, wrong) in counted
            ),
            confusions=tuple(
                Confusion(
                    class_index=label,
                    name=matrix.name_of(label),
                    taken_for=answer,
                    taken_for_name=matrix.name_of(answer),
                    images=images,
                )
                for label, answer, images in frequent
            ),
        )
