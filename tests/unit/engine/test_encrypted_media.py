"""What a worker tells of encrypted media: what can't be read isn't recorded, lost keys are never used again."""

from dataclasses import replace

from sqlalchemy import select

from gateway.call.stage import Stage
from gateway.media.plane import FlowId, KeysLost, MediaUnreadable, SrtpKey, Stop
from gateway.sdp.crypto_attribute import SUITE_80, CryptoAttribute
from policy.decision import Side
from storage.tables import recordings
from tests.peers.engine_bench import EngineBench


async def test_what_can_t_be_read_any_more_ends_the_recording_and_says_why(bench: EngineBench):
    live = await bench.opened()
    bench.engine.reports.take(0, MediaUnreadable(FlowId(f"{live.call.ref}/caller/0")))
    assert isinstance(next(order for order in reversed(bench.worker.orders)), Stop)
    await bench.engine.finished()
    assert bench.stage(live) is not Stage.OPEN
    assert "MEDIA_ENCRYPTED" in bench.engine.reasons(live)


async def test_a_recording_of_encrypted_media_says_so_in_its_manifest(bench: EngineBench, monkeypatch):
    def keyed(body: bytes) -> bytes:
        key = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40
        return body.replace(b"RTP/AVP", b"RTP/SAVP") + key + b"\r\n"

    describe = bench.engine.describing.describe

    async def described(live, message):
        return await describe(live, replace(message, body=keyed(message.body)))

    monkeypatch.setattr(bench.engine.describing, "describe", described)
    live = await bench.opened()
    assert live.call.negotiation.secured
    (row,) = await bench.folder.database.read(lambda connection: connection.execute(select(recordings.c.media)).all())
    assert row.media == "srtp"


async def test_a_lost_worker_takes_the_keys_along(bench: EngineBench):
    live = await bench.answered()
    keys, dialog = live.call.negotiation.keys, live.call.answered_dialog
    assert dialog is not None
    ours = keys.own(dialog, 0, Side.CALLER, CryptoAttribute(1, SUITE_80))
    keys.ended_here(dialog, 0, Side.CALLER, replace(ours, key=bytes(30)), ours)
    assert isinstance(keys.of(dialog, 0, Side.CALLER)[0], SrtpKey)
    bench.engine.reports.worker_lost(0)
    assert keys.of(dialog, 0, Side.CALLER) == (None, None)
    assert keys.own(dialog, 0, Side.CALLER, CryptoAttribute(1, SUITE_80)) != ours
    bench.engine.reports.take(0, KeysLost(live.call.ref))
    assert bench.engine.counters["srtp_keys_lost"] == 1
