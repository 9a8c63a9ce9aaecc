"""What training costs in USD, and prices as a user writes them."""

from __future__ import annotations

import pytest

from advisor.cost.money.machine_price import MACHINES, seconds_for, usd_of_seconds, usd_of_training
from advisor.errors import UsageError
from advisor.estimate import Estimate
from cli.quantities import check_amount, parse_price


def test_the_machines_of_the_mothernets_paper_have_its_prices_and_their_year():
    assert {name: m.usd_per_hour for name, m in MACHINES.items()} == {"k80": 0.90, "v100": 3.06}
    assert all(m.year == 2020 and "MotherNets" in m.source for m in MACHINES.values())


def test_ten_hours_of_a_v100_cost_thirty_dollars_and_sixty_cents():
    assert usd_of_seconds(36_000, 3.06) == pytest.approx(30.6)
    assert usd_of_training(Estimate(36_000, 18_000, 72_000), 3.06) == Estimate(30.6, 15.3, 61.2)
    assert seconds_for(30.6, 3.06) == pytest.approx(36_000)


def test_without_a_time_or_a_price_there_is_no_cost():
    assert usd_of_training(None, 3.06) is None
    assert usd_of_training(Estimate.exact(1.0), None) is None


@pytest.mark.parametrize(("text", "price"), [("3.06", 3.06), (" V100 ", 3.06), ("k80", 0.9), (None, None)])
def test_a_price_is_a_number_or_the_name_of_a_machine(text, price):
    assert parse_price(text, "--price-per-hour") == price


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e400", "a100", ""])
def test_what_is_no_price_is_refused_by_the_name_of_the_option(text):
    with pytest.raises(UsageError, match="--price-per-hour"):
        parse_price(text, "--price-per-hour")


def test_a_limit_in_usd_needs_a_price():
    check_amount(None, None, "--max-usd")
    check_amount(5.0, 3.06, "--max-usd")
    with pytest.raises(UsageError, match="needs the price of the machine"):
        check_amount(5.0, None, "--max-usd")
