/* Python face of the mixer: argument checks, buffers, order of calls. The work is in turns.c and predictor.c. */
#include "pytypes.h"
#include <limits.h>

#include "logistic.h"
#include "network.h"
#include "predictor.h"
#include "pyloops.h"
#include "pysizes.h"
#include "turn.h"
#include "turns.h"

#define TOKENS_MAX (UINT32_C(1) << 28)

typedef struct {
    PyObject_HEAD Turns turns;
    TableObject *table; /* NULL where there is none */
    Py_buffer traits;   /* held for as long as the mixer lives */
    Start start;
    Py_buffer start_bytes; /* behind `start` */
    int busy;              /* a call runs without the interpreter lock */
} MixerObject;

static PyTypeObject *table_type, *decoder_type;

/* ---- life of the object ---- */

static int lay_out(MixerObject *m, unsigned long streams, unsigned long tokens) {
    if (streams < 1 || streams > 65536 || tokens > TOKENS_MAX) {
        PyErr_SetString(PyExc_ValueError, "streams must be 1 to 65536 and tokens at most 2**28");
        return -1;
    }
    if (turns_lay_out(&m->turns, (uint32_t)streams, (uint32_t)tokens)) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static int mixer_init(MixerObject *m, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"leaves", "cells", "streams", "tokens", "mix",  "flags", "memory",
                            "parts",  "table", "traits",  "start",  "room", NULL};
    unsigned long leaves, streams, tokens, room = 0;
    int mix = 1, flags = 0;
    Py_buffer cells;
    Py_ssize_t memory = (Py_ssize_t)256 << 20;
    unsigned int parts = UINT_MAX;
    PyObject *table = Py_None;
    Py_buffer traits = {0}, start = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ky*kk|$ppnIOz*z*k", names, &leaves, &cells, &streams, &tokens, &mix,
                                     &flags, &memory, &parts, &table, &traits, &start, &room))
        return -1;
    int result = -1;
    if (m->turns.streams) {
        PyErr_SetString(PyExc_RuntimeError, "a mixer is made once");
    } else if (leaves < 2 || leaves > UINT32_C(1) << 18) {
        PyErr_SetString(PyExc_ValueError, "leaves must be 2 to 2**18");
    } else if (cells.itemsize != 2 || cells.len < 2 || cells.len > 512) {
        PyErr_SetString(PyExc_ValueError, "cells must be 1 to 256 items of int16");
    } else if (table != Py_None && !PyObject_TypeCheck(table, table_type)) {
        PyErr_SetString(PyExc_TypeError, "table must be a Table");
    } else if (table != Py_None && ((TableObject *)table)->ngrams.vocabulary != leaves) {
        PyErr_SetString(PyExc_ValueError, "the table is of another vocabulary");
    } else if (traits.buf && (size_t)traits.len != TRAIT_END * leaves) {
        PyErr_SetString(PyExc_ValueError, "traits must have TRAIT bytes for each leaf");
    } else if (start.buf
               && (!mix || start_open(&m->start, start.buf, (size_t)start.len) || m->start.leaves != leaves
                   || !predictor_fits(&m->start))) {
        PyErr_SetString(PyExc_ValueError, "start is damaged, or not of this vocabulary and mixer");
    } else if (memory < (Py_ssize_t)1 << 20) {
        PyErr_SetString(PyExc_ValueError, "memory must be at least 1 MiB");
    } else if (tokens > TOKENS_MAX || room > TOKENS_MAX) {
        PyErr_SetString(PyExc_ValueError, "streams must be 1 to 65536 and tokens at most 2**28");
    } else {
        int16_t centres[256];
        memcpy(centres, cells.buf, (size_t)cells.len);
        m->traits = traits;
        traits.obj = NULL;
        m->start_bytes = start;
        start.obj = NULL;
        if (turns_create(&m->turns, (uint32_t)leaves, centres, (uint32_t)(cells.len / 2),
                         (uint32_t)(room > tokens ? room : tokens), mix, flags, (size_t)memory, parts,
                         table == Py_None ? NULL : &((TableObject *)table)->ngrams, m->traits.buf,
                         start.buf ? &m->start : NULL))
            PyErr_NoMemory();
        else {
            if (table != Py_None) m->table = (TableObject *)Py_NewRef(table);
            result = lay_out(m, streams, tokens);
        }
    }
    PyBuffer_Release(&cells);
    if (traits.obj) PyBuffer_Release(&traits);
    if (start.obj) PyBuffer_Release(&start);
    return result;
}

