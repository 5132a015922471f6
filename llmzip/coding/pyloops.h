/* The loops of network.c for tests: which ones are in use, and one turn of a network by them. */
#ifndef LLMZIP_PYLOOPS_H
#define LLMZIP_PYLOOPS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* use_loops(plain) and network_turn(...) of the module. */
PyObject *module_use_loops(PyObject *self, PyObject *plain);
PyObject *module_network_turn(PyObject *self, PyObject *args);

#endif
