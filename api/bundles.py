"""Sealed key bundles as they come in: bytes that the API can't open, in base64."""

from __future__ import annotations

import base64
import binascii

from api.errors import Problem

__all__ = ["unbase64"]


def unbase64(text: str) -> bytes:
    """The bundle's bytes; raises `Problem`."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Problem("bundle-malformed", 422, "the bundle isn't base64") from None
