/*
 * parser.c - a small desk calculator for quantities with units.
 *
 * Reads expressions, one per line, and prints each value with its dimension:
 *
 *     > 3 ft + 2 in
 *     0.9652 m
 *     > speed = 11 nmi / 4.5 h
 *     1.25753 m s^-1
 *     > 40 kg * 9.81 m/s^2 / (2 cm)^2
 *     981000 m^-1 kg s^-2
 *
 * Addition demands equal dimensions; multiplication adds exponents. That is the
 * whole of dimensional analysis, and it catches most of the mistakes that
 * anybody makes with a pencil.
 *
 * Build:  cc -std=c99 -Wall -Wextra -O2 -o parser parser.c -lm
 * Use:    ./parser < sums.txt        or   ./parser -e "5 mi / 1 h"
 *
 * Grammar, lowest precedence first:
 *
 *     line    = [ name "=" ] sum
 *     sum     = product { ( "+" | "-" ) product }
 *     product = group { ( "*" | "/" ) group }
 *     group   = power { power }         juxtaposition binds tighter than "/"
 *     power   = "-" power | atom [ "^" [ "-" ] integer ]
 *     atom    = number | name | "(" sum ")" | "sqrt" "(" sum ")"
 *
 * Public domain (CC0).
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DIM_LENGTH, DIM_MASS, DIM_TIME, DIM_CURRENT, DIM_TEMP, DIM_COUNT };

static const char *const dim_symbol[DIM_COUNT] = { "m", "kg", "s", "A", "K" };

typedef struct {
    double value;          /* in base units */
    int dim[DIM_COUNT];    /* exponents */
} Quantity;

/* ---- the table of names ------------------------------------------------- */

#define NAME_MAX_LEN 31
#define TABLE_MAX 512

typedef struct {
    char name[NAME_MAX_LEN + 1];
    Quantity q;
    int builtin;
} Entry;

static Entry table[TABLE_MAX];
static size_t table_len;

static Entry *lookup(const char *name)
{
    /* Newest first, though a name is never entered twice; recent names are the
     * ones a person is likely to be using. */
    for (size_t i = table_len; i-- > 0;)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static void define_unit(const char *name, double value, int l, int m, int t, int i, int k)
{
    Entry *e = &table[table_len++];
    snprintf(e->name, sizeof e->name, "%s", name);
    e->q.value = value;
    e->q.dim[DIM_LENGTH] = l;
    e->q.dim[DIM_MASS] = m;
    e->q.dim[DIM_TIME] = t;
    e->q.dim[DIM_CURRENT] = i;
    e->q.dim[DIM_TEMP] = k;
    e->builtin = 1;
}

static void define_units(void)
{
    static const struct { const char *name; double metres; } lengths[] = {
        { "m", 1 }, { "mm", 1e-3 }, { "cm", 1e-2 }, { "km", 1e3 }, { "in", 0.0254 },
        { "ft", 0.3048 }, { "yd", 0.9144 }, { "mi", 1609.344 }, { "nmi", 1852 },
        { "fathom", 1.8288 }, { "cable", 185.2 },
    };
    for (size_t n = 0; n < sizeof lengths / sizeof *lengths; n++)
        define_unit(lengths[n].name, lengths[n].metres, 1, 0, 0, 0, 0);

    define_unit("kg", 1, 0, 1, 0, 0, 0);
    define_unit("g", 1e-3, 0, 1, 0, 0, 0);
    define_unit("t", 1e3, 0, 1, 0, 0, 0);
    define_unit("lb", 0.45359237, 0, 1, 0, 0, 0);
    define_unit("s", 1, 0, 0, 1, 0, 0);
    define_unit("min", 60, 0, 0, 1, 0, 0);
    define_unit("h", 3600, 0, 0, 1, 0, 0);
    define_unit("day", 86400, 0, 0, 1, 0, 0);
    define_unit("A", 1, 0, 0, 0, 1, 0);
    define_unit("K", 1, 0, 0, 0, 0, 1);
    define_unit("N", 1, 1, 1, -2, 0, 0);
    define_unit("J", 1, 2, 1, -2, 0, 0);
    define_unit("W", 1, 2, 1, -3, 0, 0);
    define_unit("Pa", 1, -1, 1, -2, 0, 0);
    define_unit("V", 1, 2, 1, -3, -1, 0);
    define_unit("Hz", 1, 0, 0, -1, 0, 0);
    define_unit("litre", 1e-3, 3, 0, 0, 0, 0);
    define_unit("pint", 0.56826125e-3, 3, 0, 0, 0, 0);
    define_unit("gallon", 4.54609e-3, 3, 0, 0, 0, 0);
    define_unit("knot", 1852.0 / 3600, 1, 0, -1, 0, 0);
    define_unit("pi", 3.14159265358979323846, 0, 0, 0, 0, 0);
    define_unit("dozen", 12, 0, 0, 0, 0, 0);
}

/* ---- errors -------------------------------------------------------------- */

/* One line is one transaction: an error anywhere abandons it, and the only state
 * that outlives a line is the table, which is changed as the very last step. */
static jmp_buf line_failed;

typedef struct {
    const char *start;     /* of the line, for the caret */
    const char *at;
    int depth;
} Parser;

static void fail(const Parser *p, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "  %s\n  %*s^ ", p->start, (int)(p->at - p->start), "");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    longjmp(line_failed, 1);
}

