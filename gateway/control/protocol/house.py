"""The house: roster, acts, epochs, the log, announcements, figures."""

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class AddAgents:
    """Names into the roster; answered with `{"agents": [{"id","name"}]}`. Grants nothing."""

    agents: tuple["NewAgent", ...]
    kind: Literal["add_agents"] = "add_agents"


@dataclass(frozen=True, slots=True)
class NewAgent:
    """A roster line as an admin may enter it."""

    name: str
    group: str
    site: str
    onboarding_from: str | None = None
    """ISO date on which the agent's onboarding began; None: regular."""
    home_office: bool = False


@dataclass(frozen=True, slots=True)
class DisableAgent:
    """Takes an agent off the roster: seat released, nothing recorded; recordings stay the agent's."""

    agent: str
    kind: Literal["disable_agent"] = "disable_agent"


@dataclass(frozen=True, slots=True)
class PostAct:
    """A signed act `{v,type,agreement,seq,prev,body}`: an agreement with its document, rates, suspend, resume, …"""

    act: str
    """Canonical JSON of the act."""
    signatures: dict[str, str]
    """Anchor role to armoured SSHSIG (`fairtap-act@v1`)."""
    document: str | None = None
    """The YAML, where the act puts one into force."""
    language: str = "en"
    """In which a refusal is told: de, en, nb."""
    kind: Literal["post_act"] = "post_act"


@dataclass(frozen=True, slots=True)
class DraftAct:
    """The bytes to sign for an act that would follow the last one; answered with `{"act": …}`."""

    type: str
    agreement: str
    body: dict[str, Any]
    language: str = "en"
    """In which a refusal is told: de, en, nb."""
    kind: Literal["draft_act"] = "draft_act"


@dataclass(frozen=True, slots=True)
class SuspendRecording:
    """A party's session stops all recording at once; the one act that needs no key."""

    agreement: str
    party: Literal["employer", "council"]
    language: str = "en"
    """Of a refusal."""
    kind: Literal["suspend_recording"] = "suspend_recording"


@dataclass(frozen=True, slots=True)
class CommitEpoch:
    """The council's signed commitment to its share of an epoch; answered with the epoch as `Epochs` tells it."""

    epoch: str
    c: str
    """hex32."""
    csig: str
    """Armoured SSHSIG over `{origin, e, c}` (`fairtap-epoch@v1`)."""
    kind: Literal["commit_epoch"] = "commit_epoch"


@dataclass(frozen=True, slots=True)
class ShareEpoch:
    """The council's share of an epoch, hex32, after a cosigned checkpoint holds the epoch's `ecommit`."""

    epoch: str
    share: str = field(repr=False)
    kind: Literal["share_epoch"] = "share_epoch"


@dataclass(frozen=True, slots=True)
class CosignLog:
    """A checkpoint of ours with the council's cosignature under it; answered with `{"origin","size","at"}`."""

    note: str
    kind: Literal["cosign_log"] = "cosign_log"


@dataclass(frozen=True, slots=True)
class Epochs:
    """Answered with `{"epochs": [{"epoch","origin","start","end","state","inventory"}]}`, in time.

    Also those not committed to, and for some weeks those that are over. `inventory`: there is one to fetch.
    """

    kind: Literal["epochs"] = "epochs"


@dataclass(frozen=True, slots=True)
class EpochRoster:
    """An epoch's two lists: `{"leaves": [{"a","group","phase"}], "names": […]}`; nothing ties one to the other."""

    epoch: str
    kind: Literal["epoch_roster"] = "epoch_roster"


@dataclass(frozen=True, slots=True)
class Status:
    """Site state, health of workers and storage, counters; no persons."""

    kind: Literal["status"] = "status"


@dataclass(frozen=True, slots=True)
class PassedThrough:
    """Figures of the last days' calls as a plain proxy sees them; nothing of recording, no persons."""

    days: int
    kind: Literal["passed_through"] = "passed_through"


@dataclass(frozen=True, slots=True)
class ListAnnouncements:
    """Every question that can be asked, with its words, its hash, and whether an agreement in force names it."""

    kind: Literal["list_announcements"] = "list_announcements"


@dataclass(frozen=True, slots=True)
class FetchAnnouncement:
    """One question's file, to be listened to: exactly the bytes whose hash the agreement names."""

    id: str
    kind: Literal["fetch_announcement"] = "fetch_announcement"
