"""`announcement add | list | check`: what callers can be asked here, before anything of it stands in an agreement.

Writes one file into the data folder; a running gateway finds it by itself. Results are JSON on stdout.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from gateway.config import Config
from gateway.engine.announcements import Announcements
from gateway.errors import GatewayError
from gateway.media.prompts.own_recordings import add
from gateway.media.prompts.sound_file import Words
from gateway.media.prompts.sounds import Catalogue, own_folder
from gateway.media.prompts.studio import MOST_BYTES
from policy.agreement.load import AgreementRefused, load
from policy.agreement.schema import Agreement
from storage.named_file import read_named

__all__ = ["AnnouncementError", "run"]

FAULTS = 1


class AnnouncementError(GatewayError):
    """A file that was named can't be used."""


def run(args: argparse.Namespace, config: Config) -> int:
    """Carry one of the actions out; the rc. Raises GatewayError, StorageError."""
    data_dir = config.site.data_dir.absolute()
    if args.action == "add":
        said = Words(args.id, "ask", args.language, args.text, args.purpose, args.one_sided, args.yes, args.no)
        add(data_dir, _read(args.file, MOST_BYTES), said)
    there = Announcements(Catalogue(own=own_folder(data_dir)))
    there.look()
    lines, faults = there.listing(), there.faults()
    if args.action == "add":
        return _tell(next(line for line in lines if line["id"] == args.id))
    if args.action == "check":
        prompts = _agreement(args.file).consent.prompts
        lines = [{"id": prompt.id, "fault": there.fault(prompt)} for prompt in prompts]
        faults = [str(line["fault"]) for line in lines if line["fault"] is not None]
    return _tell({"announcements": lines, "faults": faults}) or (FAULTS if faults else 0)


def _tell(result: dict[str, Any]) -> int:
    sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
    return 0


def _agreement(path: Path) -> Agreement:
    try:
        return load(_read(path, 1 << 20))
    except AgreementRefused:
        raise AnnouncementError(f"`{path}` isn't a valid agreement: see `fairtap agreement check {path}`") from None


def _read(path: Path, most: int) -> bytes:
    try:
        return read_named(path, most)
    except OSError as error:
        raise AnnouncementError(f"`{path}`: {(error.strerror or 'it cannot be read').lower()}") from None
