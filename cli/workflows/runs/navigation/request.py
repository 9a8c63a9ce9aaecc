"""What a navigation is asked for: a design without clusters, and targets."""

from __future__ import annotations

from dataclasses import replace

from advisor.cost.money.machine_price import seconds_for
from advisor.designs.design import parse_design
from advisor.errors import UsageError
from advisor.plans.method_traits import Method
from advisor.plans.navigation.path import Targets
from cli.workflows.forecast.plan_request import PlanRequest
from cli.workflows.forecast.planning import is_plan_file

OPTIONS = "--until-error, --until-time and --until-usd"


def request_to_navigate(request: PlanRequest) -> PlanRequest:
    """Return the request of the first stage, which has one cluster per family.

    Args:
        request: the design of the ensemble and the settings of its training.

    Raises:
        UsageError: the request does not name a design of several members without clusters, or another method.
    """
    target = request.target
    if target is None or is_plan_file(target):
        given = "the last recommendation" if target is None else f"the plan {target}"
        raise UsageError(f"{OPTIONS} need the name of a design, got {given}: write for example V5")
    if request.method not in (None, Method.MOTHERNETS.value):
        raise UsageError(
            f"{OPTIONS} train by mothernets, got --method {request.method}: leave out one of the two"
        )
    design = parse_design(target)
    if "@" in target:
        raise UsageError(
            f"{OPTIONS} choose the number of clusters, got {target}: leave out @g{design.clusters}"
        )
    if len(design.members) < 2:
        raise UsageError(f"{OPTIONS} need an ensemble, got the single network {target}: name several members")
    return replace(request, method=Method.MOTHERNETS.value)


def seconds_allowed(targets: Targets) -> float | None:
    """Return the seconds that all training together may take; None for no limit."""
    limits = [targets.seconds]
    if targets.usd is not None and targets.price_per_hour is not None:
        limits.append(seconds_for(targets.usd, targets.price_per_hour))
    return min((limit for limit in limits if limit is not None), default=None)
