/* How large a mixer's tables are: what it predicts depends on that, and on the block's length by nothing else. */
#ifndef LLMZIP_PYSIZES_H
#define LLMZIP_PYSIZES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* sizes(tokens, memory, traits) of the module. */
PyObject *module_sizes(PyObject *self, PyObject *args);

#endif
