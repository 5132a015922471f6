/* Python objects beside the mixer: the mapped table and the range decoder. */
#ifndef LLMZIP_PYTYPES_H
#define LLMZIP_PYTYPES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "ngrams.h"
#include "rangedecoder.h"

typedef struct {
    PyObject_HEAD Py_buffer buffer; /* held for as long as the object lives */
    Ngrams ngrams;
} TableObject;

typedef struct {
    PyObject_HEAD Py_buffer buffer;
    RangeDecoder decoder;
} DecoderObject;

extern PyType_Spec table_spec, decoder_spec;

#endif
