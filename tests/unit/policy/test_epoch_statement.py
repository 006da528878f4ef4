"""The council's signed commitment to its share: opens, verifies, refuses."""

import pytest

from crypto.ssh_key import SigningKey
from policy.epoch_statement import CouncilCommitment, commit, parse_commitment
from policy.errors import StatementError

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
ORIGIN, EPOCH, SHARE = "hamburg/fairtap/2026-W10", "2026-W11", bytes(range(32))


def test_a_commitment_reads_opens_and_is_signed():
    made, signature = commit(ORIGIN, EPOCH, SHARE, KEY)
    assert parse_commitment(made.canonical()) == made
    assert made.opened_by(SHARE)
    assert made.signed_by(signature, [OTHER.verify_key, KEY.verify_key])


def test_another_share_epoch_or_key_is_told_apart():
    made, signature = commit(ORIGIN, EPOCH, SHARE, KEY)
    assert not made.opened_by(bytes(32))
    assert not CouncilCommitment(ORIGIN, "2026-W12", made.c).opened_by(SHARE)
    assert not CouncilCommitment(ORIGIN, "2026-W12", made.c).signed_by(signature, [KEY.verify_key])
    assert not made.signed_by(signature, [OTHER.verify_key])
    assert not made.signed_by("no signature", [KEY.verify_key])


@pytest.mark.parametrize("epoch", ["2026-03-01", "2026-W10", "2026-03-01T1005Z-PT5M"])
def test_every_kind_of_epoch_reads(epoch):
    made, _ = commit(ORIGIN, epoch, SHARE, KEY)
    assert parse_commitment(made.canonical()).epoch == epoch


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"c":"00","e":"2026-W10","origin":"hamburg/fairtap/2026-W10"}',
        b'{"c":"' + b"0" * 64 + b'","e":"tomorrow","origin":"hamburg/fairtap/2026-W10"}',
        b'{"c":"' + b"0" * 64 + b'","e":"2026-W10","origin":"../x"}',
        b'{"c":"' + b"0" * 64 + b'","e":"2026-W10","origin":"hamburg/fairtap/2026-W10","x":1}',
    ],
)
def test_anything_else_is_refused(data):
    with pytest.raises(StatementError):
        parse_commitment(data)
