"""What all tasks share: their cache is the store, so that Prefect's own result cache stays off."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

heavy_task = task(cache_policy=NO_CACHE, persist_result=False)
