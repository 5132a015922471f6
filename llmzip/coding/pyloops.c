#include "pyloops.h"

#include "network.h"

PyObject *module_use_loops(PyObject *self, PyObject *plain) {
    (void)self;
    int chosen = PyObject_IsTrue(plain);
    if (chosen < 0) return NULL;
    network_init(chosen);
    return PyUnicode_FromString(network.name);
}

enum { TURN_ROWS = 64 };

/* Whether all items lie within -limit .. limit. */
static int within(const int32_t *item, size_t n, int32_t limit) {
    for (size_t i = 0; i < n; i++)
        if (item[i] > limit || item[i] < -limit) return 0;
    return 1;
}

/* What the loops are proven for (network.h); NULL, or what is wrong. */
static const char *wrong_turn(const Py_buffer *weights, const Py_buffer *inputs, const Py_buffer *errors,
                              const Py_buffer *mix_weights, int error) {
    size_t n = (size_t)inputs->len / sizeof(Input), rows = (size_t)errors->len / sizeof(int32_t);
    if (n < 1 || n > INPUTS_MAX || n % INPUTS_STEP || rows < 1 || rows > TURN_ROWS
        || (size_t)weights->len != rows * n * sizeof(Weight) || mix_weights->len != OUTPUTS * sizeof(int32_t))
        return "inputs, errors or weights: wrong number of items";
    const Input *input = inputs->buf;
    for (size_t i = 0; i < n; i++)
        if (input[i] != limited_input(input[i])) return "inputs: out of range";
    if (!within(errors->buf, rows, ERROR_LIMIT) || error >= MIX_LIMIT || error <= -MIX_LIMIT)
        return "errors: out of range";
    return within(mix_weights->buf, OUTPUTS, MIX_LIMIT) ? NULL : "mix_weights: out of range";
}

PyObject *module_network_turn(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer weights, inputs, errors, mix_weights;
    int error;
    if (!PyArg_ParseTuple(args, "w*y*y*w*i", &weights, &inputs, &errors, &mix_weights, &error)) return NULL;
    PyObject *result = NULL;
    const char *wrong = wrong_turn(&weights, &inputs, &errors, &mix_weights, error);
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, wrong);
    } else {
        int n = (int)((size_t)inputs.len / sizeof(Input)), rows = (int)((size_t)errors.len / sizeof(int32_t));
        int32_t output[TURN_ROWS + OUTPUTS] = {0};
        Weight *row[TURN_ROWS];
        for (int r = 0; r < rows; r++) row[r] = (Weight *)weights.buf + r * n;
        network.outputs(row, rows, inputs.buf, n, output);
        int32_t mixed = network.mix(mix_weights.buf, output);
        network.train(row, rows, inputs.buf, n, errors.buf);
        network.mix_train(mix_weights.buf, output, error);
        result = Py_BuildValue("y#i", (const char *)output, (Py_ssize_t)(rows * (int)sizeof(int32_t)), mixed);
    }
    PyBuffer_Release(&weights);
    PyBuffer_Release(&inputs);
    PyBuffer_Release(&errors);
    PyBuffer_Release(&mix_weights);
    return result;
}
