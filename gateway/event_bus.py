"""Live events inside one process: best effort, bounded, never a wait for whoever publishes.

A subscriber that falls behind is cut off and must start again with a snapshot; it never sees a feed with a hole.
"""

import asyncio
from collections.abc import AsyncIterator

from gateway.events import Event

__all__ = ["EventBus", "Subscription"]

BACKLOG = 1000
"""Events that one subscriber may be behind."""


class Subscription:
    """One subscriber's queue; iterate it until it ends."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(BACKLOG + 1)
        self._ended = False

    def put(self, event: Event) -> bool:
        """Hand over an event; False (and the end) when the subscriber is too far behind."""
        if self._ended:
            return False
        if self._queue.qsize() >= BACKLOG:
            self.end()
            return False
        self._queue.put_nowait(event)
        return True

    def end(self) -> None:
        """No more events."""
        if not self._ended:
            self._ended = True
            self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self._queue.get()) is not None:
            yield event


class EventBus:
    """Everybody who listens gets every event."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def subscribe(self) -> Subscription:
        """Start to listen."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop to listen."""
        self._subscriptions.discard(subscription)
        subscription.end()

    def publish(self, event: Event) -> None:
        """Tell everybody, now, without waiting."""
        for subscription in tuple(self._subscriptions):
            if not subscription.put(event):
                self._subscriptions.discard(subscription)
