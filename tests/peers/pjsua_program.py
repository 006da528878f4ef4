"""pjsua2 as a phone in a process of its own, since its callbacks and its media threads share no asyncio loop.

`python pjsua_program.py SETTINGS` (a JSON object); commands come as JSON lines on stdin, events go as JSON lines to
stdout. It says a WAV, writes what it hears to another, speaks one codec only, and needs no sound card.
"""

import json
import os
import select
import sys
from typing import Any

import pjsua2 as pj

SETTINGS: dict[str, Any] = json.loads(sys.argv[1])
EVENTS = os.fdopen(os.dup(1), "w")
# pjsua2 logs to stdout until it is told not to
os.dup2(2, 1)


def tell(**event: Any) -> None:
    """One event."""
    EVENTS.write(json.dumps(event) + "\n")
    EVENTS.flush()


class Call(pj.Call):  # type: ignore[misc]  # pjsua2 has no types
    """A call that speaks and listens as soon as it has media."""

    def __init__(self, account: pj.Account, number: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, number)
        self.player: pj.AudioMediaPlayer | None = None
        self.recorder: pj.AudioMediaRecorder | None = None

    def onCallState(self, prm: pj.OnCallStateParam) -> None:
        """Tell about every state."""
        info = self.getInfo()
        tell(event="state", state=info.stateText, status=info.lastStatusCode, call_id=info.callIdString)
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            # closes the file
            self.player = self.recorder = None
            tell(event="closed")

    def onCallMediaState(self, prm: pj.OnCallMediaStateParam) -> None:
        """Connect player and recorder; the first time they are made."""
        # kept while its parts are looked at: they belong to it
        info = self.getInfo()
        media = next((one for one in info.media if one.type == pj.PJMEDIA_TYPE_AUDIO), None)
        if media is None:
            return
        tell(event="media", held=media.status != pj.PJSUA_CALL_MEDIA_ACTIVE)
        if media.status not in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD):
            return
        if self.player is None:
            self.player, self.recorder = pj.AudioMediaPlayer(), pj.AudioMediaRecorder()
            self.player.createPlayer(SETTINGS["say"])
            self.recorder.createRecorder(SETTINGS["heard"])
        line = self.getAudioMedia(media.index)
        self.player.startTransmit(line)
        line.startTransmit(self.recorder)

    def onCallTsxState(self, prm: pj.OnCallTsxStateParam) -> None:
        """Tell about finished transactions within the call."""
        change = prm.e.body.tsxState
        if change.tsx.state == pj.PJSIP_TSX_STATE_COMPLETED:
            ours = change.tsx.role == pj.PJSIP_ROLE_UAC
            tell(event="transaction", method=change.tsx.method, status=change.tsx.statusCode, ours=ours)


class Account(pj.Account):  # type: ignore[misc]  # likewise
    """Answers every call after it rang."""

    def __init__(self) -> None:
        super().__init__()
        self.call: Call | None = None

    def onIncomingCall(self, prm: pj.OnIncomingCallParam) -> None:
        """Ring; the test says when to pick up."""
        self.call = Call(self, prm.callId)
        # reliably and with a description: its media may flow before anybody picks up
        self.call.answer(_how(183 if SETTINGS["reliable"] else 180))
        tell(event="incoming")


def _how(status: int = 0) -> pj.CallOpParam:
    how = pj.CallOpParam(True)
    how.statusCode = status
    return how


def _obey(account: Account, command: dict[str, Any]) -> None:
    """One command."""
    name, call = command["command"], account.call
    if name == "dial":
        account.call, how = Call(account), _how()
        for header, value in command.get("headers", []):
            made = pj.SipHeader()
            made.hName, made.hValue = header, value
            how.txOption.headers.append(made)
        account.call.makeCall(command["uri"], how)
    elif call is None:
        tell(event="refused", command=name)
    elif name == "answer":
        call.answer(_how(200))
    elif name == "hold":
        call.setHold(_how())
    elif name == "resume":
        how = _how()
        how.opt.flag = pj.PJSUA_CALL_UNHOLD
        call.reinvite(how)
    elif name == "update":
        call.update(_how())
    elif name == "press":
        call.dialDtmf(command["keys"])
    elif name == "hangup":
        call.hangup(_how())


