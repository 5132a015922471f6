"""The plug-ins with the libraries that they are for: real files, arrays, data frames, and a local S3 server."""

import io
import json
import pickle
import subprocess
import sys

import dask.dataframe as dd
import fsspec
import numcodecs
import numpy as np
import pandas as pd
import pytest
import smart_open
import zarr
from moto.server import ThreadedMotoServer

import llmzip
import llmzip.plugins.fsspec
import llmzip.plugins.smart_open
from llmzip.plugins.zarr import LlmzipCodec

LETTERS = "".join(f"{n},the {n * 37 % 101}th harbour,{n * n}\n" for n in range(60))
TABLE = "number,name,square\n" + LETTERS
WORDS = np.array([f"the ship number {n * 7 % 31} of the sea" for n in range(60)])


@pytest.fixture(autouse=True, scope="module")
def quick():
    """Blocks go to the classic codecs: nothing here depends on what codes a block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("llmzip.codec.policy.unpromising", lambda data, classic_length, pipeline: True)
        yield


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "x.csv.llmz"
    path.write_bytes(llmzip.compress(TABLE.encode(), level=1))
    return path


@pytest.fixture(scope="module")
def s3():
    """An S3 server on loopback; options for s3fs."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"key": "key", "secret": "secret", "endpoint_url": f"http://{host}:{port}"}
    fsspec.filesystem("s3", **options).mkdir("bucket")
    yield options
    server.stop()


def in_new_process(code, *arguments):
    """What a program prints that imports no part of llmzip itself."""
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- fsspec -----------------------------------------------------------------------------------------------------------


def test_fsspec_infers_and_names_the_compression(tmp_path):
    path = str(tmp_path / "a.txt.llmz")
    with fsspec.open(path, "wt", compression="infer", encoding="utf-8", newline="") as file:
        file.write(TABLE)
    assert llmzip.decompress((tmp_path / "a.txt.llmz").read_bytes()) == TABLE.encode()
    for compression in ("infer", "llmz"):
        with fsspec.open(path, "rt", compression=compression, encoding="utf-8") as file:
            assert file.read() == TABLE
    with fsspec.open(path, "rb", compression="llmz") as file:
        file.seek(100)
        assert file.readline() == TABLE.encode()[100:].splitlines(keepends=True)[0]


def test_pandas_reads_and_writes_tables(table, tmp_path):
    expected = pd.read_csv(io.StringIO(TABLE))
    with fsspec.open(str(table), compression="infer") as file:
        pd.testing.assert_frame_equal(pd.read_csv(file), expected)
    with llmzip.open(table) as file:
        pd.testing.assert_frame_equal(pd.read_csv(file), expected)
    for engine in ("c", "python"):
        pd.testing.assert_frame_equal(pd.read_csv(f"llmz://{table}", engine=engine), expected)
    chunks = pd.read_csv(f"llmz://{table}", chunksize=25)
    pd.testing.assert_frame_equal(pd.concat(chunks), expected)
    expected.to_csv(f"llmz://{tmp_path}/y.csv.llmz", index=False, storage_options={"llmzip": {"level": 1}})
    assert llmzip.decompress((tmp_path / "y.csv.llmz").read_bytes()).decode() == TABLE


@pytest.mark.parametrize("compression", ["infer", "llmz"])
@pytest.mark.parametrize("scheme", ["local", "memory"])
def test_pandas_passes_the_compression_on(scheme, compression, tmp_path):
    """pandas' own `compression=` takes built-in names only; what stands in storage_options reaches fsspec."""
    expected, options = pd.read_csv(io.StringIO(TABLE)), {"compression": compression}
    for name, write, read in (
        ("t.csv.llmz", pd.DataFrame.to_csv, pd.read_csv),
        ("t.json.llmz", pd.DataFrame.to_json, pd.read_json),
        ("t.pickle.llmz", pd.DataFrame.to_pickle, pd.read_pickle),
    ):
        url = f"{scheme}://{tmp_path}/{name}"
        write(expected, url, storage_options=options, **({"index": False} if read is pd.read_csv else {}))
        with fsspec.open(url, "rb") as file:
            assert file.read(3) == b"\xecLZ"
        pd.testing.assert_frame_equal(read(url, storage_options=options), expected)


def test_the_file_system_needs_no_import(table):
    code = "import pandas, sys; print(pandas.read_csv('llmz://' + sys.argv[1]).square.sum())"
    assert int(in_new_process(code, table)) == sum(n * n for n in range(60))


