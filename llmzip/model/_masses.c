/* Probability masses of the nodes of a vocabulary tree, from a row of logits.
 *
 * A row of V logits becomes V leaf masses exp(logit - max) in the order of the tree's leaves, and a small heap of sums
 * over blocks of 64 leaves. The odds of a turn (mass of the right child over mass of the left child) are then read from
 * the heap, or summed over at most 64 leaves below it. A node is always summed from its own leaves, never as the
 * difference of two prefix sums, which would lose the digits of a node of tiny mass.
 *
 * Sums are in double, leaf masses in float. Every operation is a plain IEEE one in a fixed order (own exp, no fused
 * multiply-add), so all builds of this file give the same masses for the same logits; encoder and decoder share it.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <stdint.h>
#include <string.h>

#include "odds.h"

#define BLOCK 64 /* leaves under one leaf of the heap; a power of two */
#define BLOCK_BITS 6
#define MAX_DEPTH 24
#define FLOOR (-80.0f) /* exp(-80) is still a normal float: no leaf mass is ever zero or denormal */

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && defined(__gnu_linux__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

typedef struct {
    PyObject_HEAD Py_ssize_t leaves; /* V */
    int depth;                       /* turns on a path: the smallest K with 2^K >= V */
    Py_ssize_t blocks;               /* blocks that hold leaves */
    Py_ssize_t width;                /* leaves of the heap, a power of two >= blocks */
    Py_ssize_t rows;                 /* rows kept for `odds` */
    int32_t *order;                  /* leaf rank -> token id */
    float *mass;                     /* rows x blocks*BLOCK leaf masses, in order of rank; padding is 0 */
    double *heap;                    /* rows x 2*width sums; heap[1] is the root */
} Masses;

/* max over a row; sixteen lanes so that it vectorises and its order is fixed */
CLONES static float row_max(const float *x, Py_ssize_t n) {
    float lane[16];
    for (int j = 0; j < 16; j++) lane[j] = -FLT_MAX;
    Py_ssize_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (int j = 0; j < 16; j++) lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
    float m = -FLT_MAX;
    for (; i < n; i++) m = x[i] > m ? x[i] : m;
    for (int j = 0; j < 16; j++) m = lane[j] > m ? lane[j] : m;
    return m;
}

/* exp(x) * 2^-shift for BLOCK values, in place, and their sum. Scaling by a power of two instead of subtracting the
 * maximum keeps every digit of the logits. Cody-Waite reduction and a degree-6 polynomial, relative error about 1e-7. */
CLONES static double block_exp(float *x, int32_t shift) {
    const float floor = FLOOR + (float)shift * 0.69314718f;
    for (int i = 0; i < BLOCK; i++) {
        float v = x[i] < floor ? floor : x[i];
        float t = v * 1.44269504f + 12582912.0f; /* adding 1.5 * 2^23 rounds to an integer in the low mantissa bits */
        float n = t - 12582912.0f;
        float r = (v - n * 0.693359375f) + n * 2.12194440e-4f;
        float p = 1.0f / 720.0f;
        p = p * r + 1.0f / 120.0f;
        p = p * r + 1.0f / 24.0f;
        p = p * r + 1.0f / 6.0f;
        p = p * r + 0.5f;
        p = p * r + 1.0f;
        p = p * r + 1.0f;
        float g = n - (float)shift; /* exact where it counts; what is not finite must not become an integer */
        g = g >= -127.0f ? g : -127.0f;
        g = g <= 128.0f ? g : 128.0f;
        int32_t e = ((int32_t)g + 127) * (1 << 23);
        float scale;
        memcpy(&scale, &e, 4);
        x[i] = p * scale;
    }
    double lane[8] = {0};
    for (int i = 0; i < BLOCK; i += 8)
        for (int j = 0; j < 8; j++) lane[j] += (double)x[i + j];
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

/* leaf masses and heap of one row; 0 if the logits are not finite */
static int fill_row(const Masses *m, const float *logits, float *mass, double *heap) {
    const float top = row_max(logits, m->leaves) * 1.44269504f;
    const int32_t shift = top > 1e6f ? 1000000 : top < -1e6f ? -1000000 : (int32_t)top;
    const int32_t *order = m->order;
    for (Py_ssize_t b = 0; b < m->blocks; b++) {
        float *x = mass + b * BLOCK;
        Py_ssize_t first = b * BLOCK, n = m->leaves - first;
        if (n > BLOCK) n = BLOCK;
        for (Py_ssize_t i = 0; i < n; i++) x[i] = logits[order[first + i]];
        for (Py_ssize_t i = n; i < BLOCK; i++) x[i] = 0;
        double sum = block_exp(x, shift);
        if (n < BLOCK) {
            sum = 0;
            for (Py_ssize_t i = 0; i < n; i++) sum += (double)x[i];
            for (Py_ssize_t i = n; i < BLOCK; i++) x[i] = 0;
        }
        heap[m->width + b] = sum;
    }
    for (Py_ssize_t b = m->blocks; b < m->width; b++) heap[m->width + b] = 0;
    for (Py_ssize_t i = m->width - 1; i > 0; i--) heap[i] = heap[2 * i] + heap[2 * i + 1];
    return heap[1] <= DBL_MAX;
}

/* mass of the node with heap number `node` at `level` (root: node 1, level 0) */
static double node_mass(const Masses *m, const float *mass, const double *heap, uint64_t node, int level) {
    int above = m->depth - BLOCK_BITS; /* levels that the heap covers */
    if (level <= above) return heap[node];
    int bits = m->depth - level;
    Py_ssize_t first = (Py_ssize_t)((node - ((uint64_t)1 << level)) << bits), n = (Py_ssize_t)1 << bits;
    if (first >= m->leaves) return 0;
    if (n > m->leaves - first) n = m->leaves - first;
    double sum = 0;
    for (Py_ssize_t i = 0; i < n; i++) sum += (double)mass[first + i];
    return sum;
}

/* right over left; 0 where the right child holds no leaf (a turn that is not coded) */
static double node_odds(const Masses *m, const float *mass, const double *heap, uint64_t node, int level) {
    double right = node_mass(m, mass, heap, 2 * node + 1, level + 1);
    return right == 0 ? 0 : right / node_mass(m, mass, heap, 2 * node, level + 1);
}

static int Masses_init(Masses *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"order", "rows", NULL};
    Py_buffer order;
    Py_ssize_t rows;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y*n", names, &order, &rows)) return -1;
    Py_ssize_t n = order.len / 4;
    if (self->order || order.len % 4 || n < 2 || n > (Py_ssize_t)1 << MAX_DEPTH || rows < 1 || rows > 1 << 20) {
        PyErr_SetString(PyExc_ValueError, "order must hold 2 to 2^24 int32 token ids, rows 1 to 2^20");
        goto fail;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        int32_t id = ((const int32_t *)order.buf)[i];
        if (id < 0 || id >= n) {
            PyErr_SetString(PyExc_ValueError, "order must be a permutation of the token ids");
            goto fail;
        }
    }
    self->leaves = n;
    self->rows = rows;
    while ((Py_ssize_t)1 << self->depth < n) self->depth++;
    self->blocks = (n + BLOCK - 1) / BLOCK;
    self->width = self->depth > BLOCK_BITS ? (Py_ssize_t)1 << (self->depth - BLOCK_BITS) : 1;
    self->order = PyMem_RawMalloc((size_t)n * 4);
    self->mass = PyMem_RawMalloc((size_t)(rows * self->blocks) * BLOCK * sizeof(float));
    self->heap = PyMem_RawMalloc((size_t)(rows * self->width) * 2 * sizeof(double));
    if (!self->order || !self->mass || !self->heap) {
        PyErr_NoMemory();
        goto fail;
    }
    memcpy(self->order, order.buf, (size_t)n * 4);
    PyBuffer_Release(&order);
    return 0;
fail:
    PyBuffer_Release(&order);
    return -1;
}

static void Masses_dealloc(Masses *self) {
    PyMem_RawFree(self->order);
    PyMem_RawFree(self->mass);
    PyMem_RawFree(self->heap);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static float *row_of(const Masses *m, Py_ssize_t row) { return m->mass + row * m->blocks * BLOCK; }
static double *heap_of(const Masses *m, Py_ssize_t row) { return m->heap + row * 2 * m->width; }

static PyObject *none_if(int finite) {
    if (finite) Py_RETURN_NONE;
    PyErr_SetString(PyExc_FloatingPointError, "the model gave logits that are not finite");
    return NULL;
}

static PyObject *Masses_path_odds(Masses *self, PyObject *args) {
    Py_buffer logits, ranks, out;
    if (!PyArg_ParseTuple(args, "y*y*w*", &logits, &ranks, &out)) return NULL;
    Py_ssize_t rows = ranks.len / 4;
    int bad = ranks.len % 4 != 0 || logits.len != rows * self->leaves * 4 || out.len != rows * self->depth * 8;
    for (Py_ssize_t r = 0; !bad && r < rows; r++) bad = ((const uint32_t *)ranks.buf)[r] >= self->leaves;
    int finite = 1;
    if (!bad) {
        Py_BEGIN_ALLOW_THREADS for (Py_ssize_t r = 0; r < rows; r++) {
            float *mass = row_of(self, 0);
            double *heap = heap_of(self, 0), *odds = (double *)out.buf + r * self->depth;
            uint32_t rank = ((const uint32_t *)ranks.buf)[r];
            finite &= fill_row(self, (const float *)logits.buf + r * self->leaves, mass, heap);
            for (int k = 0; k < self->depth; k++)
                odds[k] = node_odds(self, mass, heap, ((uint64_t)1 << k) | (rank >> (self->depth - k)), k);
        }
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&logits);
    PyBuffer_Release(&ranks);
    PyBuffer_Release(&out);
    if (bad) {
        PyErr_SetString(PyExc_ValueError,
                        "expected float32 logits (rows, V), uint32 ranks (rows,) < V, float64 out (rows, K)");
        return NULL;
    }
    return none_if(finite);
}

static PyObject *Masses_load(Masses *self, PyObject *args) {
    Py_buffer logits;
    Py_ssize_t first = 0;
    if (!PyArg_ParseTuple(args, "y*|n", &logits, &first)) return NULL;
    Py_ssize_t rows = logits.len / (self->leaves * 4);
    int bad = logits.len != rows * self->leaves * 4 || first < 0 || first > self->rows || rows > self->rows - first;
    int finite = 1;
    if (!bad) {
        Py_BEGIN_ALLOW_THREADS for (Py_ssize_t r = 0; r < rows; r++) finite &= fill_row(
            self, (const float *)logits.buf + r * self->leaves, row_of(self, first + r), heap_of(self, first + r));
        Py_END_ALLOW_THREADS
    }
    PyBuffer_Release(&logits);
    if (bad) {
        PyErr_SetString(PyExc_ValueError, "expected float32 logits (rows, V) with no more rows than were announced");
        return NULL;
    }
    return none_if(finite);
}

static PyObject *Masses_odds(Masses *self, PyObject *args) {
    int level;
    Py_buffer prefixes, out;
    if (!PyArg_ParseTuple(args, "iy*w*", &level, &prefixes, &out)) return NULL;
    Py_ssize_t rows = prefixes.len / 4;
    int bad = level < 0 || level >= self->depth || prefixes.len % 4 || rows > self->rows || out.len != rows * 8;
    for (Py_ssize_t r = 0; !bad && r < rows; r++) {
        uint32_t prefix = ((const uint32_t *)prefixes.buf)[r];
        bad = prefix >= (uint32_t)1 << level;
        if (!bad)
            ((double *)out.buf)[r] =
                node_odds(self, row_of(self, r), heap_of(self, r), ((uint64_t)1 << level) | prefix, level);
    }
    PyBuffer_Release(&prefixes);
    PyBuffer_Release(&out);
    if (bad) {
        PyErr_SetString(PyExc_ValueError,
                        "expected a level < K, uint32 prefixes (rows,) < 2^level, float64 out (rows,)");
        return NULL;
    }
    Py_RETURN_NONE;
}

static double door_odds(PyObject *masses, Py_ssize_t row, int level, uint32_t prefix) {
    const Masses *m = (const Masses *)masses;
    return node_odds(m, row_of(m, row), heap_of(m, row), ((uint64_t)1 << level) | prefix, level);
}

static int door_depth(PyObject *masses) { return ((const Masses *)masses)->depth; }
static Py_ssize_t door_rows(PyObject *masses) { return ((const Masses *)masses)->rows; }

static PyObject *Masses_depth(Masses *self, void *unused) {
    (void)unused;
    return PyLong_FromLong(self->depth);
}

static PyMethodDef Masses_methods[] = {
    {"path_odds", (PyCFunction)Masses_path_odds, METH_VARARGS,
     "path_odds(logits, ranks, out): odds of all turns on the path to each row's rank."},
    {"load", (PyCFunction)Masses_load, METH_VARARGS,
     "load(logits, first=0): keep the masses of these rows, from row `first` on, for `odds`. Threads may load rows of "
     "their own."},
    {"odds", (PyCFunction)Masses_odds, METH_VARARGS,
     "odds(level, prefixes, out): odds of the turn below each row's node at one level, from the loaded rows."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef Masses_getset[] = {
    {"depth", (getter)Masses_depth, NULL, "Turns on a path, K.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject MassesType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "llmzip.model._masses.Masses",
    .tp_basicsize = sizeof(Masses),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Masses(order, rows): node masses of a vocabulary tree whose leaf r is the token order[r].",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)Masses_init,
    .tp_dealloc = (destructor)Masses_dealloc,
    .tp_methods = Masses_methods,
    .tp_getset = Masses_getset,
};

static const OddsDoor odds_door = {&MassesType, door_depth, door_rows, door_odds};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "llmzip.model._masses",
                                    .m_doc = "Node masses of a vocabulary tree.", .m_size = -1};

PyMODINIT_FUNC PyInit__masses(void) {
    PyObject *m = NULL, *door = PyCapsule_New((void *)&odds_door, ODDS_DOOR, NULL);
    if (door && PyType_Ready(&MassesType) == 0 && (m = PyModule_Create(&module)) != NULL
        && (PyModule_AddObjectRef(m, "Masses", (PyObject *)&MassesType) < 0
            || PyModule_AddObjectRef(m, "odds_door", door) < 0))
        Py_CLEAR(m);
    Py_XDECREF(door);
    return m;
}
