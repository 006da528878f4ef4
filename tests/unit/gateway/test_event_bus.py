"""Everybody gets every event, or none after the first that was missed; publishing never waits."""

import asyncio

from gateway.event_bus import BACKLOG, EventBus
from gateway.events import CallEnded


def event(number: int) -> CallEnded:
    return CallEnded(f"{number:016x}")


async def test_every_subscriber_gets_every_event_in_order():
    bus = EventBus()
    first, second = bus.subscribe(), bus.subscribe()
    for number in range(3):
        bus.publish(event(number))
    bus.unsubscribe(first)
    bus.unsubscribe(second)
    expected = [event(number) for number in range(3)]
    assert [told async for told in first] == expected
    assert [told async for told in second] == expected


async def test_nothing_from_before_or_after_a_subscription():
    bus = EventBus()
    bus.publish(event(1))
    subscription = bus.subscribe()
    bus.publish(event(2))
    bus.unsubscribe(subscription)
    bus.publish(event(3))
    assert [told async for told in subscription] == [event(2)]


async def test_a_waiting_subscriber_is_woken():
    bus = EventBus()
    subscription = bus.subscribe()
    waiting = asyncio.ensure_future(anext(aiter(subscription)))
    await asyncio.sleep(0)
    bus.publish(event(7))
    assert await waiting == event(7)


async def test_who_falls_behind_is_cut_off_without_a_hole():
    bus = EventBus()
    slow, quick = bus.subscribe(), bus.subscribe()
    feed = aiter(quick)
    for number in range(BACKLOG + 5):
        bus.publish(event(number))
        assert await anext(feed) == event(number)
    assert [told async for told in slow] == [event(number) for number in range(BACKLOG)]
    bus.publish(event(9999))
    assert await anext(feed) == event(9999)


async def test_unsubscribing_twice_is_harmless():
    bus = EventBus()
    subscription = bus.subscribe()
    bus.unsubscribe(subscription)
    bus.unsubscribe(subscription)
    assert [told async for told in subscription] == []
    assert not subscription.put(event(1))
