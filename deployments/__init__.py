"""Deployments: how flows run on a server and its workers."""
