"""Pages of the inspector, a file a noun."""

from __future__ import annotations

from deployments.inspector.pages import (
    about,
    acts,
    against,
    gallery,
    home,
    image,
    layers,
    models,
    paint,
    runs,
    truth,
    used,
)

ROUTERS = (
    home.router,
    gallery.router,
    about.router,
    against.router,
    image.router,
    layers.router,
    acts.router,
    paint.router,
    truth.router,
    runs.router,
    models.router,
    used.router,
)
"""All of them."""
