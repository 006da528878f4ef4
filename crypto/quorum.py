"""The quorum object of a segment: Enc(council, Enc(dpo, file key)), two nested age v1 files (crypto.md §1).

`age -d -i council.key X.quorum | age -d -i dpo.key` gives the 16 bytes of the file key; neither key alone does.
Any one of the council's recipients opens the outer file. Who may fetch the object is decided elsewhere.
"""

from collections.abc import Sequence
from typing import Final

from crypto import age
from crypto.age import Identity, Recipient
from crypto.errors import AgeKeyError
from crypto.header import FILE_KEY_BYTES, FileKey, parse

MAX_OBJECT: Final = 16 * 1024
"""Longest object that is read, in bytes; one for four recipients has about 900."""


def seal(file_key: FileKey, council: Sequence[Recipient], dpo: Recipient) -> bytes:
    """The object. Raises AgeHeaderError without a recipient of the council."""
    return age.encrypt(age.encrypt(file_key, [dpo]), council)


def open_outer(data: bytes, council: Sequence[Identity]) -> bytes:
    """The council's step: what the data-protection officer gets. Raises AgeError."""
    return age.decrypt(data, council, limit=MAX_OBJECT)


def open_inner(inner: bytes, dpo: Sequence[Identity], header: bytes) -> FileKey:
    """The officer's step: the file key, checked against the header that `header` starts with. Raises AgeError."""
    plain = age.decrypt(inner, dpo, limit=MAX_OBJECT)
    if len(plain) != FILE_KEY_BYTES:
        raise AgeKeyError("quorum object holds something else than a file key")
    file_key = FileKey(plain)
    parse(header)[0].verify(file_key)  # an object of another segment opens nothing here
    return file_key
