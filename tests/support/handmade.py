"""Evaluated designs and switchover thresholds made by hand, whose order is known."""

import numpy as np

from advisor.accuracy.predictor import AccuracyPredictor
from advisor.cost.pricing import PricedPlan
from advisor.decision.scenario import Evaluated
from advisor.decision.threshold.switchover import Switchover
from advisor.designs.design import DesignClass, parse_design
from advisor.estimate import Estimate
from advisor.plans.method_traits import Method

ACCURACY = AccuracyPredictor([])
EXACT = Estimate.exact(1.0)


def evaluated(
    name,
    error,
    seconds,
    *,
    latency=1.0,
    memory=2**20,
    reserved=None,
    method=None,
    unmeasured=(),
    seed_std=0.0,
):
    """A design whose error is the same in every draw, or a list of draws."""
    design = parse_design(name)
    priced = PricedPlan(
        steps=(),
        train_seconds=Estimate.exact(float(seconds)),
        epoch_seconds=EXACT,
        inference_ms_per_image=Estimate.exact(latency),
        train_peak_bytes=Estimate.exact(float(memory)),
        train_reserved_bytes=reserved and Estimate.exact(float(reserved)),
        inference_peak_bytes=EXACT,
        unmeasured=unmeasured,
    )
    errors = np.resize(np.atleast_1d(np.asarray(error, dtype=float)), 400)
    kind = DesignClass.SINGLE if len(design.members) == 1 else DesignClass.DEPTH_EQUIVALENT
    own = Method.FULL_DATA if design.independent else Method.MOTHERNETS
    return Evaluated(design, kind, 1000, priced, errors, True, method or own, seed_std)


def threshold(family, members, *, parameters=1e6, epochs=10.0, past=0.8):
    size, length = (e if isinstance(e, Estimate) else Estimate.exact(e) for e in (parameters, epochs))
    return Switchover(family=family, members=members, parameters=size, epochs=length, probability_past=past)


SINGLE = evaluated("resnet-26-16", 0.10, 100)
DEQ = evaluated("4xresnet-26-8", 0.09, 200)
HATCHED = evaluated("4xresnet-26-8@g1", 0.095, 60)
