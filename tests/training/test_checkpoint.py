import errno
import json
import os

import numpy as np
import pytest

from minis2s.errors import CheckpointError
from minis2s.training import checkpoint as module
from minis2s.training import load_checkpoint, save_checkpoint


@pytest.fixture
def tensors():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(6, 8)).astype(np.float32)
    return {
        "plain": base,
        "transposed": base.T,
        "strided": base[::2, ::3],
        "reversed": base[::-1],
        "broadcast": np.broadcast_to(base[0], (3, 8)),
        "double": rng.normal(size=5),
        "scalar": np.array(7),
        "empty": np.zeros((0, 3), np.float32),
    }


@pytest.fixture
def saved(tmp_path, tensors):
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, tensors, {"step": 3, "state": 2**100, "text": 'é 中 "sha256":"'})
    return path


def test_round_trip_of_every_layout(saved, tensors):
    loaded, metadata = load_checkpoint(saved)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype, name
        assert loaded[name].shape == tensor.shape, name
        np.testing.assert_array_equal(loaded[name], tensor, err_msg=name)
        loaded[name][...] = 1  # writable
    assert metadata == {"format": module.FORMAT, "step": 3, "state": 2**100, "text": 'é 中 "sha256":"'}


def test_any_safetensors_reader_reads_it(saved, tensors):
    from safetensors.numpy import load_file

    np.testing.assert_array_equal(load_file(saved)["transposed"], tensors["transposed"])


def test_saving_twice_gives_the_same_bytes(tmp_path, tensors):
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name, tensors, {"k": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_flipped_bit_in_any_byte_of_the_header_and_in_many_others_is_noticed(saved):
    data = saved.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    rng = np.random.default_rng(1)
    in_header = 8 * np.arange(header) + rng.integers(0, 8, header)
    bits = np.concatenate([in_header, rng.integers(8 * header, 8 * len(data), 200)])
    for bit in bits.tolist():
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << bit % 8
        saved.write_bytes(altered)
        with pytest.raises(CheckpointError, match="damaged"):
            load_checkpoint(saved)
    saved.write_bytes(data)
    load_checkpoint(saved)


def test_every_truncation_and_an_appended_byte_are_noticed(saved):
    data = saved.read_bytes()
    for wrong in [data[:n] for n in range(0, len(data), 7)] + [data[:-1], data + b"\0"]:
        saved.write_bytes(wrong)
        with pytest.raises(CheckpointError, match=r"x\.safetensors is damaged.*train into a new --output") as info:
            load_checkpoint(saved)
        assert "\n" not in str(info.value)


def test_a_foreign_safetensors_file_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(tmp_path / "foreign")


def test_missing(tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing\.safetensors does not exist: train"):
        load_checkpoint(tmp_path / "nothing.safetensors")


def test_a_directory_in_its_place(tmp_path):
    with pytest.raises(CheckpointError, match="cannot read"):
        load_checkpoint(tmp_path)


def test_another_version_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FORMAT", 99)
    save_checkpoint(tmp_path / "x", {"a": np.zeros(2)}, {})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match=r"format version 99, this minis2s reads version 1: install"):
        load_checkpoint(tmp_path / "x")


def _full(*args):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_litter(saved, tensors, monkeypatch, call):
    before = saved.read_bytes()
    monkeypatch.setattr(os, call, _full)
    with pytest.raises(CheckpointError, match=r"x\.safetensors: No space left on device.*intact.*--resume") as info:
        save_checkpoint(saved, {"a": np.zeros(3)}, {})
    assert "\n" not in str(info.value)
    monkeypatch.undo()
    assert saved.read_bytes() == before
    assert os.listdir(saved.parent) == [saved.name]
    load_checkpoint(saved)


def test_an_unwritable_place(tmp_path):
    with pytest.raises(CheckpointError, match="cannot write"):
        save_checkpoint(tmp_path / "no" / "such" / "x", {"a": np.zeros(3)}, {})


def test_the_data_is_on_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    calls = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("fsync"))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    save_checkpoint(tmp_path / "x", {"a": np.zeros(3)}, {})
    assert calls[:2] == ["fsync", "replace"]


def test_the_digest_covers_the_whole_file(saved):
    import hashlib

    data = saved.read_bytes()
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["minis2s"]
    digest = json.loads(metadata)["sha256"]
    assert hashlib.sha256(data.replace(digest.encode(), b"0" * 64)).hexdigest() == digest
