/* Python face of the mixer: argument checks, buffers, order of calls. The work is in turns.c and predictor.c. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <limits.h>

#include "logistic.h"
#include "maps.h"
#include "predictor.h"
#include "turns.h"

#define TOKENS_MAX (UINT32_C(1) << 28)

typedef struct {
    PyObject_HEAD Turns turns;
    int awaits_bits; /* predict was called, update was not */
    int busy;        /* a call runs without the interpreter lock */
} MixerObject;

/* ---- life of the object ---- */

static int lay_out(MixerObject *m, unsigned long streams, unsigned long tokens) {
    if (streams < 1 || streams > 65536 || tokens > TOKENS_MAX) {
        PyErr_SetString(PyExc_ValueError, "streams must be 1 to 65536 and tokens at most 2**28");
        return -1;
    }
    m->awaits_bits = 0;
    if (turns_lay_out(&m->turns, (uint32_t)streams, (uint32_t)tokens)) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int mixer_init(MixerObject *m, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"leaves", "cells", "streams", "tokens", "mix", "flags", "memory", "parts", NULL};
    unsigned long leaves, streams, tokens;
    int mix = 1, flags = 0;
    Py_buffer cells;
    Py_ssize_t memory = (Py_ssize_t)256 << 20;
    unsigned int parts = UINT_MAX;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ky*kk|$ppnI", names, &leaves, &cells, &streams, &tokens, &mix,
                                     &flags, &memory, &parts))
        return -1;
    int result = -1;
    if (m->turns.streams) {
        PyErr_SetString(PyExc_RuntimeError, "a mixer is made once");
    } else if (leaves < 2 || leaves > UINT32_C(1) << 18) {
        PyErr_SetString(PyExc_ValueError, "leaves must be 2 to 2**18");
    } else if (cells.itemsize != 2 || cells.len < 2 || cells.len > 512) {
        PyErr_SetString(PyExc_ValueError, "cells must be 1 to 256 items of int16");
    } else if (memory < (Py_ssize_t)1 << 20) {
        PyErr_SetString(PyExc_ValueError, "memory must be at least 1 MiB");
    } else if (tokens > TOKENS_MAX) {
        PyErr_SetString(PyExc_ValueError, "streams must be 1 to 65536 and tokens at most 2**28");
    } else {
        int16_t centres[256];
        memcpy(centres, cells.buf, (size_t)cells.len);
        if (turns_create(&m->turns, (uint32_t)leaves, centres, (uint32_t)(cells.len / 2), (uint32_t)tokens, mix, flags,
                         (size_t)memory, parts))
            PyErr_NoMemory();
        else
            result = lay_out(m, streams, tokens);
    }
    PyBuffer_Release(&cells);
    return result;
}

static void mixer_dealloc(MixerObject *m) {
    turns_free(&m->turns);
    PyTypeObject *type = Py_TYPE(m);
    type->tp_free((PyObject *)m);
    Py_DECREF(type);
}

/* ---- methods ---- */

static int enter(MixerObject *m, int wanted, const char *what) {
    if (m->busy || !m->turns.streams) {
        PyErr_SetString(PyExc_RuntimeError, "the mixer is in use by another thread, or was not made properly");
        return -1;
    }
    if (!wanted) {
        PyErr_SetString(PyExc_RuntimeError, what);
        return -1;
    }
    return 0;
}

static int wrong_size(const char *name) {
    PyErr_Format(PyExc_ValueError, "%s: wrong number or size of items", name);
    return -1;
}

