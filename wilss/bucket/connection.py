"""Opening a bucket: where it is, who asks, and how patiently."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from wilss.bucket.address import ROOT, Address, Marker, Use, endpoint_here
from wilss.bucket.refusals import reason_of
from wilss.errors import BucketError

if TYPE_CHECKING:
    from obstore.store import S3Store

TIMEOUT = timedelta(seconds=60)


def connect(marker: Marker, use: Use = ROOT) -> S3Store:
    """The objects below an address, as obstore offers them. Raises BucketError for one that cannot be opened."""
    try:
        from obstore.exceptions import BaseError
        from obstore.store import S3Store
    except ModuleNotFoundError as error:
        raise BucketError(
            f"the {use.noun} '{marker.address}' is a bucket, which obstore reads, and that is not installed; "
            "pip install 'wilss[s3]'"
        ) from error
    endpoint = endpoint_here() or marker.endpoint
    config: Any = {"endpoint": endpoint} if endpoint else {}
    provider = _chain(marker.address)
    try:
        return S3Store(
            marker.bucket,
            prefix=marker.prefix or None,
            config=config,
            client_options={
                "timeout": TIMEOUT,
                "connect_timeout": timedelta(seconds=10),
                **({"allow_http": True} if endpoint.startswith("http://") else {}),
            },
            retry_config={
                "max_retries": 4,
                "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=2), "base": 2},
                "retry_timeout": timedelta(seconds=90),
            },
            **({"credential_provider": provider} if provider else {}),
        )
    except (BaseError, ValueError) as error:
        raise BucketError(
            f"'{marker.address}' cannot be opened ({reason_of(error)}); see AWS_REGION and AWS_ENDPOINT_URL"
        ) from None


def _chain(address: Address) -> Any:
    """Profiles, single sign-on and roles as boto3 reads them; None where the environment itself holds the keys."""
    if os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        return None
    try:
        from boto3 import Session
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ModuleNotFoundError:
        return None
    try:
        session = Session()
        if session.get_credentials() is not None:
            return Boto3CredentialProvider(session)
    except BotoCoreError as error:
        raise BucketError(f"the credentials for '{address}' cannot be read ({type(error).__name__})") from None
    raise BucketError(
        f"there are no credentials for '{address}'; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )
