"""The mail actor without a cluster: who waits for what, and what he gets."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("ray")

from trainer.execution.cluster.mail import Mail

LONG, SHORT = 30.0, 0.05


def events(taken):
    return [event for _, event, _ in taken]


def acted(story):
    """Run a story, which must not take until someone has waited in vain."""
    # In a thread of its own: that of the tests may have an event loop, which tests in a browser leave behind.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, asyncio.wait_for(story, LONG / 3)).result()


def test_letters_come_at_once_and_in_their_order():
    async def story():
        mail = Mail()
        await mail.begin(1)
        waiting = asyncio.create_task(mail.take(LONG))
        await asyncio.sleep(0)
        assert await mail.put(1, "a", {}) is False
        await mail.put(1, "b", {})
        first = events(await waiting)
        return first + events(await mail.take(SHORT))

    assert acted(story()) == ["a", "b"]


def test_letters_of_an_assignment_that_is_over_are_thrown_away_and_their_writer_stops():
    async def story():
        mail = Mail()
        await mail.begin(1)
        await mail.end(1)
        stops = await mail.put(1, "late", {})
        return stops, events(await mail.take(SHORT))

    assert acted(story()) == (True, [])


@pytest.mark.parametrize("reason", ["halt", "end"])
def test_whoever_waits_is_asked_to_stop_as_soon_as_there_is_a_reason(reason):
    async def story():
        mail = Mail()
        await mail.begin(1)
        assert await mail.stopping(1, SHORT) is False
        waiting = asyncio.create_task(mail.stopping(1, LONG))
        await asyncio.sleep(0)
        await (mail.halt() if reason == "halt" else mail.end(1))
        return await waiting

    assert acted(story()) is True


@pytest.mark.parametrize("ended_before", [False, True])
def test_in_a_hurry_every_letter_that_was_sent_is_handed_out(ended_before):
    async def story():
        mail = Mail()
        await mail.begin(1)
        pending = asyncio.create_task(mail.take(LONG))
        await asyncio.sleep(0)
        sent = []
        if ended_before:
            # The driver has not seen yet that its call has ended, and another letter comes.
            await mail.put(1, "a", {})
            await asyncio.sleep(0.01)
            sent = ["a", "b"]
            await mail.put(1, "b", {})
        one_more = await mail.hurry()
        got = events(await pending)
        if one_more:
            got += events(await mail.take(LONG))
        return got == sent, one_more

    assert acted(story()) == (True, ended_before)