_KINDS = {
    "udp": (pj.PJSIP_TRANSPORT_UDP, ""),
    "tcp": (pj.PJSIP_TRANSPORT_TCP, ";transport=tcp"),
    "tls": (pj.PJSIP_TRANSPORT_TLS, ";transport=tls"),
}


def _start(endpoint: pj.Endpoint) -> Account:
    config = pj.EpConfig()
    config.uaConfig.threadCnt, config.uaConfig.mainThreadOnly = 0, True
    config.logConfig.level, config.logConfig.consoleLevel = 4, 0
    config.logConfig.filename = SETTINGS["log"]
    config.medConfig.clockRate = config.medConfig.sndClockRate = 8000
    config.medConfig.ecTailLen, config.medConfig.noVad = 0, True
    endpoint.libCreate()
    endpoint.libInit(config)
    endpoint.audDevManager().setNullDev()
    at = pj.TransportConfig()
    at.port, at.boundAddress, at.publicAddress = 5060, SETTINGS["address"], SETTINGS["address"]
    kind, suffix = _KINDS[SETTINGS["transport"]]
    if SETTINGS["transport"] == "tls":
        at.tlsConfig.certFile, at.tlsConfig.privKeyFile = SETTINGS["certificate"]
        at.tlsConfig.CaListFile, at.tlsConfig.verifyServer = SETTINGS["ca"], True
        at.port = 5061
    endpoint.transportCreate(kind, at)
    endpoint.libStart()
    for codec in endpoint.codecEnum2():
        endpoint.codecSetPriority(codec.codecId, 255 if codec.codecId.startswith(SETTINGS["codec"]) else 0)
    mine = pj.AccountConfig()
    mine.idUri = f"sip:{SETTINGS['user']}@{SETTINGS['address']}{suffix}"
    if SETTINGS["through"]:
        mine.sipConfig.proxies.append(SETTINGS["through"])
    # of its own it would name 127.0.0.1 over TCP
    mine.sipConfig.contactForced = f"<sip:{SETTINGS['user']}@{SETTINGS['address']}:{at.port}{suffix}>"
    mine.mediaConfig.transportConfig.boundAddress = SETTINGS["address"]
    mine.mediaConfig.transportConfig.port = 4000
    mine.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY if SETTINGS["srtp"] else pj.PJMEDIA_SRTP_DISABLED
    mine.mediaConfig.srtpSecureSignaling = 0
    mine.callConfig.prackUse = pj.PJSUA_100REL_MANDATORY if SETTINGS["reliable"] else pj.PJSUA_100REL_NOT_USED
    mine.callConfig.timerUse = pj.PJSUA_SIP_TIMER_ALWAYS if SETTINGS["expires_s"] else pj.PJSUA_SIP_TIMER_INACTIVE
    mine.callConfig.timerSessExpiresSec = SETTINGS["expires_s"] or mine.callConfig.timerSessExpiresSec
    account = Account()
    account.create(mine)
    return account


def main() -> None:
    """Until stdin ends."""
    endpoint = pj.Endpoint()
    account = _start(endpoint)
    tell(event="ready")
    waiting = b""
    while True:
        endpoint.libHandleEvents(10)
        if not select.select([0], [], [], 0)[0]:
            continue
        data = os.read(0, 65536)
        if not data:
            # no time for a friendly end: the call is over, and the test doesn't wait for pjsua2's own
            os._exit(0)
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            try:
                _obey(account, json.loads(line))
            except pj.Error as error:
                tell(event="refused", why=error.info())


if __name__ == "__main__":
    main()
