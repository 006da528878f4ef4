"""`a=crypto` lines: those of RFC 4568, those of phones, and what of them is no use to us."""

import base64

import pytest

from gateway.sdp.crypto_attribute import CryptoAttribute, parse_crypto

TEXT = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
KEY = base64.b64decode(TEXT)
SUITE = "AES_CM_128_HMAC_SHA1_80"


@pytest.mark.parametrize(
    ("line", "suite"),
    [
        (f"1 {SUITE} inline:{TEXT}", SUITE),
        (f"1 {SUITE} inline:{TEXT}|2^20", SUITE),
        (f"1 {SUITE} inline:{TEXT}|1048576", SUITE),
        (f"1 aes_cm_128_hmac_sha1_80 inline:{TEXT}", SUITE),
        (f"1  AES_CM_128_HMAC_SHA1_32\tinline:{TEXT} WSH=64 ", "AES_CM_128_HMAC_SHA1_32"),
    ],
)
def test_a_line_that_can_be_used(line, suite):
    assert parse_crypto(line) == CryptoAttribute(1, suite, KEY)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        # RFC 4568 §9.1's own examples with an MKI, and suites of RFC 6188 and RFC 7714
        (f"1 {SUITE} inline:{TEXT}|2^20|1:4", "MKI isn't supported"),
        (f"1 {SUITE} inline:{TEXT}|1:32", "MKI isn't supported"),
        (f"1 {SUITE} inline:{TEXT}|2^20|1:4;inline:{TEXT}|2^20|2:4", "several keys aren't supported"),
        (f"2 F8_128_HMAC_SHA1_80 inline:{TEXT}", "suite isn't supported"),
        (f"2 AES_256_CM_HMAC_SHA1_80 inline:{TEXT}AAAA", "suite isn't supported"),
        (f"2 AEAD_AES_128_GCM inline:{TEXT}", "suite isn't supported"),
        (f"1 {SUITE} inline:{TEXT} UNENCRYPTED_SRTP", "session parameters aren't supported"),
        (f"1 {SUITE} inline:{TEXT} WSH=64 KDR=3", "session parameters aren't supported"),
        (f"1 {SUITE} inline:{TEXT[:-4]}", "key is malformed"),
        (f"1 {SUITE} inline:{TEXT}AAAA", "key is malformed"),
        (f"1 {SUITE} inline:{TEXT[:-1]}", "key is malformed"),
        (f"1 {SUITE} uri:{TEXT}", "key is malformed"),
    ],
)
def test_a_line_that_can_t_be_used_says_why_and_holds_no_key(line, fault):
    found = parse_crypto(line)
    assert found is not None
    assert (found.fault, found.key) == (fault, b"")
    assert TEXT[:8] not in repr(found)


@pytest.mark.parametrize("line", ["", "1", f"x {SUITE} inline:{TEXT}", f"-1 {SUITE} inline:{TEXT}", f"1 {SUITE}"])
def test_what_is_no_crypto_line(line):
    assert parse_crypto(line) is None


def test_a_key_is_printed_where_it_is_asked_for_only():
    found = parse_crypto(f"7 {SUITE} inline:{TEXT}|2^20")
    assert found is not None
    assert found.value == f"7 {SUITE} inline:{TEXT}"
    assert repr(found) == f"CryptoAttribute(7, {SUITE}, <redacted>)"
    assert parse_crypto(found.value) == found
