"""A removal from a bucket that keeps versions removes each of them, but what the store itself holds: a real MinIO."""

from __future__ import annotations

from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from storage.access import StoreSettings
from storage.minio_server import Server
from storage.s3 import S3Store


def versions(store: S3Store) -> list[str]:
    found = store._client.list_objects(store._bucket, recursive=True, include_version=True)
    return sorted(one.object_name or "" for one in found)


def test_of_a_bucket_with_versions_all_of_them_go(minio_settings: StoreSettings, minio_server: Server) -> None:
    store = S3Store(minio_settings, minio_server.credentials)
    store._client.set_bucket_versioning(store._bucket, VersioningConfig(ENABLED))
    for _ in range(3):
        for key in ("clips/a/1.mp4", "clips/a/2.mp4", "clips/a/20.mp4", "ingested/a/1.json"):
            store.put(key, b"x")
    store.delete("clips/a/1.mp4")  # leaves a mark, and the bytes
    assert versions(store).count("clips/a/1.mp4") == 4
    assert store.delete_many(["clips/a/1.mp4", "clips/a/2.mp4", "ingested/a/1.json", "ingested/a/9.json"]) == []
    assert versions(store) == ["clips/a/20.mp4"] * 3


def test_what_the_store_holds_stays_and_is_told(minio_settings: StoreSettings, minio_server: Server) -> None:
    settings = minio_settings.of_bucket(f"{minio_settings.bucket}-locked")
    store = S3Store(settings, minio_server.credentials)
    store._client.make_bucket(store._bucket, object_lock=True)
    for key in ("clips/held", "clips/free"):
        store.put(key, b"x")
    store._client.enable_object_legal_hold(store._bucket, "clips/held")
    assert store.delete_many(["clips/held", "clips/free"]) == ["clips/held"]
    assert versions(store) == ["clips/held"]
    store._client.disable_object_legal_hold(store._bucket, "clips/held")
    assert store.delete_many(["clips/held", "clips/free"]) == []
    assert versions(store) == []
