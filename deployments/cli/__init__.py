"""Commands of ``wilss`` that need the room of deployments; one file a group of commands."""
