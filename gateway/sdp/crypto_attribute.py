"""`a=crypto` (RFC 4568 §9.1): one line with its tag, suite and key; says what of it can't be used, and never the key.

Read is one key of the two suites with AES-128 in counter mode. A lifetime binds its sender, who changes the key by a
new offer, and is passed over. Session parameters that change how packets look, several keys and MKIs aren't for us.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

SUITE_80: Final = "AES_CM_128_HMAC_SHA1_80"
SUITES: Final = (SUITE_80, "AES_CM_128_HMAC_SHA1_32")
"""What can be opened and sealed."""
KEY_BYTES: Final = 30
"""Master key and master salt."""

_LINE = re.compile(r"([0-9]{1,9})[ \t]+([A-Za-z0-9_]{1,64})[ \t]+(\S+)((?:[ \t]+\S+)*)[ \t]*\Z", re.ASCII)
_KEY = re.compile(r"inline:([A-Za-z0-9+/]{1,344}={0,2})(?:\|(?:2\^)?[0-9]{1,15})?(\|[0-9]+:[0-9]+)?\Z", re.ASCII)
_WINDOW = re.compile(r"WSH=[0-9]{1,9}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class CryptoAttribute:
    """One line. Its key is in no text that is made of it but `value`."""

    tag: int
    suite: str
    """As spelled, known or not; upper case."""
    key: bytes = b""
    """Master key and salt; empty where the line can't be used."""
    fault: str = ""
    """Why it can't be used."""

    def __repr__(self) -> str:
        return f"CryptoAttribute({self.tag}, {self.suite}, {self.fault or '<redacted>'})"

    @property
    def value(self) -> str:
        """What stands behind `a=crypto:`."""
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def parse_crypto(value: str) -> CryptoAttribute | None:
    """Read what stands behind `a=crypto:`; None for what isn't a line of RFC 4568 at all."""
    line = _LINE.match(value)
    if line is None:
        return None
    tag, suite, parameters = int(line[1]), line[2].upper(), line[4].split()
    if suite not in SUITES:
        return CryptoAttribute(tag, suite, fault="suite isn't supported")
    if not all(_WINDOW.match(parameter) for parameter in parameters):
        return CryptoAttribute(tag, suite, fault="session parameters aren't supported")
    if ";" in line[3]:
        return CryptoAttribute(tag, suite, fault="several keys aren't supported")
    inline = _KEY.match(line[3])
    if inline is None:
        return CryptoAttribute(tag, suite, fault="key is malformed")
    if inline[2]:
        return CryptoAttribute(tag, suite, fault="MKI isn't supported")
    try:
        key = base64.b64decode(inline[1], validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        return CryptoAttribute(tag, suite, fault="key is malformed")
    return CryptoAttribute(tag, suite, key)
