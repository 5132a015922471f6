/* The quantiser inside the decoder's loop: odds of turns from the soft side to cells for the hard side, one level of a step at a
 * time. This is where the two meet; neither knows the other. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>
#include <stdint.h>

#include "../coding/cellsource.h"
#include "../model/odds.h"

enum { MOST_EDGES = 128 };
enum { SAFE, HALF_SHIFTED }; /* states of tokens, as in coding/cells.py; beyond: escaped */

static const OddsDoor *door; /* of the module of masses, which is never unloaded */

/* ---- Grids ---- */

typedef struct {
    uint32_t count;
    uint8_t first;
    double edges[MOST_EDGES]; /* as odds, ascending */
} Grid;

typedef struct {
    PyObject_HEAD Grid grids[2]; /* by state */
    uint8_t neutral;
} Grids;

static int fill_grid(Grid *grid, const Py_buffer *edges, unsigned int first) {
    grid->count = (uint32_t)(edges->len / 8);
    grid->first = (uint8_t)first;
    if (edges->len % 8 || edges->len < 8 || grid->count > MOST_EDGES || first + grid->count > 255) return -1;
    memcpy(grid->edges, edges->buf, (size_t)edges->len);
    for (uint32_t i = 1; i < grid->count; i++)
        if (!(grid->edges[i - 1] < grid->edges[i])) return -1;
    return 0;
}

static int grids_init(Grids *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"base", "base_edges", "shifted", "shifted_edges", "neutral", NULL};
    unsigned int base, shifted;
    Py_buffer base_edges, shifted_edges;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Iy*Iy*b", names, &base, &base_edges, &shifted, &shifted_edges,
                                     &self->neutral))
        return -1;
    int bad = fill_grid(&self->grids[SAFE], &base_edges, base)
              || fill_grid(&self->grids[HALF_SHIFTED], &shifted_edges, shifted);
    PyBuffer_Release(&base_edges);
    PyBuffer_Release(&shifted_edges);
    if (bad) PyErr_SetString(PyExc_ValueError, "edges: 1 to 128 ascending float64, with cells below 256");
    return bad ? -1 : 0;
}

/* format: a value on an edge belongs to the cell above it. */
static uint8_t cell_of(const Grids *grids, double odds, uint8_t state) {
    if (state > HALF_SHIFTED) return grids->neutral;
    const Grid *grid = &grids->grids[state];
    uint32_t low = 0, high = grid->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (grid->edges[middle] <= odds)
            low = middle + 1;
        else
            high = middle;
    }
    return (uint8_t)(grid->first + low);
}

static PyObject *grids_decode(Grids *self, PyObject *args) {
    Py_buffer odds, states, out;
    if (!PyArg_ParseTuple(args, "y*y*w*", &odds, &states, &out)) return NULL;
    int bad = odds.len != 8 * states.len || states.len != out.len;
    for (Py_ssize_t i = 0; !bad && i < out.len; i++) {
        double value;
        memcpy(&value, (const char *)odds.buf + 8 * i, 8);
        ((uint8_t *)out.buf)[i] = cell_of(self, value, ((const uint8_t *)states.buf)[i]);
    }
    PyBuffer_Release(&odds);
    PyBuffer_Release(&states);
    PyBuffer_Release(&out);
    if (bad) {
        PyErr_SetString(PyExc_ValueError, "expected float64 odds (n,), uint8 states (n,), uint8 out (n,)");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef grids_methods[] = {
    {"decode", (PyCFunction)grids_decode, METH_VARARGS,
     "decode(odds, states, out): cells of turns with these odds, of tokens in these states."},
    {NULL, NULL, 0, NULL},
};

static PyTypeObject grids_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "llmzip.codec._cells.Grids",
    .tp_basicsize = sizeof(Grids),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc =
        "Grids(base, base_edges, shifted, shifted_edges, neutral): edges as odds, float64; numbers of first cells.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)grids_init,
    .tp_methods = grids_methods,
};

/* ---- Cells ---- */

enum { ODDS, STATES, CELLS, INSTEAD, RECORDS }; /* of the turns of a step, by streams and levels, but for states */
enum { NONE = 255 };                            /* no cell */

typedef struct {
    PyObject_HEAD CellSource source;
    PyObject *masses;
    Grids *grids;
    Py_buffer records[RECORDS]; /* all or none */
} Cells;

static uint8_t cells_cell(CellSource *source, uint32_t stream, uint32_t level, uint32_t prefix, uint8_t state) {
    Cells *self = (Cells *)((char *)source - offsetof(Cells, source));
    double odds = door->odds(self->masses, stream, (int)level, prefix);
    uint8_t cell = cell_of(self->grids, odds, state);
    if (!self->records[0].obj) return cell;
    size_t turn = (size_t)stream * source->depth + level;
    uint8_t instead = ((const uint8_t *)self->records[INSTEAD].buf)[turn];
    if (instead != NONE) cell = instead;
    ((double *)self->records[ODDS].buf)[turn] = odds;
    ((uint8_t *)self->records[STATES].buf)[stream] = state;
    return ((uint8_t *)self->records[CELLS].buf)[turn] = cell;
}

static int cells_init(Cells *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"masses", "grids", "odds", "states", "cells", "instead", NULL};
    PyObject *masses, *grids;
    Py_buffer records[RECORDS] = {{0}};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!|w*w*w*w*", names, door->type, &masses, &grids_type, &grids,
                                     records, records + 1, records + 2, records + 3))
        return -1;
    uint32_t depth = (uint32_t)door->depth(masses), rows = (uint32_t)door->rows(masses);
    Py_ssize_t turns = (Py_ssize_t)rows * depth;
    const char *wrong = NULL;
    if (self->masses) {
        wrong = "a source of cells is made once";
    } else if (records[0].obj
               && (!records[INSTEAD].obj || records[ODDS].len != 8 * turns || (uintptr_t)records[ODDS].buf % 8
                   || records[STATES].len != rows || records[CELLS].len != turns || records[INSTEAD].len != turns)) {
        wrong = "expected float64 odds (rows, K), uint8 states (rows,), uint8 cells (rows, K), uint8 instead (rows, K)";
    }
    if (wrong) {
        for (int i = 0; i < RECORDS; i++)
            if (records[i].obj) PyBuffer_Release(records + i);
        PyErr_SetString(PyExc_ValueError, wrong);
        return -1;
    }
    self->source = (CellSource){depth, rows, cells_cell};
    self->masses = Py_NewRef(masses);
    self->grids = (Grids *)Py_NewRef(grids);
    memcpy(self->records, records, sizeof records);
    return 0;
}

