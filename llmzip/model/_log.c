/* What llama.cpp says goes to the user's terminal unless somebody takes it. The taker is native: a Python function there would be
 * a place where signals raise their exceptions in vain. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdatomic.h>
#include <string.h>

enum { ERROR_LEVEL = 4, MOST = 20, LENGTH = 512 };

static char kept[MOST][LENGTH];
static int count;
static atomic_flag busy = ATOMIC_FLAG_INIT; /* llama.cpp has threads */

static void enter(void) {
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {
    }
}

static void leave(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

/* A ggml_log_callback. */
static void keep(int level, const char *text, void *user) {
    (void)user;
    if (level != ERROR_LEVEL || !text) return;
    enter();
    if (count < MOST) {
        size_t length = strlen(text);
        if (length >= LENGTH) length = LENGTH - 1;
        memcpy(kept[count], text, length);
        kept[count++][length] = 0;
    }
    leave();
}

static PyObject *log_address(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    return PyLong_FromVoidPtr((void *)(uintptr_t)keep);
}

static PyObject *log_take(PyObject *module, PyObject *none) {
    (void)module, (void)none;
    char copy[MOST][LENGTH];
    enter();
    int n = count;
    memcpy(copy, kept, sizeof copy);
    count = 0;
    leave();
    PyObject *list = PyList_New(n);
    for (int i = 0; list && i < n; i++) {
        PyObject *line = PyBytes_FromString(copy[i]);
        if (!line)
            Py_CLEAR(list);
        else
            PyList_SET_ITEM(list, i, line);
    }
    return list;
}

static PyMethodDef methods[] = {
    {"address", log_address, METH_NOARGS, "Address of a ggml_log_callback that keeps the first errors."},
    {"take", log_take, METH_NOARGS, "The errors kept so far, as bytes, the first one first; none are kept afterwards."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_log", "The errors that llama.cpp logs.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__log(void) { return PyModule_Create(&module); }