/* ---- arithmetic on quantities -------------------------------------------- */

static int same_dimension(const Quantity *a, const Quantity *b)
{
    return memcmp(a->dim, b->dim, sizeof a->dim) == 0;
}

static Quantity scale(Quantity a, Quantity b, int sign)
{
    a.value = sign > 0 ? a.value * b.value : a.value / b.value;
    for (int d = 0; d < DIM_COUNT; d++)
        a.dim[d] += sign * b.dim[d];
    return a;
}

static Quantity raise(const Parser *p, Quantity a, long n)
{
    a.value = pow(a.value, (double)n);
    for (int d = 0; d < DIM_COUNT; d++) {
        long e = a.dim[d] * n;
        if (e > 99 || e < -99)
            fail(p, "a dimension to the power of %ld is more than I can print", e);
        a.dim[d] = (int)e;
    }
    return a;
}

/* ---- the parser ----------------------------------------------------------- */

static void skip_space(Parser *p)
{
    while (*p->at == ' ' || *p->at == '\t')
        p->at++;
}

static int peek(Parser *p)
{
    skip_space(p);
    return (unsigned char)*p->at;
}

static int accept(Parser *p, int c)
{
    if (peek(p) != c)
        return 0;
    p->at++;
    return 1;
}

static void expect(Parser *p, int c)
{
    if (!accept(p, c))
        fail(p, "expected '%c'", c);
}

static void read_name(Parser *p, char out[NAME_MAX_LEN + 1])
{
    size_t n = 0;
    while (isalnum((unsigned char)*p->at) || *p->at == '_') {
        if (n == NAME_MAX_LEN)
            fail(p, "a name may have at most %d letters", NAME_MAX_LEN);
        out[n++] = *p->at++;
    }
    out[n] = '\0';
}

static Quantity parse_sum(Parser *p);

static Quantity parse_number(Parser *p)
{
    Quantity q = { 0 };
    char *end;
    errno = 0;
    q.value = strtod(p->at, &end);
    if (end == p->at)
        fail(p, "expected a number, a name or '('");
    if (errno == ERANGE && fabs(q.value) > 1)
        fail(p, "this number is too large");
    p->at = end;
    return q;
}

static Quantity parse_atom(Parser *p)
{
    int c = peek(p);
    if (accept(p, '(')) {
        Quantity q = parse_sum(p);
        expect(p, ')');
        return q;
    }
    if (isalpha(c)) {
        const char *name_at = p->at;
        char name[NAME_MAX_LEN + 1];
        read_name(p, name);
        if (strcmp(name, "sqrt") == 0) {
            expect(p, '(');
            Quantity q = parse_sum(p);
            expect(p, ')');
            if (q.value < 0)
                fail(p, "the square root of a negative quantity");
            q.value = sqrt(q.value);
            for (int d = 0; d < DIM_COUNT; d++) {
                if (q.dim[d] % 2 != 0)
                    fail(p, "the square root would have half a %s", dim_symbol[d]);
                q.dim[d] /= 2;
            }
            return q;
        }
        const Entry *e = lookup(name);
        if (e == NULL) {
            p->at = name_at;
            fail(p, "'%s' is neither a unit nor a name you have defined", name);
        }
        return e->q;
    }
    if (isdigit(c) || c == '.')
        return parse_number(p);
    fail(p, c == '\0' ? "the line stops too soon" : "did not expect this");
    return (Quantity){ 0 };    /* not reached; fail() does not return */
}

