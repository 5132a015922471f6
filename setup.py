"""Native modules: the two hot loops, one on each side of the quantiser, the quantiser between them, and what must not run in Python."""

from glob import glob

from setuptools import Extension, setup

FLAGS = ["-O3", "-std=c11", "-Wall", "-Wextra", "-ffp-contract=off", "-fno-trapping-math", "-fno-math-errno"]

setup(
    ext_modules=[
        Extension("llmzip.model._log", ["llmzip/model/_log.c"], extra_compile_args=FLAGS),
        Extension(
            "llmzip.model._masses",
            ["llmzip/model/_masses.c"],
            depends=["llmzip/model/odds.h"],
            extra_compile_args=FLAGS,
        ),
        Extension(
            "llmzip.codec._cells",
            ["llmzip/codec/_cells.c"],
            depends=["llmzip/coding/cellsource.h", "llmzip/model/odds.h"],
            extra_compile_args=FLAGS,
        ),
        Extension(
            "llmzip.coding._mixer",
            sorted(glob("llmzip/coding/*.c")),
            depends=sorted(glob("llmzip/coding/*.h")),
            extra_compile_args=FLAGS,
        ),
    ]
)
