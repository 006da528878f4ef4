"""Any bytes are a description or raise SdpError; anchoring changes addresses and ports and nothing else."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from gateway.call.errors import NegotiationError
from gateway.call.model import CallRef, DialogTag, SdpMessage
from gateway.call.negotiation import Negotiation
from gateway.media.plane import Address
from gateway.sdp.crypto_attribute import KEY_BYTES, parse_crypto
from gateway.sdp.errors import SdpError
from gateway.sdp.profile import Profile, crypto_lines, with_profiles
from gateway.sdp.rewrite import Anchor, anchor
from gateway.sdp.session import Session, is_null_address, parse_session
from policy.decision import Side

ADDRESS = st.sampled_from(["192.0.2.1", "0.0.0.0", "host.example", "224.2.1.1/127", "2001:db8::1", "::"])
PORT = st.sampled_from([0, 1, 4000, 65535])


@st.composite
def connection(draw: st.DrawFn) -> str:
    address = draw(ADDRESS)
    return f"c=IN {'IP6' if ':' in address else 'IP4'} {address}"


@st.composite
def media(draw: st.DrawFn) -> list[str]:
    kind = draw(st.sampled_from(["audio", "video", "image", "text"]))
    proto = draw(st.sampled_from(["RTP/AVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "udptl", "TCP/RTP/AVP"]))
    lines = [
        f"m={kind} {draw(PORT)}{draw(st.sampled_from(['', '/2']))} {proto} {draw(st.sampled_from(['0', '8 101', '']))}"
    ]
    if draw(st.booleans()):
        lines.append("i=title")
    if draw(st.booleans()):
        lines.append(draw(connection()))
    some = [
        "a=sendonly",
        "a=rtcp:4003",
        "a=rtcp:9 IN IP4 192.0.2.2",
        "a=ptime:20",
        "a=ice-ufrag:x",
        "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host",
        "a=crypto:1 A inline:b",
        "a=rtpmap:101 telephone-event/8000",
        "a=x:\xe9",
        "b=AS:64",
        "k=clear:x",
    ]
    return lines + draw(st.lists(st.sampled_from(some), max_size=4, unique=True))


@st.composite
def description(draw: st.DrawFn) -> bytes:
    head = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", *draw(st.lists(connection(), max_size=1)), "t=0 0"]
    head += draw(st.lists(st.sampled_from(["a=ice-lite", "a=inactive", "a=group:BUNDLE 0 1"]), max_size=2, unique=True))
    parts = draw(st.lists(media(), max_size=4))
    end = draw(st.sampled_from(["\r\n", "\n"]))
    text = end.join([*head, *(line for part in parts for line in part)]) + draw(st.sampled_from(["", end, end * 2]))
    return text.encode("latin-1")


def read_everything(session: Session) -> None:
    for part in session.media:
        session.connection(part)
        session.direction(part)
        session.codecs(part)
        session.ptime(part)
        session.rtcp_port(part)
        session.has_crypto(part)
        session.has_fingerprint(part)
        crypto_lines(session, part)


@given(st.binary(max_size=200) | description() | description().map(lambda data: data.replace(b"=", b"", 1)))
def test_any_bytes(data: bytes) -> None:
    try:
        session = parse_session(data)
    except SdpError:
        return
    assert session.to_bytes() == data
    read_everything(session)


@given(description(), st.sampled_from(["198.51.100.20", "2001:db8::20"]), st.sampled_from([None, 30001, 31000]))
def test_anchored_lines_point_at_the_gateway_and_others_do_not_move(
    data: bytes, address: str, rtcp: int | None
) -> None:
    before = parse_session(data)
    chosen = {part.index for part in before.media if part.is_live_audio}
    after = parse_session(anchor(before, {index: Anchor(address, 30000, rtcp) for index in chosen}))
    assert after.origin == before.origin and len(after.media) == len(before.media)
    for old, new in zip(before.media, after.media, strict=True):
        was, now = before.connection(old), after.connection(new)
        assert (new.kind, new.proto, new.formats) == (old.kind, old.proto, old.formats)
        if old.index in chosen:
            assert new.port == 30000 and now is not None
            assert now.address == (was.address if was and is_null_address(was.address) else address)
            assert not any(after.attributes(new, name) for name in ("candidate", "ice-ufrag"))
            assert after.direction(new) == before.direction(old)
            said = after.rtcp(new)
            assert said is None or said.port == (rtcp or 30000)
        elif old.port != 0:
            assert (new.port, now and now.address) == (old.port, was and was.address)
        else:
            assert new.port == 0
    read_everything(after)


@given(description())
def test_untouched_lines_keep_their_bytes_and_order(data: bytes) -> None:
    before = parse_session(data)
    anchors = {part.index: Anchor("198.51.100.20", 30000, 30001) for part in before.media if part.is_live_audio}
    after = parse_session(anchor(before, anchors))

    def kept(session: Session) -> list[bytes]:
        touched = ("c", "m")
        lines = [line for line in session.lines if line.kind not in touched]
        return [
            line.raw.rstrip(b"\r\n")
            for line in lines
            if not line.value.startswith(("rtcp:", "candidate", "ice-")) or line.kind != "a"
        ]

    assert kept(after) == kept(before)


@given(description())
def test_anchoring_twice_is_anchoring_once(data: bytes) -> None:
    before = parse_session(data)
    anchors = {part.index: Anchor("198.51.100.20", 30000, 30001) for part in before.media if part.is_live_audio}
    once = anchor(before, anchors)
    assert anchor(parse_session(once), anchors) == once


@given(description(), st.data())
def test_another_profile_changes_the_profile_and_the_keys_and_nothing_else(data: bytes, draw: st.DataObject) -> None:
    session = parse_session(data)
    indexes = [part.index for part in session.media]
    chosen = draw.draw(st.lists(st.sampled_from(indexes), unique=True)) if indexes else []
    profiles = {index: Profile("RTP/SAVP", (f"1 KEYS inline:{index}",)) for index in chosen}
    again = parse_session(with_profiles(session, profiles))
    assert again.tail == session.tail

    def told(one: Session) -> list[list[str]]:
        return [
            [line.value for line in one.lines[part.start : part.end] if part.index not in chosen or line.kind != "m"]
            for part in one.media
        ]

    for part, other, before, after in zip(session.media, again.media, told(session), told(again), strict=True):
        assert (part.port, part.formats) == (other.port, other.formats)
        if part.index in chosen:
            assert other.proto == "RTP/SAVP"
            before = [value for value in before if not value.startswith("crypto")]
            before += [f"crypto:1 KEYS inline:{part.index}"] if part.port else []
        assert after == before
    assert parse_session(with_profiles(again, profiles)) == again


CRYPTO = st.from_regex(
    r"[0-9]{1,10} (AES_CM_128_HMAC_SHA1_(80|32)|F8) inline:[A-Za-z0-9+/]{38,42}=?(\|2\^[0-9]+)?(\|1:4)?( WSH=64| x)?"
)


@given(st.text(max_size=100) | CRYPTO)
def test_any_text_is_a_crypto_line_or_none(text: str) -> None:
    found = parse_crypto(text)
    if found is not None:
        assert len(found.key) == (0 if found.fault else KEY_BYTES)
        assert found.fault or parse_crypto(found.value) == found


@given(
    st.lists(
        st.tuples(
            description() | st.binary(max_size=60),
            st.sampled_from(Side),
            st.sampled_from([None, "a", "b"]),
            st.sampled_from(["offer", "answer"]),
        ),
        max_size=6,
    ),
    st.sampled_from([None, "a", "b"]),
)
def test_a_call_takes_descriptions_in_any_order(
    messages: list[tuple[bytes, Side, str | None, str]], fixed: str
) -> None:
    """Each goes on with our address, or is refused with a declared error and goes on as it came."""
    call = Negotiation(CallRef("0011223344556677"), hosts={Side.CALLER: "192.0.2.51", Side.AGENT: "192.0.2.52"})
    for number, (body, party, dialog, role) in enumerate(messages):
        if number == 3 and fixed:
            call.fix(DialogTag(fixed))
        message = SdpMessage(party, DialogTag(dialog) if dialog else None, role, body)  # type: ignore[arg-type]  # sampled
        with contextlib.suppress(SdpError, NegotiationError):
            for spec in call.missing(message):
                call.ports[spec.flow] = Address(spec.local_host, 30_000 + 2 * len(call.ports))
            told, _ = call.describe(message)
            ours = {address.port for address in call.ports.values()}
            assert all(media.port in {0, *ours} for media in parse_session(told).media if media.is_live_audio)
        call.line()
        call.encrypted  # noqa: B018 - reading it must not fail
        if dialog and number % 2:
            call.rolled_back(DialogTag(dialog))
