"""What a plan takes on the nodes of a cluster, for the answer of `advisor explain`."""

from __future__ import annotations

from advisor.conformal import Quantity
from advisor.cost.parallel.nodes import NodeKind, Place
from advisor.estimate import total
from advisor.plans.plan import TrainingPlan
from cli.workflows.answers.examine.clusters import ClusterForecast, ForecastOnNode, StepOnNode
from cli.workflows.forecast.cluster.prices import ClusterPrices, steps_alone


def cluster_forecast(plan: TrainingPlan, prices: ClusterPrices) -> ClusterForecast:
    """Return the nodes that a plan was priced for, with the seconds of its steps on each kind.

    Args:
        plan: the plan.
        prices: the nodes with their predictors.
    """
    place = Place.cluster(plan, prices.kinds) if prices.kinds else None
    return ClusterForecast(
        cluster=prices.known.address.address,
        slots=place.slots if place else 0,
        used=place.used(plan) if place else 0,
        kinds=tuple(_on_node(kind, plan, prices) for kind in prices.kinds),
    )


def _on_node(kind: NodeKind, plan: TrainingPlan, prices: ClusterPrices) -> ForecastOnNode:
    correction = kind.predictor.correction(Quantity.TIME)
    alone = [correction.applied(seconds) for seconds in steps_alone(plan, kind)]
    return ForecastOnNode(
        name=kind.name,
        nodes=len(kind.slots),
        slots=sum(kind.slots),
        measurements=0 if kind.widening > 1 else kind.predictor.count,
        steps=tuple(
            StepOnNode(step=step.id, seconds=seconds) for step, seconds in zip(plan.steps, alone, strict=True)
        ),
        steps_seconds=total(alone),
        train_seconds_without=prices.seconds_without(kind, plan),
    )
