#!/usr/bin/env bash
# make.sh FOLDER: llmzip for aarch64 under emulation, as the build FOLDER/aarch64 of tools/portability_matrix.py.
# Needs Debian's packages qemu-user-static, crossbuild-essential-arm64, mmdebstrap, cmake and ninja-build; some minutes.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$1/aarch64"
to=$(cd "$1/aarch64" && pwd)
python=${PYTHON:-$root/.venv/bin/python}
version=$("$python" -c 'from importlib.metadata import version; print(version("llama-cpp-python"))')
work=$to/work
mkdir -p "$work" "$to/site"

# A Python for the processor, not to be booted: its files are enough.
[ -x "$to/root/usr/bin/python3.11" ] || mmdebstrap --architectures=arm64 --variant=extract \
    --include=python3,libstdc++6,libgcc-s1,zlib1g,libexpat1,libssl3,libffi8,libbz2-1.0,liblzma5 bookworm "$to/root"

# llama.cpp with the processor's own arithmetic (NEON).
if [ ! -e "$to/libllama.so" ]; then
    (cd "$work" && "$python" -m pip download -q --no-deps --no-binary llama-cpp-python "llama-cpp-python==$version" && tar xf llama_cpp_python-*.tar.gz)
    cmake -S "$work"/llama_cpp_python-*/vendor/llama.cpp -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc \
        -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++ -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF -DBUILD_SHARED_LIBS=ON \
        -DLLAMA_BUILD_COMMON=OFF -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_TESTS=OFF \
        -DLLAMA_BUILD_SERVER=OFF -DLLAMA_CURL=OFF -DCMAKE_BUILD_WITH_INSTALL_RPATH=ON -DCMAKE_INSTALL_RPATH='$ORIGIN' >/dev/null
    ninja -C "$work/build" llama
    find "$work/build" -name '*.so*' -exec cp -a {} "$to/" \;
fi

# What llmzip imports: wheels for the processor, and what is Python alone from here.
for package in numpy brotli zstandard tokenizers click tqdm platformdirs; do
    "$python" -m pip install -q --no-deps --upgrade --target "$to/site" --platform manylinux2014_aarch64 \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --python-version 3.11 --only-binary=:all: "$package"
done
packages=$("$python" -c 'import llama_cpp, os; print(os.path.dirname(os.path.dirname(llama_cpp.__file__)))')
cp -r "$packages"/{llama_cpp,diskcache,jinja2,markupsafe,typing_extensions.py} "$to/site/"
rm -rf "$to/site/llama_cpp/lib"
cp "$here/constriction.py" "$to/site/"

# llmzip's own extensions.
rm -rf "$to/package" && mkdir "$to/package" && cp -r "$root/llmzip" "$to/package/"
find "$to/package" "$to/site/markupsafe" -name '*x86_64*.so' -delete
headers=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
compile() {
    aarch64-linux-gnu-gcc -O3 -std=c11 -ffp-contract=off -fno-trapping-math -fno-math-errno -fPIC -shared -I"$headers" \
        "${@:2}" -o "$to/package/llmzip/$1.cpython-311-aarch64-linux-gnu.so"
}
cd "$root"
compile model/_log llmzip/model/_log.c
compile model/_masses llmzip/model/_masses.c
compile codec/_cells llmzip/codec/_cells.c
compile coding/_mixer llmzip/coding/*.c

cat >"$to/python" <<END
#!/bin/sh
export PYTHONPATH=$to/package:$to/site LLAMA_CPP_LIB_PATH=$to
libraries=$to/root/usr/lib/aarch64-linux-gnu
exec \${LLMZIP_QEMU:-qemu-aarch64-static} -cpu cortex-a72 -L $to/root -E LD_LIBRARY_PATH=\$libraries $to/root/usr/bin/python3.11 "\$@"
END
chmod +x "$to/python"
"$to/python" -c 'import platform, llmzip; print("ready:", platform.machine())'
