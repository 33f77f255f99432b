"""A bucket on a server that speaks S3's protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NAME = "photographs"


@dataclass
class Bucket:
    """One bucket of a server in this process. environment: what a client's environment has to say."""

    server: Any
    client: Any
    environment: dict[str, str]

    @classmethod
    def begin(cls) -> Bucket:
        """Start a server with an empty bucket; `stop` ends it."""
        import boto3
        import httpx
        from moto.server import ThreadedMotoServer

        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
        server.start()
        host, port = server.get_host_and_port()
        environment = {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }
        httpx.post(f"{environment['AWS_ENDPOINT_URL']}/moto-api/reset")  # what a server held before, this one has too
        client = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="tests",
            aws_secret_access_key="tests",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket=NAME)
        return cls(server, client, environment)

    def address(self, prefix: str) -> str:
        """As a user names it."""
        return f"s3://{NAME}/{prefix}"

    def put(self, key: str, content: bytes) -> None:
        """Store an object."""
        self.client.put_object(Bucket=NAME, Key=key, Body=content)

    def remove(self, key: str) -> None:
        """Take an object away."""
        self.client.delete_object(Bucket=NAME, Key=key)

    def stop(self) -> None:
        """End the server."""
        self.server.stop()
