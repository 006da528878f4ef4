"""What the command line offers, in words: each command's sentence and its options. `__main__` makes a parser of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from council.words import LANGUAGES

ABOUT: Final = "Checks the recording log, without trust."
Options = dict[str, dict[str, Any]]
"""Option, or name of a place, to what argparse is told of it."""

EVERYWHERE: Final[Options] = {
    "--home": {"type": Path, "help": "the council's folder; else FAIRTAP_COUNCIL_HOME, else ~/.fairtap-council"},
    "--lang": {"choices": LANGUAGES, "help": "else as set up, else the machine's"},
}
_AHEAD: Final[Options] = {"--ahead": {"type": int, "default": 13, "help": "epochs to commit to, at most 13"}}
_ZONE: Final[Options] = {"--zone": {"help": "time zone of the call records, such as Europe/Berlin"}}
_CDR: Final[Options] = {"--cdr": {"type": Path, "help": "call records, CSV of Asterisk, FreeSWITCH or Kamailio"}}
_SOURCES: Final[Options] = {
    "--log": {"type": Path, "help": "a log, or a folder of logs; else your own copy"},
    "--acts": {"type": Path, "help": "folder of acts"},
    "--roster": {"type": Path, "help": "a roster, or a folder of them"},
    "--openings": {"type": Path, "help": "folder of opening files, each named by its epoch"},
    "--inventories": {"type": Path, "help": "folder of inventories"},
    "--manifests": {"type": Path, "help": "folder of manifests, as it lies on the site's disk"},
    "--seen": {"type": Path, "help": "folder of checkpoints that you kept"},
    "--key": {"help": "the log's key, or a file that holds it"},
    **_ZONE,
    "--json": {"action": "store_true", "help": "the report for programs"},
    "--html": {"type": Path, "metavar": "FILE", "help": "write the report as a page too"},
}
_AGREEMENT: Final[Options] = {"agreement": {"help": "its name"}}

COMMANDS: Final[dict[str, tuple[str, Options]]] = {
    "init": (
        "Set up this folder: the site's address, your key, the log's key.",
        {
            "--url": {"required": True, "help": "the site's address"},
            "--key": {"required": True, "type": Path, "help": "your acting key, `OUT.sign` of `fairtap keygen`"},
            "--log-key": {"required": True, "help": "the log's key, as the gateway printed it: name+hash+base64"},
            "--identity": {
                "type": Path,
                "help": "your age identity, which opens opening files; else `OUT.key` beside your acting key",
            },
            "--role": {"default": "council", "choices": ("council", "council2", "council3"), "help": "whose key it is"},
            "--anchor": {
                "action": "append",
                "default": [],
                "metavar": "ROLE=FILE",
                "help": "another party's public key; your own role's first one, if an act has changed it",
            },
            "--ca": {"type": Path, "help": "the site's certificate, where it made its own"},
            **_CDR,
            **_ZONE,
        },
    ),
    "weekly": ("Copy, verify, cosign, share, commit ahead; writes one page to print.", _AHEAD),
    "watch": (
        "The same unattended, over and over, without the page.",
        {
            "--every": {"type": int, "default": 300, "metavar": "SECONDS", "help": "from one round to the next"},
            **_AHEAD,
            "--rounds": {"type": int, "default": 0, "help": "stop after so many; 0: never"},
        },
    ),
    "sync": (
        "Copy the log, acts, rosters, inventories and opening files.",
        {"--from": {"dest": "source", "type": Path, "help": "a folder with logs, instead of the site"}},
    ),
    "verify": ("Check everything offline: your own folder, or one you name.", {**_SOURCES, **_CDR}),
    "cdr": (
        "Fetch opening files, then compare the telephone system's call records with the log.",
        {"cdr": {"type": Path, "help": _CDR["--cdr"]["help"]}, **_SOURCES},
    ),
    "cosign": ("Verify, then cosign the newest checkpoint and hand it over.", {}),
    "open-epoch": (
        "Draw your share for coming epochs and commit to it.",
        {"--ahead": {"type": int, "default": 0, "help": "how many after the current one, at most 13"}},
    ),
    "share": ("Hand over the shares of epochs whose commitments you have cosigned.", {}),
    "suspend": ("Stop all recording at once.", _AGREEMENT),
    "rates": (
        "Lower percentages: `sample/team-a/regular=2`.",
        {**_AGREEMENT, "rates": {"nargs": "+", "metavar": "RULE=PERCENT", "help": "a rule and its new percentage"}},
    ),
}
