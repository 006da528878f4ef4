"""What the phones offer and how they read an answer."""

import pytest

from demo import sdp


def terms(**changes):
    values = {
        "host": "127.0.0.1",
        "port": 4000,
        "codecs": ("PCMA", "PCMU"),
        "telephone_event": 101,
        "direction": "sendrecv",
    }
    return sdp.Terms(**{**values, **changes})


@pytest.mark.parametrize(
    "said",
    [
        terms(),
        terms(host="::1"),
        terms(codecs=("PCMU",), telephone_event=None),
        terms(direction="inactive", telephone_event=96),
    ],
)
def test_reads_what_it_writes(said):
    assert sdp.read(sdp.write(said, 7, 1)) == said


def test_first_audio_line_counts_and_unknown_lines_are_skipped():
    body = (
        b"v=0\r\nc=IN IP4 192.0.2.1\r\na=sendonly\r\nb=AS:80\r\nm=audio 4000 RTP/AVP 9 18 0\r\nc=IN IP4 192.0.2.2\r\n"
        b"a=rtpmap:9 G722/8000\r\na=recvonly\r\nm=video 4002 RTP/AVP 96\r\na=inactive\r\n"
    )
    assert sdp.read(body) == terms(host="192.0.2.2", codecs=("PCMU",), telephone_event=None, direction="recvonly")


@pytest.mark.parametrize("body", [b"", b"v=0\r\n", b"m=image 1 udptl t38\r\n", b"m=audio 1\r\n"])
def test_no_audio_no_terms(body):
    assert sdp.read(body) is None


@pytest.mark.parametrize(
    ("changes", "speaks", "hears"),
    [
        ({}, True, True),
        ({"direction": "sendonly"}, True, False),
        ({"direction": "recvonly"}, False, True),
        ({"direction": "inactive"}, False, False),
        ({"port": 0}, False, False),
        ({"host": "0.0.0.0"}, True, False),
    ],
)
def test_direction(changes, speaks, hears):
    assert (terms(**changes).speaks, terms(**changes).hears) == (speaks, hears)


def test_answer_mirrors_and_keeps_the_offers_order():
    assert [sdp.answering(way) for way in ("sendrecv", "sendonly", "recvonly", "inactive")] == [
        "sendrecv",
        "recvonly",
        "sendonly",
        "inactive",
    ]
    assert sdp.agreed(("PCMA", "PCMU"), terms(codecs=("PCMU", "PCMA"))) == ("PCMU", "PCMA")
    assert sdp.agreed(("PCMA",), terms(codecs=("PCMU",))) == ()
