#include "pysizes.h"

#include "final.h"
#include "turn.h"

PyObject *module_sizes(PyObject *self, PyObject *args) {
    (void)self;
    unsigned long tokens;
    Py_ssize_t memory;
    int traits;
    if (!PyArg_ParseTuple(args, "knp", &tokens, &memory, &traits)) return NULL;
    if (tokens > UINT32_C(1) << 28 || memory < (Py_ssize_t)1 << 20) {
        PyErr_SetString(PyExc_ValueError, "tokens must be at most 2**28 and memory at least 1 MiB");
        return NULL;
    }
    TableBits bits = tables_bits((uint32_t)tokens, (size_t)memory, traits);
    return Py_BuildValue("IIII", bits.nodes, bits.lists, bits.matches, final_bits(tokens < 64 ? 64 : tokens));
}
