"""Probing where a request for advice says nothing of it: `--probe auto`.

It takes as long as two full trainings of leading designs by forecast, of a single network and of an ensemble,
one after the other, and 5 % of the forecast training time of the recommended design beyond that, but never
more than 3 minutes. Where several probes train at once, more of them fit into that time.
Only data at hand are probed: built-in and downloaded sets, and folders. A request that was probed for is not
probed for again while the database has its probes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from advisor.accuracy.cases import weight_decay_of
from advisor.decision.probes.probing import BESIDE_SECONDS, Probe
from advisor.decision.weight_decay import other_than_recipe, with_weight_decay
from advisor.designs.design import parse_design
from advisor.errors import DataError
from advisor.plans.dataset import DatasetFacts
from cli.workflows.advise.probe_options import ProbeOptions
from cli.workflows.advise.probe_session.session_time import (
    LONGEST_SECONDS,
    TrainedProbe,
    spent_seconds,
)
from cli.workflows.advise.request import ResolvedRequest, stored_request
from cli.workflows.answers.advise.probing import Probing, ProbingEnd
from cli.workflows.answers.advise.request import RecommendRequest
from cli.workflows.defaults import TUNE
from cli.workflows.home import Home
from cli.workflows.views import Say
from db.queries import Store
from trainer.data.loading import Data, is_at_hand, load_new_data

# Share of the training that a recommendation is for.
SHARE = 0.05
# Bytes of all images above which data are not loaded unasked: CIFAR has 184 MB, 3,500 photographs of 224
# pixels a side have 530 MB. Chosen, not measured.
LARGEST_BYTES = 2**29
ASKED = "--probe MINUTES"
# Fields of a request that change how it is answered, and not for which designs errors are asked.
NOT_ASKED = ("objective", "profile_seconds", "trials")


def default_seconds(full_seconds: float, train_seconds: float, trained: Sequence[TrainedProbe] = ()) -> float:
    """Return the time for further probes, seconds; 0 where it is too short for any.

    Args:
        full_seconds: `full_seconds_of` the full trainings of the designs that led at the beginning.
        train_seconds: predicted training time of the recommended design.
        trained: probes of the session so far.
    """
    seconds = min(full_seconds + SHARE * train_seconds, LONGEST_SECONDS) - spent_seconds(trained)
    return seconds if seconds > BESIDE_SECONDS else 0.0


def full_seconds_of(first: Sequence[Probe]) -> float:
    """Return the upper end of the time of full trainings, with what they cost beside it, seconds."""
    return sum(probe.seconds.high + BESIDE_SECONDS for probe in first)


def announcement(first: Sequence[Probe], seconds: float) -> str:
    """Return a line on what will be probed and for how long.

    Args:
        first: full trainings of leading designs that were not made before.
        seconds: time for probing.
    """
    fitting = [probe for probe in first if probe.seconds.high + BESIDE_SECONDS <= seconds]
    names = " and ".join(with_weight_decay(p.plan.design, p.tuned_weight_decay) for p in fitting)
    what = f"full training of {names}" if fitting else "short trainings"
    return f"probing first: {what}, at most {seconds:.0f} s (--probe 0 for none)"


def lesson(probing: Probing) -> str:
    """Return a line on what probes taught, and whether more of them would change the answer."""
    before, after, count = probing.before, probing.after, len(probing.probes)
    if not count:
        return f"nothing was probed: {_NOTHING[probing.ended]}"
    now, then = (with_weight_decay(best.design, best.tuned_weight_decay) for best in (after, before))
    leads = "leads as before" if now == then else f"leads now, not {then}"
    more = f"more probes could save {probing.at_stake_points:.2f} points"
    if probing.ended is ProbingEnd.NOTHING_WORTHWHILE:
        more = "more probes would not change the answer"
    return (
        f"learned from {count} probe{'s' * (count > 1)}: {now} {leads}, "
        f"{_percent(after.test_error)} instead of {_percent(probing.after_as_before)}; {more}"
    )


_NOTHING = {
    ProbingEnd.NOTHING_WORTHWHILE: "no training would change the answer",
    ProbingEnd.TOO_LITTLE_TIME: f"what would teach something takes longer ({ASKED} gives more time)",
    ProbingEnd.TIME_IS_UP: f"none that is short enough was left to make, or ended in time ({ASKED} for more)",
}


def _percent(error: Any) -> str:
    return f"{100 * error.mean:.3g} % ({100 * error.low:.3g}–{100 * error.high:.3g})"


def data_to_probe(facts: DatasetFacts, home: Home, options: ProbeOptions, say: Say) -> Data | None:
    """Return the images to probe on; None where nothing was asked and they are not at hand.

    Args:
        facts: facts of the data set.
        home: home of downloaded data sets.
        options: options of probing.
        say: receiver of one line where nothing is probed.

    Raises:
        DataError: probes were asked for, and the data set is missing or damaged.
    """
    if options.seconds is not None:
        return load_new_data(facts, home.data, download=options.download)
    if not options.download and not is_at_hand(facts, home.data):
        say(f"nothing is probed: {facts.name} is not at hand (--download fetches it)")
        return None
    task, images = facts.task, facts.train_images + facts.validation_images + facts.test_images
    if images * task.channels * task.height * task.width > LARGEST_BYTES:
        say(f"nothing is probed: {facts.name} is large ({ASKED} probes all the same)")
        return None
    try:
        return load_new_data(facts, home.data, download=options.download)
    except DataError as error:
        say(f"nothing is probed: {error}")
        return None


def probed_before(store: Store, request: RecommendRequest, resolved: ResolvedRequest) -> bool:
    """Return whether the question was probed for, and the database still has those probes.

    Args:
        store: database of recommendations, probes and runs.
        request: request for advice.
        resolved: request with its names resolved.
    """
    facts = resolved.facts
    asked = _question(json.loads(json.dumps(stored_request(request, resolved))))
    earlier = [each for each in store.probed_recommendations() if _question(each.request) == asked]
    if not earlier:
        return False
    # A probe may have become a run.
    known = {
        _key(
            t.design,
            t.epochs,
            t.train_images / facts.train_images,
            other_than_recipe(parse_design(t.design), t.weight_decay),
        )
        for t in store.reported()
        if t.dataset == facts.key
    }
    known |= {
        _key(
            r.plan.design,
            r.plan.epochs,
            r.plan.dataset.train_images / facts.train_images,
            other_than_recipe(parse_design(r.plan.design), weight_decay_of(r.plan)),
        )
        for r in store.runs()
        if r.plan.dataset.key == facts.key
    }
    return any(_is_known(each.payload.get("probing"), known) for each in earlier)


def _question(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored request without what does not change which designs are compared."""
    # Requests of older programs have no --tune.
    asked = {"tune": TUNE, **request}
    return {name: value for name, value in asked.items() if name not in NOT_ASKED}


_Key = tuple[str, int, int, float | None]


def _key(design: str, epochs: int, share: float, tuned_weight_decay: float | None) -> _Key:
    # In percent: files that turned out to be damaged make a share of all images a little less than 1.
    return design, epochs, round(100 * share), tuned_weight_decay


def _is_known(probing: Any, known: set[_Key]) -> bool:
    with suppress(LookupError, TypeError, ValueError):
        if not probing["probes"]:
            # On a machine that was too busy the next call tries again.
            return bool(probing["ended"] == ProbingEnd.NOTHING_WORTHWHILE)
        return all(
            _key(p["design"], p["epochs"], p["share_of_images"], p.get("tuned_weight_decay")) in known
            for p in probing["probes"]
        )
    return False
