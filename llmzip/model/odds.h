/* What others may call of a `Masses` without going through Python: a capsule, the attribute `odds_door` of the module. */
#ifndef LLMZIP_ODDS_H
#define LLMZIP_ODDS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

#define ODDS_DOOR "llmzip.model._masses.odds_door"

typedef struct {
    PyTypeObject *type;
    int (*depth)(PyObject *masses);
    Py_ssize_t (*rows)(PyObject *masses); /* of which masses are kept */

    /* Odds of the turn below a node, right over left: of a loaded row, for the bits of a rank known so far. Any thread. */
    double (*odds)(PyObject *masses, Py_ssize_t row, int level, uint32_t prefix);
} OddsDoor;

#endif
