"""The frozen lists of `cost_model.py`: the networks for fitting and the networks to predict.

The script ran once, before anything was fitted. Its result, `cost_model_designs.json`, is committed and not
drawn again.

    python benchmarks/cost/cost_model_designs.py

For each family, networks are drawn evenly over the logarithm of their multiply-adds. Every test network gets
one of three batch sizes. No network is in both the test list and the pool. The `develop` networks are a part
of the pool whose epochs are timed, too. All tuning uses them.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

from advisor.cost.features import features_of
from advisor.designs.design import parse_design
from advisor.networks.families import FAMILIES
from advisor.plans.dataset import dataset_named

TARGET = Path(__file__).with_name("cost_model_designs.json")
SEED = 20261121
BATCHES = (32, 64, 128)
DATASET = "fashion-mnist"
# Range of the multiply-adds per image of drawn networks: from a millisecond to half a second for a step.
LEAST_MACS = {"mlp": 3e4}
MOST_MACS = {"mlp": 4e6, "wrn": 1.3e8}
# Wide residual networks of this size are few, as their width is a multiple of 16 channels.
TEST_COUNTS = {"wrn": 6}
POOL_COUNTS = {"wrn": 5}
DEVELOP_PER_FAMILY = 5
WIDTHS = {"resnet": (4, 32), "wrn": (1, 4), "vgg": (4, 32), "densenet": (4, 24), "mlp": (16, 1024)}
DEEPEST = {"resnet": 56, "wrn": 40, "vgg": 19, "densenet": 58, "mlp": 9}


def candidates(family: str) -> dict[str, float]:
    """Return the networks of a family that may be drawn, with their MACs per image."""
    task = dataset_named(DATASET).task
    low, high = WIDTHS[family]
    widths = range(low, high + 1) if family != "mlp" else range(low, high + 1, 8)
    found = {}
    for depth in FAMILIES[family].valid_depths(DEEPEST[family]):
        for width in widths:
            name = parse_design(f"{family}-{depth}-{width}").members[0].name
            macs = features_of(name, task).macs
            if LEAST_MACS.get(family, 5e5) <= macs <= MOST_MACS.get(family, 4e7):
                found[name] = macs
    return found


def drawn(macs: dict[str, float], count: int, chance: random.Random) -> list[str]:
    """Return `count` networks, one from each slice of equal ratio of MACs that has any."""
    names = sorted(macs, key=macs.__getitem__)
    low, high = macs[names[0]], macs[names[-1]]
    chosen: list[str] = []
    for i in range(count):
        edges = [low * (high / low) ** (j / count) for j in (i, i + 1)]
        inside = [n for n in names if edges[0] <= macs[n] <= edges[1] * 1.0001 and n not in chosen]
        chosen.append(chance.choice(inside or [n for n in names if n not in chosen]))
    return chosen


def main() -> None:
    if TARGET.exists():
        raise SystemExit(f"{TARGET.name} is frozen: it was drawn before anything was fitted")
    chance = random.Random(SEED)
    lists: dict[str, list] = {"test": [], "pool": [], "develop": []}
    for family in FAMILIES:
        macs = candidates(family)
        test = drawn(macs, TEST_COUNTS.get(family, 14), chance)
        pool = drawn({n: m for n, m in macs.items() if n not in test}, POOL_COUNTS.get(family, 8), chance)
        offset = chance.randrange(len(BATCHES))
        lists["test"] += [[name, BATCHES[(i + offset) % len(BATCHES)]] for i, name in enumerate(test)]
        lists["pool"] += [[name, batch] for name in pool for batch in BATCHES]
        develop = chance.sample(pool, DEVELOP_PER_FAMILY)
        lists["develop"] += [[name, BATCHES[(i + offset) % len(BATCHES)]] for i, name in enumerate(develop)]
    head = {"dataset": DATASET, "seed": SEED, "batches": list(BATCHES)}
    body = ",\n".join(
        f'  "{key}": [\n' + ",\n".join(f"    {json.dumps(row)}" for row in rows) + "\n  ]"
        for key, rows in lists.items()
    )
    TARGET.write_text(
        "{\n" + "".join(f'  "{k}": {json.dumps(v)},\n' for k, v in head.items()) + body + "\n}\n"
    )


if __name__ == "__main__":
    main()
