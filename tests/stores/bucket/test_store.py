"""Artefacts whose root is a bucket: put once, found and read by every machine, mended from the bucket."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from stores.artefacts import Anew, Recipe, Store
from stores.collect import collect
from stores.verify import repair, verify
from tests.s3 import SECRET, Bucket
from tests.stores.bucket.conftest import Machine
from wilss.bucket.remote import remote_of
from wilss.damage import read_stored_json, require_stored
from wilss.errors import BucketError, DamagedArtefactError
from wilss.layout import root_folder

RECIPE = Recipe("banks", {"a": 1})


def build(root: Path, recipe: Recipe = RECIPE, content: str = '{"n": 1}', anew: Anew | None = None) -> Store:
    store = Store(root)
    with store.build(recipe, anew=anew) as folder:
        (folder / "deep").mkdir(exist_ok=True)
        (folder / "deep" / "content.json").write_text(content)
        (folder / "index.json").write_text("[]")
        store.publish(recipe, folder, {"n": 1})
    return store


def test_what_one_machine_made_another_one_finds_and_reads(machine: Machine, s3: Bucket) -> None:
    ours = build(machine("a"))
    assert s3.commits() == [f"banks/{RECIPE.digest}"]
    theirs = Store(machine("b"))
    assert theirs.root != ours.root
    found = theirs.find(RECIPE)
    assert found == ours.find(RECIPE)
    folder = theirs.folder(found.ref)
    assert not (folder / "index.json").exists(), "files come when they are opened"
    assert read_stored_json(folder / "index.json") == []
    assert not (folder / "deep").exists()
    assert theirs.get("banks", RECIPE.digest[:6]) == found
    assert [m.digest for m in theirs.all("banks")] == [RECIPE.digest]


def test_what_comes_later_is_found_without_opening_anew(machine: Machine) -> None:
    theirs = Store(machine("b"))
    assert theirs.find(RECIPE) is None
    build(machine("a"))
    assert theirs.find(RECIPE) is not None


def test_who_comes_second_keeps_the_first(machine: Machine, s3: Bucket) -> None:
    """Also where the lease was lost, and both built."""
    a, b = Store(machine("a")), Store(machine("b"))
    recipe = Recipe("banks", {"a": 2})
    for store, content in ((a, "1"), (b, "22")):
        folder = store.staging("banks", recipe.digest)
        folder.mkdir(parents=True)
        (folder / "content.json").write_text(content)
    first = a.publish(recipe, a.staging("banks", recipe.digest), {"n": 1})
    second = b.publish(recipe, b.staging("banks", recipe.digest), {"n": 2})
    assert second == first
    assert not b.staging("banks", recipe.digest).exists()
    assert read_stored_json(b.path("banks", recipe.digest) / "content.json") == 1
    assert b.find(recipe) == a.find(recipe) == first


def test_made_anew_replaces_and_old_copies_go(machine: Machine) -> None:
    a, b = build(machine("a")), Store(machine("b"))
    before = b.find(RECIPE)
    assert before
    require_stored(b.folder(before.ref) / "index.json")
    build(a.root, content='{"n": 2}', anew=Anew("token", before.created))
    remote = remote_of(b.root)
    assert remote
    remote.pull(again=True)
    after = b.find(RECIPE)
    assert after
    assert after.created != before.created
    remote.fetch_all(b.folder(after.ref), after.files)
    assert json.loads((b.folder(after.ref) / "deep" / "content.json").read_text()) == {"n": 2}


def test_a_torn_copy_is_brought_anew(machine: Machine) -> None:
    build(machine("a"))
    store = Store(machine("b"))
    found = store.find(RECIPE)
    assert found
    path = store.folder(found.ref) / "index.json"
    read_stored_json(path)
    path.write_text("{}")
    with pytest.raises(DamagedArtefactError) as caught:
        read_stored_json(path)
    assert store.set_aside(RECIPE, caught.value.file) is False
    assert read_stored_json(path) == []
    assert store.find(RECIPE) == found


def test_a_file_that_is_damaged_in_the_bucket_is_never_served_and_the_artefact_is_made_again(
    machine: Machine, s3: Bucket
) -> None:
    build(machine("a"))
    (key,) = [key for key in s3.names() if "index.json@" in key]
    s3.write(key, b"{}")
    store = Store(machine("b"))
    found = store.find(RECIPE)
    assert found
    folder = store.folder(found.ref)
    with pytest.raises(DamagedArtefactError, match="has it no more, or not as it was written"):
        read_stored_json(folder / "index.json")
    assert not (folder / "index.json").exists()
    assert store.set_aside(RECIPE, "index.json") is True
    assert store.find(RECIPE) is None
    assert s3.commits() == []
    build(store.root)
    assert read_stored_json(store.path("banks", RECIPE.digest) / "index.json") == []
    third = Store(machine("c"))
    assert third.find(RECIPE)
    assert read_stored_json(third.path("banks", RECIPE.digest) / "index.json") == []


def test_verify_sees_what_the_bucket_lost_and_repair_what_was_torn_here(machine: Machine, s3: Bucket) -> None:
    store = build(machine("a"))
    assert not verify(store.root).faults
    (store.path("banks", RECIPE.digest) / "index.json").write_text("{}")
    assert "index.json" in str(verify(store.root).faults[0])
    assert any("brought anew from its bucket" in line for line in repair(store.root))
    assert not verify(store.root).faults
    (key,) = [key for key in s3.names() if "index.json@" in key]
    s3.remove(key)
    assert any("is gone" in line for line in verify(store.root).missing)


def test_two_machines_make_one_artefact_once(machine: Machine, s3: Bucket) -> None:
    made, roots = list[str](), [machine("a"), machine("b"), machine("c")]

    def make(root: Path) -> None:
        store = Store(root)
        with store.build(RECIPE) as folder:
            if store.find(RECIPE) is None:
                made.append(root.name)
                time.sleep(0.5)
                (folder / "content.json").write_text("1")
                store.publish(RECIPE, folder, {})

    threads = [threading.Thread(target=make, args=(root,)) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert all(Store(root).find(RECIPE) for root in roots)
    assert not any("/leases/" in key for key in s3.names())


def test_garbage_goes_from_the_bucket_and_what_others_use_stays(machine: Machine, s3: Bucket) -> None:
    store = build(machine("a"))
    s3.write(f"roots/pets/files/banks/{'f' * 64}/index.json@{'0' * 32}", b"of a killed builder")
    what = {item.what for item in collect(store.root)}
    assert what == {"artefact", "in the bucket"}
    assert not [key for key in s3.names() if "/files/" in key or "/commits/" in key]
    other = Store(machine("b"))
    assert other.find(RECIPE) is None
    assert store.find(RECIPE) is None


def test_what_somebody_makes_without_using_the_store_is_no_garbage(machine: Machine, s3: Bucket) -> None:
    """Its files are in the bucket, and its commit is not yet."""
    a, b = Store(machine("a")), machine("b")
    with a.build(RECIPE) as folder:
        (folder / "index.json").write_text("[]")
        a.folders.offer("banks", RECIPE.digest, "all", folder, ["index.json"])
        assert not list(collect(b))
        a.publish(RECIPE, folder, {})
    assert read_stored_json(Store(machine("c")).folder(a.find(RECIPE).ref) / "index.json") == []


def test_no_credential_is_written_anywhere(machine: Machine, s3: Bucket, tmp_path: Path) -> None:
    build(machine("a"))
    list(collect(machine("a")))
    build(machine("a"))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    assert not [key for key in s3.names() if SECRET.encode() in s3.read(key)]


@pytest.mark.parametrize("seed", range(3))
def test_five_in_a_hundred_requests_that_fail_change_nothing(machine: Machine, s3: Bucket, seed: int) -> None:
    s3.network.faults = 0.05
    s3.network.chance.seed(seed)
    a, b = machine("a"), machine("b")
    for n in range(6):
        build(a if n % 2 else b, Recipe("banks", {"n": n}), json.dumps([n] * 100))
    c = Store(machine("c"))
    for n in range(6):
        found = c.find(Recipe("banks", {"n": n}))
        assert found
        remote = remote_of(c.root)
        assert remote
        remote.fetch_all(c.folder(found.ref), found.files)
        assert json.loads((c.folder(found.ref) / "deep" / "content.json").read_text()) == [n] * 100
    assert s3.network.hurt > 3


def test_bad_buckets_are_told_in_one_sentence(machine: Machine, s3: Bucket) -> None:
    with pytest.raises(
        BucketError, match=r"^there is no bucket 'no-such-bucket'; make it, or name another with --root"
    ):
        root_folder("s3://no-such-bucket/x")
    root = machine("a")
    s3.network.refused = ("PUT",)
    with pytest.raises(BucketError, match=r"lets nobody with these credentials write 's3://pets") as caught:
        build(root)
    assert "AKIA" not in str(caught.value)
    s3.network.refused = ("GET",)
    with pytest.raises(BucketError, match=r"lets nobody with these credentials (list|read)"):
        machine("b")


def test_a_bucket_without_conditional_writes_is_refused_before_anything_is_made(machine: Machine, s3: Bucket) -> None:
    root = machine("a")
    s3.network.plain = True
    with pytest.raises(BucketError, match="has no conditional writes"):
        build(root)
    assert s3.commits() == []
