"""Who talks to whom in a PBX, from what its events say of channels and bridges. Sans-IO.

A trunk call has an agent only while its bridge holds exactly two ends and the other one is a known extension; anything
else (a third party, an unknown end, music, a parking place) is nobody, and the gateway stops. Local channels that come
in pairs are looked through.
"""

from dataclasses import dataclass, field

__all__ = ["Pairing"]


@dataclass(slots=True)
class Pairing:
    """Channels and bridges by the PBX's own names."""

    trunks: dict[str, str] = field(default_factory=dict)
    """SIP Call-ID by trunk channel."""
    extensions: dict[str, str] = field(default_factory=dict)
    """Extension by an agent's channel."""
    twins: dict[str, str] = field(default_factory=dict)
    """The other half of a local channel."""
    _bridges: dict[str, set[str]] = field(default_factory=dict)
    _where: dict[str, str] = field(default_factory=dict)

    def trunk(self, channel: str, call_id: str) -> None:
        """A channel towards the gateway."""
        self.trunks[channel] = call_id

    def extension(self, channel: str, extension: str) -> None:
        """A channel to a phone."""
        self.extensions[channel] = extension

    def local(self, channel: str, twin: str) -> None:
        """Two halves of a local channel."""
        self.twins[channel], self.twins[twin] = twin, channel

    def entered(self, bridge: str, channel: str) -> None:
        """A channel joined a bridge; it leaves the one it was in."""
        self.left(channel)
        self._bridges.setdefault(bridge, set()).add(channel)
        self._where[channel] = bridge

    def left(self, channel: str) -> None:
        """A channel left its bridge."""
        bridge = self._where.pop(channel, None)
        if bridge is not None:
            self._bridges[bridge].discard(channel)
            if not self._bridges[bridge]:
                del self._bridges[bridge]

    def destroyed(self, bridge: str) -> None:
        """A bridge is gone with all that was in it."""
        for channel in tuple(self._bridges.get(bridge, ())):
            self.left(channel)

    def renamed(self, channel: str, name: str) -> None:
        """A channel goes on under another name, as after a transfer."""
        for kept in (self.trunks, self.extensions, self.twins):
            if channel in kept:
                kept[name] = kept.pop(channel)
        bridge = self._where.get(channel)
        if bridge is not None:
            self.left(channel)
            self.entered(bridge, name)

    def hung_up(self, channel: str) -> None:
        """A channel is gone."""
        self.left(channel)
        self.trunks.pop(channel, None)
        self.extensions.pop(channel, None)
        twin = self.twins.pop(channel, None)
        if twin is not None:
            self.twins.pop(twin, None)

    def talking(self) -> dict[str, str | None]:
        """By SIP Call-ID: the extension that talks to this trunk call and to nobody else, None where nobody does."""
        return {call_id: self._other(channel) for channel, call_id in self.trunks.items()}

    def _other(self, trunk: str) -> str | None:
        seen = {trunk}
        channel = trunk
        while True:
            bridge = self._bridges.get(self._where.get(channel, ""), set())
            others = bridge - {channel}
            if len(others) != 1:
                return None
            (other,) = others
            if other in seen:
                return None
            seen.add(other)
            if other in self.extensions:
                return self.extensions[other]
            twin = self.twins.get(other)
            if twin is None or twin in seen:
                return None
            seen.add(twin)
            channel = twin