def test_the_compression_is_not_inferred_again_for_originals(tmp_path):
    path = f"llmz://{tmp_path}/a.txt.llmz"
    with fsspec.open(path, "wt", compression="infer") as file:
        file.write(TABLE)
    assert llmzip.decompress((tmp_path / "a.txt.llmz").read_bytes()) == TABLE.encode()
    with fsspec.open(path, "rt", compression="infer") as file:
        assert file.read() == TABLE


def test_dask_reads_a_file_in_pieces(table):
    pieces = dd.read_csv(f"llmz://{table}", blocksize=len(TABLE) // 3, compression=None)
    assert pieces.npartitions >= 3
    pd.testing.assert_frame_equal(
        pieces.compute(scheduler="threads").reset_index(drop=True).astype({"name": str}),
        pd.read_csv(io.StringIO(TABLE)).astype({"name": str}),
    )


def test_the_file_system_shows_originals(table, tmp_path):
    (tmp_path / "plain.txt").write_text("plain")
    files = fsspec.filesystem("llmz")
    assert files.info(str(table))["size"] == files.size(str(table)) == len(TABLE)
    assert files.cat_file(str(table), 10, 50) == TABLE.encode()[10:50]
    assert files.cat_file(str(tmp_path / "plain.txt")) == b"plain"
    assert sorted(files.ls(str(tmp_path), detail=False)) == sorted(map(str, tmp_path.iterdir()))
    sizes = {each["name"]: each["size"] for each in files.ls(str(tmp_path))}
    assert sizes == {str(table): None, str(tmp_path / "plain.txt"): 5}
    assert files.glob(f"{tmp_path}/*.llmz") == [str(table)]
    files.makedirs(f"{tmp_path}/deep/er")
    with files.open(f"{tmp_path}/deep/er/a.llmz", "w") as file:
        file.write("text")
    assert files.cat(f"{tmp_path}/deep/er/a.llmz") == b"text" and files.exists(f"{tmp_path}/deep")
    files.copy(f"{tmp_path}/deep/er/a.llmz", f"{tmp_path}/deep/b.llmz")
    files.copy(f"llmz://{tmp_path}/deep/b.llmz", f"llmz://{tmp_path}/deep/plain")
    files.mv(f"{tmp_path}/deep/plain", f"{tmp_path}/deep/c.llmz")
    assert files.cat(f"{tmp_path}/deep/b.llmz") == files.cat(f"{tmp_path}/deep/c.llmz") == b"text"
    assert not files.exists(f"{tmp_path}/deep/plain")
    with llmzip.open(tmp_path / "deep/short.llmz", "wb", level=1, short=True) as file:
        file.write(b"a message")
    with pytest.raises(llmzip.UsageError, match="nothing can be appended"):
        files.open(f"{tmp_path}/deep/short.llmz", "ab")
    assert files.cat(f"{tmp_path}/deep/short.llmz") == b"a message"
    (tmp_path / "deep/damaged.llmz").write_bytes(b"no archive")
    assert files.exists(f"{tmp_path}/deep/damaged.llmz") and files.size(f"{tmp_path}/deep/damaged.llmz") is None
    files.rm(f"{tmp_path}/deep", recursive=True)
    assert not files.exists(f"{tmp_path}/deep")
    with pytest.raises(FileNotFoundError):
        files.open(f"{tmp_path}/none.llmz")


def test_s3(s3):
    with fsspec.open("s3://bucket/x.txt.llmz", "wb", compression="infer", **s3) as file:
        file.write(TABLE.encode())
    store = fsspec.filesystem("s3", **s3)
    assert llmzip.decompress(store.cat_file("bucket/x.txt.llmz")) == TABLE.encode()
    with fsspec.open("s3://bucket/x.txt.llmz", "rt", compression="infer", **s3) as file:
        assert file.read() == TABLE
    for compression in ("infer", "llmz"):
        read = pd.read_csv("s3://bucket/x.txt.llmz", storage_options={**s3, "compression": compression})
        pd.testing.assert_frame_equal(read, pd.read_csv(io.StringIO(TABLE)))
    read.to_csv("s3://bucket/x2.txt.llmz", index=False, storage_options={**s3, "compression": "llmz"})
    assert llmzip.decompress(store.cat_file("bucket/x2.txt.llmz")).decode() == TABLE
    assert read.square.tolist() == [n * n for n in range(60)]
    with store.open("bucket/x.txt.llmz") as below, llmzip.open(below) as file:
        assert file.seek(-20, io.SEEK_END) == len(TABLE) - 20 and file.read() == TABLE.encode()[-20:]
    options = {"s3": s3, "llmzip": {"level": 1}}
    pd.read_csv(io.StringIO(TABLE)).to_csv("llmz::s3://bucket/y.csv.llmz", index=False, storage_options=options)
    pd.testing.assert_frame_equal(
        pd.read_csv("llmz::s3://bucket/y.csv.llmz", storage_options=options), pd.read_csv(io.StringIO(TABLE))
    )


def test_s3_through_smart_open(s3):
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3["endpoint_url"],
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        region_name="us-east-1",
    )
    options = {"transport_params": {"client": client}}
    with smart_open.open("s3://bucket/z.txt.llmz", "w", encoding="utf-8", **options) as file:
        file.write(TABLE)
    with smart_open.open("s3://bucket/z.txt.llmz", encoding="utf-8", **options) as file:
        assert file.readline() + file.read() == TABLE