static void mixer_dealloc(MixerObject *m) {
    turns_free(&m->turns);
    Py_XDECREF(m->table);
    if (m->traits.obj) PyBuffer_Release(&m->traits);
    if (m->start_bytes.obj) PyBuffer_Release(&m->start_bytes);
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

static const char unfinished[] = "a token is not finished";

static int wrong_size(const char *name) {
    PyErr_Format(PyExc_ValueError, "%s: wrong number or size of items", name);
    return -1;
}

static PyObject *mixer_next_block(MixerObject *m, PyObject *args) {
    unsigned long streams, tokens;
    if (!PyArg_ParseTuple(args, "kk", &streams, &tokens)) return NULL;
    if (enter(m, turns_left(&m->turns) == 0, "the block before is not finished")) return NULL;
    if (lay_out(m, streams, tokens)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *mixer_encode(MixerObject *m, PyObject *args) {
    Turns *t = &m->turns;
    Py_buffer ranks, states, cells;
    if (!PyArg_ParseTuple(args, "y*y*z*", &ranks, &states, &cells)) return NULL;
    PyObject *result = NULL, *out_bits = NULL, *out_probabilities = NULL;
    size_t tokens = (size_t)ranks.len / 4;
    if (enter(m, t->level == t->depth, unfinished)) goto done;
    if (ranks.itemsize != 4 || ranks.len % 4 || tokens > turns_left(t)) {
        wrong_size("ranks");
        goto done;
    }
    if ((size_t)states.len != tokens) {
        wrong_size("states");
        goto done;
    }
    if (cells.buf ? (size_t)cells.len != tokens * t->depth : !t->predictor) {
        wrong_size("cells");
        goto done;
    }
    const uint32_t *rank = ranks.buf;
    const uint8_t *state = states.buf, *cell = cells.buf;
    for (size_t i = 0; i < tokens; i++)
        if (rank[i] >= t->tree.leaves || state[i] > 2) {
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
    Py_BEGIN_ALLOW_THREADS for (size_t i = 0; i < tokens; i++) n =
        turns_encode(t, rank[i], state[i], cell ? cell + i * t->depth : NULL, bits, probabilities, n);
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

/* The decoder of an argument; NULL with an exception. */
static RangeDecoder *decoder_of(PyObject *object) {
    if (!PyObject_TypeCheck(object, decoder_type) || !((DecoderObject *)object)->buffer.obj) {
        PyErr_SetString(PyExc_TypeError, "decoder must be a Decoder");
        return NULL;
    }
    return &((DecoderObject *)object)->decoder;
}

static PyObject *mixer_decode(MixerObject *m, PyObject *args) {
    PyObject *object, *capsule = Py_None;
    Py_buffer ranks;
    if (!PyArg_ParseTuple(args, "Ow*|O", &object, &ranks, &capsule)) return NULL;
    PyObject *result = NULL;
    Turns *t = &m->turns;
    RangeDecoder *decoder = decoder_of(object);
    CellSource *source = NULL;
    size_t tokens = (size_t)ranks.len / 4, n = 0;
    if (!decoder || enter(m, t->level == t->depth, unfinished)) goto done;
    if (capsule != Py_None && !(source = PyCapsule_GetPointer(capsule, CELL_SOURCE))) goto done;
    if (source ? source->depth != t->depth || source->rows < t->streams : !t->predictor) {
        wrong_size("cells");
        goto done;
    }
    /* What comes after a step is not known to the source before the step is. */
    if (ranks.len % 4 || (tokens && (uintptr_t)ranks.buf % 4)
        || tokens > (source ? turns_left_of_step(t) : turns_left(t))) {
        wrong_size("ranks");
        goto done;
    }
    uint32_t *rank = ranks.buf;
    m->busy = 1;
    Py_BEGIN_ALLOW_THREADS while (n < tokens && !turns_decode(t, decoder, source, rank + n)) n++;
    Py_END_ALLOW_THREADS m->busy = 0;
    result = Py_NewRef(Py_None);
done:
    PyBuffer_Release(&ranks);
    return result;
}

static PyObject *mixer_learnt(MixerObject *m, PyObject *args) {
    (void)args;
    if (!m->turns.predictor || !m->start_bytes.obj || enter(m, m->turns.level == m->turns.depth, unfinished)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "a mixer without a start learns none");
        return NULL;
    }
    Start shape;
    predictor_learnt(m->turns.predictor, &shape, NULL, NULL);
    PyObject *out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)start_size(&shape));
    if (out) predictor_learnt(m->turns.predictor, &shape, m->start.lengths, (uint8_t *)PyBytes_AS_STRING(out));
    return out;
}

/* What is saved: which block it is of, and the pieces. */
static PyObject *mixer_save(MixerObject *m, PyObject *args) {
    (void)args;
    Turns *t = &m->turns;
    Pieces pieces;
    if (enter(m, t->level == t->depth && !turns_pieces(t, &pieces), unfinished)) return NULL;
    PyObject *out = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(sizeof t->block + pieces_size(&pieces)));
    if (!out) return NULL;
    uint8_t *bytes = (uint8_t *)PyBytes_AS_STRING(out);
    memcpy(bytes, &t->block, sizeof t->block);
    m->busy = 1;
    Py_BEGIN_ALLOW_THREADS pieces_save(&pieces, bytes + sizeof t->block);
    Py_END_ALLOW_THREADS m->busy = 0;
    return out;
}

static PyObject *mixer_restore(MixerObject *m, PyObject *saved) {
    Turns *t = &m->turns;
    Pieces pieces;
    if (enter(m, !turns_pieces(t, &pieces), "not made properly")) return NULL;
    size_t head = sizeof t->block, size = PyBytes_CheckExact(saved) ? (size_t)PyBytes_GET_SIZE(saved) : 0;
    if (size != head + pieces_size(&pieces) || memcmp(PyBytes_AS_STRING(saved), &t->block, head))
        return PyErr_Format(PyExc_ValueError, "not what this mixer saved in this block");
    pieces_restore(&pieces, (const uint8_t *)PyBytes_AS_STRING(saved) + head);
    t->level = t->depth;
    Py_RETURN_NONE;
}

static PyObject *mixer_get_left(MixerObject *m, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLong(turns_left(&m->turns));
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
    {"encode", (PyCFunction)mixer_encode, METH_VARARGS,
     "encode(ranks, states, cells)\n--\n\nThe next tokens: (bits as bytes, uint16 probabilities as bytes)."},
    {"learnt", (PyCFunction)mixer_learnt, METH_NOARGS,
     "learnt()\n--\n\nWhat was learnt so far, as the start of another mixer (bytes)."},
    {"save", (PyCFunction)mixer_save, METH_NOARGS,
     "save()\n--\n\nAll that it knows between two tokens (bytes), for `restore` of the same mixer in the same block."},
    {"restore", (PyCFunction)mixer_restore, METH_O,
     "restore(saved)\n--\n\nBack to where it was saved. Raises ValueError."},
    {"decode", (PyCFunction)mixer_decode, METH_VARARGS,
     "decode(decoder, ranks, cells=None)\n--\n\nThe next tokens, into all of `ranks`, unless the decoder breaks.\n"
     "cells: capsule of a source of the network's cells (cellsource.h), which knows those of one step."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef mixer_getset[] = {
    {"left", (getter)mixer_get_left, NULL, "Tokens of the block that are not coded yet.", NULL},
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
    {"sizes", module_sizes, METH_VARARGS,
     "sizes(tokens, memory, traits)\n--\n\nBinary logarithms of the sizes of all tables that the length of a block "
     "decides."},
    {"use_loops", module_use_loops, METH_O,
     "use_loops(plain)\n--\n\nFor tests, while no mixer works: the loops of any CPU, or of this one; their name."},
    {"network_turn", module_network_turn, METH_VARARGS,
     "network_turn(weights, inputs, errors, mix_weights, error)\n--\n\nFor tests: one turn by the loops in use; "
     "weights\n"
     "learn where they are. (int32 outputs as bytes, their mix). Raises ValueError beyond the bounds of network.h."},
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
    network_init(0);
    tables_init();
    PyObject *m = PyModule_Create(&module);
    if (!m) return NULL;
    PyObject *type = PyType_FromSpec(&mixer_spec), *parts = part_names();
    table_type = (PyTypeObject *)PyType_FromSpec(&table_spec);
    decoder_type = (PyTypeObject *)PyType_FromSpec(&decoder_spec);
    if (!type || !parts || !table_type || !decoder_type || PyModule_AddObjectRef(m, "Mixer", type) < 0
        || PyModule_AddObjectRef(m, "PARTS", parts) < 0 || PyModule_AddObjectRef(m, "Table", (PyObject *)table_type) < 0
        || PyModule_AddObjectRef(m, "Decoder", (PyObject *)decoder_type) < 0)
        Py_CLEAR(m);
    Py_XDECREF(type);
    Py_XDECREF(parts);
    return m;
}
