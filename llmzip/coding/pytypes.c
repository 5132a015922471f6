#include "pytypes.h"

/* ---- Table ---- */

static int table_object_init(TableObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"data", NULL};
    Py_buffer buffer;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*", names, &buffer)) return -1;
    if (self->buffer.obj) {
        PyBuffer_Release(&buffer);
        PyErr_SetString(PyExc_RuntimeError, "a table is made once");
        return -1;
    }
    self->buffer = buffer;
    const char *wrong = ngrams_open(&self->ngrams, buffer.buf, (size_t)buffer.len);
    if (!wrong) return 0;
    if (*wrong)
        PyErr_SetString(PyExc_ValueError, wrong);
    else
        PyErr_NoMemory();
    return -1;
}

static void table_object_dealloc(TableObject *self) {
    ngrams_close(&self->ngrams);
    if (self->buffer.obj) PyBuffer_Release(&self->buffer);
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *table_vocabulary(TableObject *self, void *closure) {
    (void)closure;
    return PyLong_FromUnsignedLong(self->ngrams.vocabulary);
}

static PyObject *table_path(TableObject *self, PyObject *args) {
    Py_buffer before;
    unsigned long rank;
    if (!PyArg_ParseTuple(args, "y*k", &before, &rank)) return NULL;
    PyObject *list = NULL;
    NgramsState *state = NULL;
    const Ngrams *t = &self->ngrams;
    if (before.len != (NGRAMS_ORDERS - 1) * 4 || rank >= t->vocabulary) {
        PyErr_SetString(PyExc_ValueError, "before: the last four ranks; rank: below the vocabulary");
        goto done;
    }
    list = PyList_New(0);
    state = PyMem_Malloc(sizeof *state);
    if (!list || !state) {
        Py_CLEAR(list);
        PyErr_NoMemory();
        goto done;
    }
    uint32_t depth = 0, low = 0;
    while ((UINT32_C(1) << depth) < t->vocabulary) depth++;
    uint32_t last[NGRAMS_ORDERS - 1];
    memcpy(last, before.buf, sizeof last);
    ngrams_begin(t, state, last);
    while (depth--) {
        uint32_t middle = low + (1u << depth), high = middle + (1u << depth);
        if (high > t->vocabulary) high = t->vocabulary;
        int right = rank >= middle;
        if (middle < t->vocabulary) {
            NgramsTurn turn;
            ngrams_turn(t, state, low, middle, high, &turn);
            PyObject *logit = PyLong_FromLong(turn.logit[turn.highest]);
            int failed = !logit || PyList_Append(list, logit);
            Py_XDECREF(logit);
            if (failed) {
                Py_CLEAR(list);
                goto done;
            }
        }
        if (middle < t->vocabulary) ngrams_take(state, right);
        if (right) low = middle;
    }
done:
    PyMem_Free(state);
    PyBuffer_Release(&before);
    return list;
}

static PyGetSetDef table_getset[] = {
    {"vocabulary", (getter)table_vocabulary, NULL, "Number of tokens.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef table_methods[] = {
    {"path", (PyCFunction)table_path, METH_VARARGS,
     "path(before, rank)\n--\n\nLog odds (1/256 nat) of the turns to a rank behind four uint32 ranks, latest first."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot table_slots[] = {
    {Py_tp_init, table_object_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, table_object_dealloc},
    {Py_tp_getset, table_getset},
    {Py_tp_methods, table_methods},
    {Py_tp_doc, "Table(data)\n--\n\nA table of n-grams; data (any buffer) is used where it is. Raises ValueError."},
    {0, NULL},
};

PyType_Spec table_spec = {
    .name = "llmzip.coding._mixer.Table",
    .basicsize = sizeof(TableObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = table_slots,
};

/* ---- Decoder ---- */

static int decoder_init(DecoderObject *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"data", NULL};
    Py_buffer buffer;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*", names, &buffer)) return -1;
    if (self->buffer.obj) PyBuffer_Release(&self->buffer);
    self->buffer = buffer;
    range_start(&self->decoder, buffer.buf, (size_t)buffer.len);
    return 0;
}

static void decoder_dealloc(DecoderObject *self) {
    if (self->buffer.obj) PyBuffer_Release(&self->buffer);
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyObject *decoder_decode(DecoderObject *self, PyObject *arg) {
    Py_buffer probabilities;
    if (PyObject_GetBuffer(arg, &probabilities, PyBUF_SIMPLE)) return NULL;
    PyObject *bits = NULL;
    if (!self->buffer.obj || probabilities.len % 2) {
        PyErr_SetString(PyExc_ValueError, "probabilities: an array of uint16");
        goto done;
    }
    Py_ssize_t count = probabilities.len / 2;
    bits = PyBytes_FromStringAndSize(NULL, count);
    if (!bits) goto done;
    uint8_t *bit = (uint8_t *)PyBytes_AS_STRING(bits);
    for (Py_ssize_t i = 0; i < count; i++) {
        uint16_t p;
        memcpy(&p, (const char *)probabilities.buf + 2 * i, 2);
        if (p == 0) {
            PyErr_SetString(PyExc_ValueError, "a probability must be 1 to 65535");
            Py_CLEAR(bits);
            goto done;
        }
        bit[i] = (uint8_t)range_turn(&self->decoder, p);
    }
done:
    PyBuffer_Release(&probabilities);
    return bits;
}

static PyObject *decoder_broken(DecoderObject *self, void *closure) {
    (void)closure;
    return PyBool_FromLong(self->decoder.broken);
}

static PyObject *decoder_ahead(DecoderObject *self, void *closure) {
    (void)closure;
    size_t ahead = self->decoder.at > self->decoder.length ? self->decoder.at - self->decoder.length : 0;
    return PyLong_FromSize_t(ahead);
}

/* Where it is in its data, which is not copied. */
static PyObject *decoder_save(DecoderObject *self, PyObject *args) {
    (void)args;
    return PyBytes_FromStringAndSize((const char *)&self->decoder, sizeof self->decoder);
}

static PyObject *decoder_restore(DecoderObject *self, PyObject *saved) {
    RangeDecoder decoder;
    if (!PyBytes_CheckExact(saved) || PyBytes_GET_SIZE(saved) != (Py_ssize_t)sizeof decoder) goto foreign;
    memcpy(&decoder, PyBytes_AS_STRING(saved), sizeof decoder);
    if (decoder.data != self->decoder.data || decoder.length != self->decoder.length) goto foreign;
    self->decoder = decoder;
    Py_RETURN_NONE;
foreign:
    PyErr_SetString(PyExc_ValueError, "not what this decoder saved");
    return NULL;
}

static PyMethodDef decoder_methods[] = {
    {"save", (PyCFunction)decoder_save, METH_NOARGS,
     "save()\n--\n\nWhere it is (bytes), for `restore` of the same decoder."},
    {"restore", (PyCFunction)decoder_restore, METH_O,
     "restore(saved)\n--\n\nBack to where it was saved. Raises ValueError."},
    {"decode", (PyCFunction)decoder_decode, METH_O,
     "decode(probabilities)\n--\n\nThe next turns (bytes of 0 and 1), for uint16 probabilities in 1/65536."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef decoder_getset[] = {
    {"broken", (getter)decoder_broken, NULL, "Whether the data cannot come from an encoder.", NULL},
    {"ahead", (getter)decoder_ahead, NULL, "Bytes that were read behind the end of the data.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot decoder_slots[] = {
    {Py_tp_init, decoder_init},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_dealloc, decoder_dealloc},
    {Py_tp_methods, decoder_methods},
    {Py_tp_getset, decoder_getset},
    {Py_tp_doc, "Decoder(data)\n--\n\nReads the words of a range encoder."},
    {0, NULL},
};

PyType_Spec decoder_spec = {
    .name = "llmzip.coding._mixer.Decoder",
    .basicsize = sizeof(DecoderObject),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = decoder_slots,
};