static void cells_dealloc(Cells *self) {
    for (int i = 0; i < RECORDS; i++)
        if (self->records[i].obj) PyBuffer_Release(self->records + i);
    Py_XDECREF(self->masses);
    Py_XDECREF((PyObject *)self->grids);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static void capsule_gone(PyObject *capsule) { Py_XDECREF((PyObject *)PyCapsule_GetContext(capsule)); }

static PyObject *cells_capsule(Cells *self, void *closure) {
    (void)closure;
    if (!self->masses) {
        PyErr_SetString(PyExc_RuntimeError, "the source of cells was not made properly");
        return NULL;
    }
    PyObject *capsule = PyCapsule_New(&self->source, CELL_SOURCE, capsule_gone);
    if (capsule) PyCapsule_SetContext(capsule, Py_NewRef(self));
    return capsule;
}

static PyGetSetDef cells_getset[] = {
    {"capsule", (getter)cells_capsule, NULL, "For `Mixer.decode`.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyTypeObject cells_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "llmzip.codec._cells.Cells",
    .tp_basicsize = sizeof(Cells),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "Cells(masses, grids[, odds, states, cells, instead]): cells of the turns of a step, from the rows that "
              "`masses` has loaded.\n\n"
              "odds (rows, K) float64, states (rows,), cells (rows, K), uint8: filled in. instead (rows, K), uint8: "
              "cells to take in place of those "
              "found, NONE: none.",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)cells_init,
    .tp_dealloc = (destructor)cells_dealloc,
    .tp_getset = cells_getset,
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "llmzip.codec._cells",
                                    .m_doc = "The quantiser inside the decoder's loop.", .m_size = -1};

PyMODINIT_FUNC PyInit__cells(void) {
    PyObject *masses = PyImport_ImportModule("llmzip.model._masses");
    PyObject *capsule = masses ? PyObject_GetAttrString(masses, "odds_door") : NULL;
    door = capsule ? PyCapsule_GetPointer(capsule, ODDS_DOOR) : NULL;
    Py_XDECREF(capsule);
    Py_XDECREF(masses);
    PyObject *m = NULL;
    if (door && PyType_Ready(&grids_type) == 0 && PyType_Ready(&cells_type) == 0
        && (m = PyModule_Create(&module)) != NULL
        && (PyModule_AddObjectRef(m, "Grids", (PyObject *)&grids_type) < 0
            || PyModule_AddObjectRef(m, "Cells", (PyObject *)&cells_type) < 0
            || PyModule_AddIntConstant(m, "NONE", NONE) < 0))
        Py_CLEAR(m);
    return m;
}