# -- smart_open -------------------------------------------------------------------------------------------------------


def test_smart_open(tmp_path):
    path = str(tmp_path / "a.txt.llmz")
    with smart_open.open(path, "w", encoding="utf-8", compression_kwargs={"level": 1}) as file:
        file.write(TABLE)
    assert llmzip.decompress((tmp_path / "a.txt.llmz").read_bytes()).decode() == TABLE
    with smart_open.open(path, encoding="utf-8") as file:
        assert list(file) == TABLE.splitlines(keepends=True)
    with smart_open.open(path, "rb") as file:
        assert file.read(30) + file.read() == TABLE.encode()
    with smart_open.open(path, "ab") as file:
        file.write(b"more")
    with smart_open.open(path, "rb") as file:
        assert file.read() == TABLE.encode() + b"more"


# -- numcodecs and zarr -----------------------------------------------------------------------------------------------


def test_numcodecs_finds_the_codec_by_its_configuration():
    code = "import numcodecs, json; print(json.dumps(numcodecs.get_codec({'id': 'llmzip', 'level': 1}).get_config()))"
    assert json.loads(in_new_process(code)) == {"id": "llmzip", "level": 1}


@pytest.mark.parametrize("options", [{}, {"level": 2, "block_size": 4096}, {"level": 9, "streams": 2, "mix": False}])
def test_configurations_survive_json(options):
    codec = numcodecs.get_codec({"id": "llmzip", **options})
    config = json.loads(json.dumps(codec.get_config()))
    assert config == {"id": "llmzip", "level": 6, **options}
    again = numcodecs.get_codec(config)
    assert (
        again == codec == pickle.loads(pickle.dumps(codec))
        and repr(again) == repr(codec)
        and f"level={config['level']}" in repr(codec)
    )
    assert LlmzipCodec.from_dict(json.loads(json.dumps(LlmzipCodec(**options).to_dict()))) == LlmzipCodec(**options)


def test_numcodecs_takes_any_buffer():
    codec = numcodecs.get_codec({"id": "llmzip", "level": 1})
    for data in (TABLE.encode(), bytearray(b"some bytes"), np.arange(50, dtype="f8"), WORDS, b""):
        plain = data.tobytes() if isinstance(data, np.ndarray) else bytes(data)
        assert codec.decode(codec.encode(data)) == plain
    numbers, out = np.arange(50), np.zeros(50, int)
    codec.decode(codec.encode(numbers), out)
    assert (out == numbers).all()
    with pytest.raises((TypeError, ValueError)):
        codec.encode(np.array([None, "x"], object))
    with pytest.raises(llmzip.CorruptError):
        codec.decode(b"something else")


def test_impossible_settings_are_refused():
    for make in (LlmzipCodec, lambda **options: numcodecs.get_codec({"id": "llmzip", **options})):
        with pytest.raises(ValueError, match="level"):
            make(level=10)
        with pytest.raises(TypeError, match="threads"):
            make(threads=3)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_arrays_of_strings(version, tmp_path):
    codec = {2: numcodecs.get_codec({"id": "llmzip", "level": 1}), 3: LlmzipCodec(level=1)}[version]
    array = zarr.create_array(
        store=str(tmp_path / "a.zarr"), shape=60, chunks=20, dtype=str, compressors=codec, zarr_format=version
    )
    array[:] = WORDS
    assert zarr.open_array(str(tmp_path / "a.zarr"), mode="r")[:].tolist() == WORDS.tolist()
    chunks = [path for path in (tmp_path / "a.zarr").rglob("*") if path.is_file() and "zarr" not in path.name[:6]]
    assert sum(path.read_bytes().startswith(b"\xecLZ\r\n") for path in chunks) == 3
    code = "import zarr, sys; print(zarr.open_array(sys.argv[1], mode='r')[17])"
    assert in_new_process(code, tmp_path / "a.zarr").strip() == WORDS[17], "without an import of llmzip"
