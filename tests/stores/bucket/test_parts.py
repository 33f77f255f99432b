"""Artefacts that several machines make part by part, and documents that lie beside."""

from __future__ import annotations

from pathlib import Path

import pytest

from stores.artefacts import Recipe, Store
from tests.s3 import Bucket
from tests.stores.bucket.conftest import Machine
from wilss.bucket.remote import remote_of
from wilss.errors import BucketError

RECIPE = Recipe("labels", {"a": 1})


def staged(root: Path) -> tuple[Store, Path]:
    store = Store(root)
    with store.build(RECIPE) as folder:
        return store, folder


def test_a_part_that_one_machine_made_another_one_takes(machine: Machine, s3: Bucket) -> None:
    (a, ours), (b, theirs) = staged(machine("a")), staged(machine("b"))
    (ours / "layer").mkdir()
    (ours / "layer" / "0").write_bytes(b"zero")
    (ours / "image").write_bytes(b"done")
    a.folders.offer("labels", RECIPE.digest, "shard 0", ours, ["layer/0", "image"])
    b.folders.take("labels", RECIPE.digest, "shard 1", theirs)
    assert not list(theirs.iterdir()), "nobody made that one"
    b.folders.take("labels", RECIPE.digest, "shard 0", theirs)
    assert (theirs / "layer" / "0").read_bytes() == b"zero"
    assert (theirs / "image").read_bytes() == b"done"
    with b.build(RECIPE) as folder:
        written = len([one for one in s3.network.seen if one.startswith("PUT") and "/files/" in one])
        b.publish(RECIPE, folder, {})
        again = len([one for one in s3.network.seen if one.startswith("PUT") and "/files/" in one])
    assert again == written, "what was offered is there already"
    assert not [key for key in s3.names() if "/parts/" in key]
    assert a.find(RECIPE)


def test_a_part_that_is_torn_in_the_bucket_is_not_taken(machine: Machine, s3: Bucket) -> None:
    (a, ours), (b, theirs) = staged(machine("a")), staged(machine("b"))
    (ours / "layer").write_bytes(b"zero")
    (ours / "image").write_bytes(b"done")
    a.folders.offer("labels", RECIPE.digest, "shard 0", ours, ["layer", "image"])
    (key,) = [key for key in s3.names() if "/layer@" in key]
    s3.write(key, b"zer")
    b.folders.take("labels", RECIPE.digest, "shard 0", theirs)
    assert not list(theirs.iterdir())
    assert not [key for key in s3.names() if "/parts/" in key], "it is made again"


def test_names_that_lead_out_of_a_staging_folder_are_not_followed(machine: Machine, s3: Bucket) -> None:
    b, theirs = staged(machine("b"))
    mark = '{"bytes":4,"checksum":"00000000000000000000000000000000"}'
    key = f"roots/pets/parts/labels/{RECIPE.digest}/shard-0.json"
    s3.write(key, f'{{"files":{{"../../../out":{mark}}}}}'.encode())
    b.folders.take("labels", RECIPE.digest, "shard 0", theirs)
    assert not [one for one in s3.network.seen if "out" in one]


def test_machines_begin_with_different_parts_and_make_all(machine: Machine) -> None:
    store = Store(machine("a"))
    orders = [store.folders.order(50) for _ in range(20)]
    assert len({order[0] for order in orders}) > 1
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert store.folders.order(0) == []
    assert Store(Path("plain")).folders.order(3) == [0, 1, 2]


def test_documents_come_and_go(machine: Machine, s3: Bucket) -> None:
    a, b = (remote_of(machine(name)) for name in "ab")
    assert a
    assert b
    for name in ("runs/one/report.json", "gates/g.json", "service/up.json", "runs/one/.hidden", "runs/one/x.partial"):
        (a.root / name).parent.mkdir(parents=True, exist_ok=True)
        (a.root / name).write_text(name)
    a.documents.push()
    assert [key for key in s3.names() if "/documents/" in key] == [
        "roots/pets/documents/gates/g.json",
        "roots/pets/documents/runs/one/report.json",
    ]
    b.pull(again=True)
    report = b.root / "runs" / "one" / "report.json"
    assert report.read_text() == "runs/one/report.json"
    report.write_text("newer")
    b.documents.push()
    a.pull(again=True)
    assert (a.root / "runs" / "one" / "report.json").read_text() == "newer"
    (a.root / "gates" / "g.json").unlink()
    a.documents.push()
    a.pull(again=True)
    assert (a.root / "gates" / "g.json").read_text() == "gates/g.json", "somebody made room; it comes again"
    a.documents.drop(a.root / "gates" / "g.json")
    b.pull(again=True)
    assert not (b.root / "gates" / "g.json").exists()
    s3.write("roots/pets/documents/service/up.json", b"x")
    b.pull(again=True)
    assert not (b.root / "service").exists()
    s3.write("roots/pets/documents/runs/../../../out.json", b"x")
    with pytest.raises(BucketError, match="holds objects whose names are no paths"):
        b.pull(again=True)
    assert not list(b.root.parent.rglob("out.json"))
