"""What a bucket refuses, in one sentence. What a server says is never passed on: it may name the key that was used."""

from __future__ import annotations

import re

from wilss.bucket.address import ROOT, Address, Use

CODE = re.compile(r"<Code>([A-Za-z]{2,60})</Code>")
STATUS = re.compile(r"\b([45][0-9]{2}) [A-Z][a-z]+")
DENIED = (
    "AccessDenied",
    "AllAccessDisabled",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "status 401",
    "status 403",
)
BEYOND = ("InvalidRange", "status 416")
LASTING = ("InvalidBucketName", "NoSuchBucket", "PermanentRedirect")
"""Reasons that asking once more does not change."""
WORDS = ("timed out", "timeout", "refused", "reset", "dns", "certificate", "connect", "decod", "length")
"""Of a reason that tells something, and nothing that is secret."""


def told(address: Address, verb: str, error: Exception, use: Use = ROOT) -> str:
    """One sentence for what was refused."""
    name, reason = type(error).__name__, reason_of(error)
    if "NoSuchBucket" in reason or isinstance(error, FileNotFoundError):
        return f"there is no bucket '{address.bucket}'; make it, or name another with --{use.option} s3://BUCKET/PREFIX"
    if name in ("PermissionDeniedError", "UnauthenticatedError") or reason in DENIED:
        return (
            f"the bucket lets nobody with these credentials {verb} '{address}' ({reason}); see that they are "
            f"right, and that they may {use.rights} below that prefix"
        )
    if name == "InvalidPathError":
        return f"'{address}' holds objects whose names are no paths; remove them, or take another prefix"
    advice = "see that bucket, endpoint, credentials and network are right"
    return f"'{address}' cannot be reached ({reason}); {advice}"


def is_lasting(error: Exception) -> bool:
    """Whether asking once more does not change it."""
    return reason_of(error) in (*LASTING, *DENIED)


def reason_of(error: Exception) -> str:
    """Why, in the provider's code or a word, and nothing else of what it said."""
    text = str(error)
    if found := CODE.search(text) or STATUS.search(text):
        return found[1] if found.re is CODE else f"status {found[1]}"
    return next((word for word in WORDS if word in text.lower()), type(error).__name__.removesuffix("Error").strip("_"))
