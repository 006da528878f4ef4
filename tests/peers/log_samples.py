"""One sample of every type of log entry."""

from crypto.checkpoint import Checkpoint
from crypto.cosignature import cosign
from crypto.jcs import canonical
from crypto.ssh_key import SigningKey
from crypto.sshsig import sign
from crypto.x25519 import Identity
from policy.epoch_statement import EPOCH_NAMESPACE
from policy.log_entry import (
    Access,
    Act,
    Anchor,
    Build,
    Call,
    Counted,
    Day,
    EClose,
    ECommit,
    Entry,
    EOpen,
    Erase,
    Halt,
    Hold,
    Key,
    Out,
    Quorum,
    Release,
    Reveal,
    Unhold,
    Unrelease,
    Wish,
    X,
)

ORIGIN = "hamburg/fairtap/2026-40"
EPOCH = "2026-W47"
A, D1, D2, D3 = "0a" * 16, "1b" * 32, "2c" * 32, "3d" * 32
COUNCIL = SigningKey.generate()
CSIG = sign(COUNCIL, EPOCH_NAMESPACE, canonical({"origin": ORIGIN, "e": EPOCH, "c": D2}))
COSIG = str(cosign(str(Checkpoint(ORIGIN, 9, bytes(32))), "hamburg/council", COUNCIL, 1_795_000_000))

SAMPLES: list[Entry] = [
    Anchor("council", COUNCIL.verify_key.line(), str(Identity.generate().recipient), 1, None),
    Anchor("employer", SigningKey.generate().verify_key.line(), None, 2, D1),
    Act(D1, "agreement", 1),
    Key(D1),
    ECommit(EPOCH, D1, D2, CSIG, D3, D1, 0),
    EOpen(EPOCH, COSIG),
    Day(EPOCH, 0),
    Call(EPOCH, A, 1, "service-strom", 0, D1),
    Call("2026-03-01T1005Z-PT5M", A, 2, "other", None, D1),
    X("2026-03-01", "unclaimed"),
    Wish(EPOCH, A, 1, D1),
    Out(EPOCH, A, 1, "hit", D1),
    Halt(EPOCH),
    EClose(
        EPOCH,
        {"team-a": Counted(100, 4), "team-b": Counted(7, 0)},
        3,
        D1,
        {"protected": 1, "unknown": 0, "unclaimed": 2},
    ),
    EClose(EPOCH, {}, None, D2, {"protected": 0, "unknown": 0, "unclaimed": 0}),
    Reveal(EPOCH, D1, D2),
    Release(D1),
    Unrelease(D1),
    Erase(D1),
    Hold(D1),
    Unhold(D1),
    Access(D1),
    Quorum(D1),
    Build(D1, D2, D3),
]
