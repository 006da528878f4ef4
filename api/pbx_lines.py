"""The lines that put a PBX's calls through the gateway, and how to take them out again; printed, never applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.config import Config, Listener

__all__ = ["PBX_KINDS", "PbxLines", "pbx_lines"]

PBX_KINDS: Final = ("asterisk", "freeswitch", "kamailio", "opensips")
_LINES: Final = {
    "asterisk": (
        "pjsip.conf, in each endpoint (and registration) whose calls pass:",
        "outbound_proxy=sip:{place}\\;transport={transport}\\;lr",
        "direct_media=no",
        "extensions.conf, a routine for the called channel, and the option that calls it in Dial() or Queue():",
        "[fairtap-queue]",
        "exten => s,1,Set(PJSIP_HEADER(add,X-Fairtap-Queue)=YOUR-QUEUE)",
        " same => n,Return()",
        "b(fairtap-queue^s^1)",
    ),
    "freeswitch": (
        "sip_profiles/external/YOUR-TRUNK.xml, in the <gateway>:",
        '<param name="outbound-proxy" value="{place};transport={transport}"/>',
        "dialplan, before the bridge:",
        '<action application="export" data="nolocal:sip_h_X-Fairtap-Queue=YOUR-QUEUE"/>',
    ),
    "kamailio": (
        "kamailio.cfg, in the route that relays initial requests, before t_relay():",
        'remove_hf_re("^X-Fairtap-");',
        'append_hf("X-Fairtap-Queue: YOUR-QUEUE\\r\\n");',
        '$du = "sip:{place};transport={transport}";',
    ),
    "opensips": (
        "opensips.cfg, in the route that relays initial requests, before t_relay():",
        'remove_hf("X-Fairtap-Queue"); remove_hf("X-Fairtap-Extension"); remove_hf("X-Fairtap-Called");',
        'append_hf("X-Fairtap-Queue: YOUR-QUEUE\\r\\n");',
        '$du = "sip:{place};transport={transport}";',
    ),
}


@dataclass(frozen=True, slots=True)
class PbxLines:
    """What to put in, and how to undo it."""

    put_in: tuple[str, ...]
    undo: tuple[str, ...]


def pbx_lines(kind: str, config: Config) -> PbxLines:
    """The lines for one of `PBX_KINDS`; the listener is the one on the PBX's side."""
    sip = config.sip
    side = sip.agent_side if sip.identity.placement == "trunk" else sip.caller_side
    listener = side.listeners[0] if side.listeners else Listener("udp", "127.0.0.1", 5060)
    host = f"[{listener.host}]" if ":" in listener.host else listener.host
    put_in = tuple(line.format(place=f"{host}:{listener.port}", transport=listener.transport) for line in _LINES[kind])
    undo = ("take out exactly these lines and reload: calls then go as before, past the gateway",)
    return PbxLines(put_in, undo)