static PyObject *mixer_next_block(MixerObject *m, PyObject *args) {
    unsigned long streams, tokens;
    if (!PyArg_ParseTuple(args, "kk", &streams, &tokens)) return NULL;
    if (enter(m, turns_active(&m->turns) == 0, "the block before is not finished")) return NULL;
    if (lay_out(m, streams, tokens)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *mixer_encode_steps(MixerObject *m, PyObject *args) {
    Turns *t = &m->turns;
    Py_buffer ranks, states, cells;
    unsigned long active;
    if (!PyArg_ParseTuple(args, "y*y*y*k", &ranks, &states, &cells, &active)) return NULL;
    PyObject *result = NULL, *out_bits = NULL, *out_probabilities = NULL;
    if (enter(m, t->level == t->depth, "a step is not finished")) goto done;
    if (active < 1 || active != turns_active(t)) {
        PyErr_SetString(PyExc_ValueError, "active: not the number of streams with a token left");
        goto done;
    }
    size_t tokens = (size_t)ranks.len / 4, steps = tokens / active;
    size_t left = t->step < t->tokens / t->streams ? t->tokens / t->streams - t->step : 1;
    if (ranks.itemsize != 4 || ranks.len % 4 || tokens % active || steps > left) {
        wrong_size("ranks");
        goto done;
    }
    if ((size_t)states.len != tokens) {
        wrong_size("states");
        goto done;
    }
    if ((size_t)cells.len != tokens * t->depth) {
        wrong_size("cells");
        goto done;
    }
    const uint32_t *rank = ranks.buf;
    const uint8_t *state = states.buf, *cell = cells.buf;
    for (size_t i = 0; i < tokens; i++)
        if (rank[i] >= t->leaves || state[i] > 2) {
            PyErr_SetString(PyExc_ValueError, "ranks must be below leaves, states 0 to 2");
            goto done;
        }
    size_t most = tokens * (t->depth + 2);
    out_bits = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)most);
    out_probabilities = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(2 * most));
    if (!out_bits || !out_probabilities) goto done;
    uint8_t *bits = (uint8_t *)PyBytes_AS_STRING(out_bits);
    uint16_t *probabilities = (uint16_t *)PyBytes_AS_STRING(out_probabilities);
    size_t n = 0;
    m->busy = 1;
    Py_BEGIN_ALLOW_THREADS for (size_t step = 0; step < steps;
                                step++, rank += active, state += active, cell += active * t->depth) n =
        turns_encode(t, rank, state, cell, bits, probabilities, n);
    Py_END_ALLOW_THREADS m->busy = 0;
    if (_PyBytes_Resize(&out_bits, (Py_ssize_t)n)) goto done;
    if (_PyBytes_Resize(&out_probabilities, (Py_ssize_t)(2 * n))) goto done;
    result = PyTuple_Pack(2, out_bits, out_probabilities);
done:
    Py_XDECREF(out_bits);
    Py_XDECREF(out_probabilities);
    PyBuffer_Release(&ranks);
    PyBuffer_Release(&states);
    PyBuffer_Release(&cells);
    return result;
}

static PyObject *mixer_flag_probability(MixerObject *m, PyObject *args) {
    int flag;
    if (!PyArg_ParseTuple(args, "i", &flag)) return NULL;
    if (flag < 0 || flag > 1) {
        PyErr_SetString(PyExc_ValueError, "flag must be 0 (unsafe) or 1 (escaped)");
        return NULL;
    }
    return PyLong_FromLong(turns_flag(&m->turns, flag));
}

static PyObject *mixer_learn_flags(MixerObject *m, PyObject *args) {
    int flag;
    Py_buffer bits;
    if (!PyArg_ParseTuple(args, "iy*", &flag, &bits)) return NULL;
    if (flag < 0 || flag > 1) {
        PyErr_SetString(PyExc_ValueError, "flag must be 0 (unsafe) or 1 (escaped)");
        PyBuffer_Release(&bits);
        return NULL;
    }
    const uint8_t *bit = bits.buf;
    for (Py_ssize_t i = 0; i < bits.len; i++) turns_learn_flag(&m->turns, flag, bit[i] & 1);
    PyBuffer_Release(&bits);
    Py_RETURN_NONE;
}

static PyObject *mixer_predict(MixerObject *m, PyObject *args) {
    Py_buffer cells, out;
    if (!PyArg_ParseTuple(args, "y*w*", &cells, &out)) return NULL;
    PyObject *result = NULL;
    uint32_t active = turns_active(&m->turns);
    if (enter(m, !m->awaits_bits && active > 0, "predict: the turns before were not given, or the block is done"))
        goto done;
    if ((size_t)cells.len < active) {
        wrong_size("cells");
        goto done;
    }
    if ((size_t)out.len < 2 * (size_t)active || (uintptr_t)out.buf % 2) {
        wrong_size("probabilities");
        goto done;
    }
    if (m->turns.level == m->turns.depth) turns_begin(&m->turns);
    turns_predict(&m->turns, cells.buf, 1, out.buf);
    m->awaits_bits = 1;
    result = PyLong_FromUnsignedLong(m->turns.n_coded);
done:
    PyBuffer_Release(&cells);
    PyBuffer_Release(&out);
    return result;
}

static PyObject *mixer_update(MixerObject *m, PyObject *args) {
    Py_buffer bits, prefixes;
    if (!PyArg_ParseTuple(args, "y*w*", &bits, &prefixes)) return NULL;
    PyObject *result = NULL;
    uint32_t active = turns_active(&m->turns);
    if (enter(m, m->awaits_bits, "update: nothing was predicted")) goto done;
    if ((size_t)bits.len != m->turns.n_coded) {
        wrong_size("bits");
        goto done;
    }
    if ((size_t)prefixes.len < 4 * (size_t)active || (uintptr_t)prefixes.buf % 4) {
        wrong_size("prefixes");
        goto done;
    }
    turns_update(&m->turns, bits.buf);
    m->awaits_bits = 0;
    if (m->turns.level == m->turns.depth) {
        turns_end(&m->turns, prefixes.buf);
        result = Py_NewRef(Py_True);
    } else {
        turns_prefixes(&m->turns, prefixes.buf);
        result = Py_NewRef(Py_False);
    }
done:
    PyBuffer_Release(&bits);
    PyBuffer_Release(&prefixes);
    return result;
}