static Quantity parse_power(Parser *p)
{
    /* A line of ten thousand brackets must end in a message, not in a crash. */
    if (++p->depth > 200)
        fail(p, "too deeply nested");
    Quantity q;
    if (accept(p, '-')) {
        q = parse_power(p);
        q.value = -q.value;
    } else {
        q = parse_atom(p);
        if (accept(p, '^')) {
            int negative = accept(p, '-');
            if (!isdigit(peek(p)))
                fail(p, "an exponent must be a whole number");
            char *end;
            long n = strtol(p->at, &end, 10);
            if (n > 99)
                fail(p, "an exponent must be less than 100");
            p->at = end;
            q = raise(p, q, negative ? -n : n);
        }
    }
    p->depth--;
    return q;
}

/* "11 nmi / 4.5 h" is a speed: the hours belong under the line with the 4.5. */
static Quantity parse_group(Parser *p)
{
    Quantity q = parse_power(p);
    while (isalpha(peek(p)) || peek(p) == '(')
        q = scale(q, parse_power(p), 1);
    return q;
}

static Quantity parse_product(Parser *p)
{
    Quantity q = parse_group(p);
    for (;;) {
        if (accept(p, '*')) {
            q = scale(q, parse_group(p), 1);
        } else if (accept(p, '/')) {
            const char *divisor_at = p->at;
            Quantity r = parse_group(p);
            if (r.value == 0) {
                p->at = divisor_at;
                fail(p, "division by zero");
            }
            q = scale(q, r, -1);
        } else {
            return q;
        }
    }
}

static void format_dimension(const Quantity *q, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (int d = 0; d < DIM_COUNT && n < size; d++) {
        if (q->dim[d] == 1)
            n += (size_t)snprintf(out + n, size - n, " %s", dim_symbol[d]);
        else if (q->dim[d] != 0)
            n += (size_t)snprintf(out + n, size - n, " %s^%d", dim_symbol[d], q->dim[d]);
    }
}

static Quantity parse_sum(Parser *p)
{
    Quantity q = parse_product(p);
    for (;;) {
        int sign = accept(p, '+') ? 1 : accept(p, '-') ? -1 : 0;
        if (sign == 0)
            return q;
        Quantity r = parse_product(p);
        if (!same_dimension(&q, &r)) {
            char left[96], right[96];
            format_dimension(&q, left, sizeof left);
            format_dimension(&r, right, sizeof right);
            fail(p, "cannot %s%s and%s", sign > 0 ? "add" : "subtract",
                 *left ? left : " a number", *right ? right : " a number");
        }
        q.value += sign * r.value;
    }
}

/* Look for "name =" without committing to it: "ft + 2 in" also begins with a name. */
static int parse_assignment(Parser *p, char name[NAME_MAX_LEN + 1])
{
    Parser ahead = *p;
    if (!isalpha(peek(&ahead)))
        return 0;
    read_name(&ahead, name);
    if (!accept(&ahead, '='))
        return 0;
    *p = ahead;
    return 1;
}

static int run_line(const char *line)
{
    Parser p = { line, line, 0 };
    char name[NAME_MAX_LEN + 1];

    if (setjmp(line_failed))
        return 1;
    if (peek(&p) == '\0' || peek(&p) == '#')
        return 0;

    int assigning = parse_assignment(&p, name);
    Quantity q = parse_sum(&p);
    if (peek(&p) != '\0' && peek(&p) != '#')
        fail(&p, "did not expect this");

    if (assigning) {
        Entry *e = lookup(name);
        if (e != NULL && e->builtin)
            fail(&p, "'%s' is a unit and cannot be redefined", name);
        if (e == NULL) {
            if (table_len == TABLE_MAX)
                fail(&p, "no room for another name");
            e = &table[table_len++];
            snprintf(e->name, sizeof e->name, "%s", name);
        }
        e->q = q;
    }
    char dim[96];
    format_dimension(&q, dim, sizeof dim);
    printf("%g%s\n", q.value, dim);
    return 0;
}

int main(int argc, char **argv)
{
    define_units();
    if (argc == 3 && strcmp(argv[1], "-e") == 0)
        return run_line(argv[2]);
    if (argc != 1) {
        fprintf(stderr, "usage: %s [-e EXPRESSION]\n", argv[0]);
        return 2;
    }

    char line[1024];
    int failures = 0;
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t n = strcspn(line, "\r\n");
        if (line[n] == '\0' && n == sizeof line - 1) {
            fprintf(stderr, "a line is longer than %zu bytes; stopping\n", sizeof line - 1);
            return 1;
        }
        line[n] = '\0';
        failures += run_line(line);
    }
    if (ferror(stdin)) {
        perror("standard input");
        return 1;
    }
    return failures != 0;
}
