"""Other libraries' places for compressors: fsspec, numcodecs, zarr, smart_open. Each module needs the library that it is named for."""
