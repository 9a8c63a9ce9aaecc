"""The cost of a training in USD: hours of the machine times its price per hour.

The hours are those of the wall clock of the whole training. The price is that of the whole machine, however
little of it a plan keeps busy. Measuring, probing and waiting in a queue are not counted.

The module imports nothing heavy, because the command line reads the names of machines for its help.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from advisor.estimate import Estimate

SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePrice:
    """The price of a machine in a cloud.

    Attributes:
        usd_per_hour: price in USD per hour.
        machine: the machine in words.
        year: year of the price.
        source: where the price is published.
    """

    usd_per_hour: float
    machine: str
    year: int
    source: str


MOTHERNETS = "Wasay et al., MotherNets (MLSys 2020), section 3"
# The two machines of the MotherNets paper. Prices of today differ: a user gives the own price as a number.
MACHINES: dict[str, MachinePrice] = {
    "k80": MachinePrice(usd_per_hour=0.90, machine="one Nvidia K80", year=2020, source=MOTHERNETS),
    "v100": MachinePrice(usd_per_hour=3.06, machine="one Nvidia V100", year=2020, source=MOTHERNETS),
}


def usd_of_seconds(seconds: float, usd_per_hour: float) -> float:
    """Return what a training of some seconds costs in USD."""
    return seconds * usd_per_hour / SECONDS_PER_HOUR


def usd_of_training(seconds: Estimate | None, usd_per_hour: float | None) -> Estimate | None:
    """Return what a training is predicted to cost in USD; None where time or price is unknown.

    Args:
        seconds: predicted seconds of the training.
        usd_per_hour: price of the machine in USD per hour.
    """
    if seconds is None or usd_per_hour is None:
        return None
    return seconds.scaled(usd_per_hour / SECONDS_PER_HOUR)


def seconds_for(usd: float, usd_per_hour: float) -> float:
    """Return the seconds of the machine that an amount in USD pays for."""
    return usd * SECONDS_PER_HOUR / usd_per_hour
