"""How much room a store takes: by kind, and by run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from stores.inventory import artefacts_of, size_of, take_stock
from wilss.layout import KINDS


@dataclass(frozen=True)
class Usage:
    """Bytes.

    kinds: name -> how many, bytes. runs: name -> bytes of everything that its report names, and of what no other
    report names.
    """

    total: int
    kinds: dict[str, tuple[int, int]]
    runs: dict[str, tuple[int, int]]


def usage(root: Path) -> Usage:
    """Sizes of everything under a root."""
    stock = take_stock(root)
    keys = [*stock.manifests, *stock.damaged]
    sizes = {(kind, digest): size_of(root / kind / digest[:2] / digest) for kind, digest in keys}
    by_digest = {digest: size for (_, digest), size in sizes.items()}
    kinds: dict[str, tuple[int, int]] = {}
    for kind in KINDS:
        own = [size for (of, _), size in sizes.items() if of == kind]
        kinds[kind] = (len(own), sum(own))
        unfinished = list((root / kind).glob(".*"))
        if unfinished:
            kinds[f"{kind}, unfinished"] = (len(unfinished), sum(map(size_of, unfinished)))
    others = sorted(path for path in root.glob("*") if path.name not in KINDS)
    kinds |= {path.name: (sum(1 for _ in path.glob("*")) if path.is_dir() else 1, size_of(path)) for path in others}
    named = {
        report_path.parent.name: set(artefacts_of(report).values()) & by_digest.keys()
        for report_path, report in stock.reports.items()
        if artefacts_of(report)
    }
    shared = Counter(digest for digests in named.values() for digest in digests)
    runs = {
        name: (sum(by_digest[d] for d in digests), sum(by_digest[d] for d in digests if shared[d] == 1))
        for name, digests in named.items()
    }
    return Usage(sum(size for _, size in kinds.values()), kinds, runs)
