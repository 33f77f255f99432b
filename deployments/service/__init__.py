"""The service: a server, workers, their deployments and the inspector, held together by ``wilss up``."""
