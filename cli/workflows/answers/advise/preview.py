"""The answer where a budget is dragged: the ranking of `advisor recommend`, and all designs beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

from advisor.designs.design import DesignClass
from advisor.plans.method_traits import Method
from cli.workflows.answers.advise.advice import AdvisedDesign, Device, PredictedFigures, SearchEffort, Verdict
from cli.workflows.answers.advise.request import AnsweredRequest
from cli.workflows.answers.answer import Answer, key


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedDesign:
    """A design that the search looked at.

    Attributes:
        design: short name.
        method: training method.
        design_class: single network, depth- or width-equivalent ensemble, or an ensemble between the two.
        members: number of members.
        parameters: parameters of all members together.
        predicted: predicted error and cost.
    """

    design: str
    method: Method
    design_class: DesignClass = field(metadata=key("class"))
    members: int
    parameters: int
    predicted: PredictedFigures


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvicePreview(Answer):
    """The ranking for a request, from predictors that were fitted before; nothing is measured or stored.

    Attributes:
        request: request that is answered.
        device: device, and settings under which costs are predicted.
        verdict: design to train, and what it has over the best design of the other kind.
        recommendations: ranking, best first.
        evaluated: all designs that the search looked at.
        search: search over the designs.
        whole: whether the search had all of its trials. The ranking is then that of `advisor recommend`,
            otherwise it is that of the starting points.
    """

    request: AnsweredRequest
    device: Device
    verdict: Verdict
    recommendations: tuple[AdvisedDesign, ...]
    evaluated: tuple[EvaluatedDesign, ...]
    search: SearchEffort
    whole: bool