static PyObject *mixer_get_active(MixerObject *m, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLong(turns_active(&m->turns));
}

static PyObject *mixer_get_depth(MixerObject *m, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLong(m->turns.depth);
}

static PyObject *mixer_get_memory(MixerObject *m, void *closure) {
    (void)closure;
    return PyLong_FromSize_t(m->turns.predictor ? predictor_memory(m->turns.predictor) : 0);
}

static PyMethodDef mixer_methods[] = {
    {"next_block", (PyCFunction)mixer_next_block, METH_VARARGS,
     "next_block(streams, tokens)\n--\n\nLay out the next block; what was learnt stays."},
    {"encode_steps", (PyCFunction)mixer_encode_steps, METH_VARARGS,
     "encode_steps(ranks, states, cells, active)\n--\n\nWhole steps: (bits as bytes, uint16 probabilities as bytes)."},
    {"flag_probability", (PyCFunction)mixer_flag_probability, METH_VARARGS,
     "flag_probability(flag)\n--\n\nProbability of 'unsafe' (0) or of 'escaped' (1), in 1/65536."},
    {"learn_flags", (PyCFunction)mixer_learn_flags, METH_VARARGS,
     "learn_flags(flag, bits)\n--\n\nThe flags that were coded with flag_probability(flag)."},
    {"predict", (PyCFunction)mixer_predict, METH_VARARGS,
     "predict(cells, probabilities)\n--\n\nThe undecided turns of this level; returns how many."},
    {"update", (PyCFunction)mixer_update, METH_VARARGS,
     "update(bits, prefixes)\n--\n\nTheir outcome; fills prefixes; True at the end of a step."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef mixer_getset[] = {
    {"active", (getter)mixer_get_active, NULL, "Streams with a token in the current step; 0 at the end of a block.",
     NULL},
    {"depth", (getter)mixer_get_depth, NULL, "Turns on a path.", NULL},
    {"memory", (getter)mixer_get_memory, NULL, "Bytes that the tables may come to occupy.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot mixer_slots[] = {
    {Py_tp_init, mixer_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, mixer_dealloc},
    {Py_tp_methods, mixer_methods},
    {Py_tp_getset, mixer_getset},
    {Py_tp_doc, "Predicts the turns of a block; see llmzip.coding.mixing."},
    {0, NULL},
};

static PyType_Spec mixer_spec = {
    .name = "llmzip.coding._mixer.Mixer",
    .basicsize = sizeof(MixerObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = mixer_slots,
};

static PyObject *module_squash(PyObject *self, PyObject *arg) {
    (void)self;
    long x = PyLong_AsLong(arg);
    if (x == -1 && PyErr_Occurred()) return NULL;
    return PyLong_FromLong(squash(x > 100000 ? 100000 : x < -100000 ? -100000 : (int32_t)x));
}

static PyObject *module_stretch(PyObject *self, PyObject *arg) {
    (void)self;
    long p = PyLong_AsLong(arg);
    if (p == -1 && PyErr_Occurred()) return NULL;
    if (p < 0 || p > 65536) {
        PyErr_SetString(PyExc_ValueError, "probability must be 0 to 65536");
        return NULL;
    }
    return PyLong_FromLong(stretch((int32_t)p));
}

static PyMethodDef module_methods[] = {
    {"squash", module_squash, METH_O, "squash(x)\n--\n\nProbability (1/65536) of log odds x (1/256)."},
    {"stretch", module_stretch, METH_O, "stretch(p)\n--\n\nLog odds (1/256) of a probability (1/65536)."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_mixer", "Integer context mixing of turns.", -1, module_methods, NULL, NULL, NULL, NULL,
};

/* The names of the parts in the order of their bits in `parts`. */
static PyObject *part_names(void) {
    PyObject *names = PyTuple_New(predictor_parts);
    for (int i = 0; names && i < predictor_parts; i++) {
        PyObject *name = PyUnicode_FromString(predictor_part_names[i]);
        if (!name)
            Py_CLEAR(names);
        else
            PyTuple_SET_ITEM(names, i, name);
    }
    return names;
}

PyMODINIT_FUNC PyInit__mixer(void) {
    logistic_init();
    maps_init();
    PyObject *m = PyModule_Create(&module);
    if (!m) return NULL;
    PyObject *type = PyType_FromSpec(&mixer_spec), *parts = part_names();
    if (!type || !parts || PyModule_AddObjectRef(m, "Mixer", type) < 0 || PyModule_AddObjectRef(m, "PARTS", parts) < 0)
        Py_CLEAR(m);
    Py_XDECREF(type);
    Py_XDECREF(parts);
    return m;
}
