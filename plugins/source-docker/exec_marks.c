/* Telling a program's output from what stands before and behind it. */
#include "exec_marks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEGIN_TAIL 16 /* longest number and "@@\n" behind the begin mark */
#define END_TAIL   6  /* "127@@\n" */

bool dk_marks_init(struct dk_marks *m, const char *nonce)
{
    memset(m, 0, sizeof(*m));
    m->buf = malloc(DK_OUT_ROOM);
    m->n_begin = (size_t)snprintf(m->begin, sizeof(m->begin), "@@BEGIN %s ", nonce);
    m->n_end = (size_t)snprintf(m->end, sizeof(m->end), "\n@@END %s rc=", nonce);
    return m->buf != NULL;
}

void dk_marks_free(struct dk_marks *m)
{
    free(m->buf);
    m->buf = NULL;
}

size_t dk_marks_room(struct dk_marks *m)
{
    if (m->at > 0 && DK_OUT_ROOM - m->n < DK_OUT_ROOM / 4) {
        memmove(m->buf, m->buf + m->at, m->n - m->at);
        m->n -= m->at;
        m->scanned -= m->at < m->scanned ? m->at : m->scanned;
        m->at = 0;
    }
    return DK_OUT_ROOM - m->n;
}

void dk_marks_put(struct dk_marks *m, const char *data, size_t n)
{
    if (m->ended)
        return; /* of a process that the program left behind */
    memcpy(m->buf + m->n, data, n);
    m->n += n;
}

/* digits, then "@@\n"; the length of both, 0: it is not there (yet). */
static size_t number(const char *text, size_t n, long *ret)
{
    size_t i = 0;
    *ret = 0;
    for (; i < n && text[i] >= '0' && text[i] <= '9' && i < 10; i++)
        *ret = *ret * 10 + (text[i] - '0');
    return i > 0 && n - i >= 3 && memcmp(text + i, "@@\n", 3) == 0 ? i + 3 : 0;
}

static void look_for_begin(struct dk_marks *m)
{
    if (m->n < m->n_begin || memcmp(m->buf, m->begin, m->n_begin) != 0)
        return;
    size_t room = m->n - m->n_begin;
    size_t tail = number(m->buf + m->n_begin, room < BEGIN_TAIL ? room : BEGIN_TAIL, &m->pid);
    if (tail == 0)
        return;
    m->began = true;
    m->at = m->scanned = m->n_begin + tail;
}

static void look_for_end(struct dk_marks *m)
{
    while (!m->ended) {
        char *found = memmem(m->buf + m->scanned, m->n - m->scanned, m->end, m->n_end);
        if (!found) {
            size_t keep = m->n_end - 1; /* the mark may have come in part */
            if (m->n - m->scanned > keep)
                m->scanned = m->n - keep;
            return;
        }
        long code;
        m->scanned = (size_t)(found - m->buf);
        size_t tail = m->n - m->scanned - m->n_end;
        if (tail < END_TAIL)
            return;
        if (number(found + m->n_end, END_TAIL, &code) == END_TAIL) {
            m->ended = true;
            m->code = (int)code;
            m->n = m->scanned; /* nothing behind it counts */
        } else {
            m->scanned++;
        }
    }
}

size_t dk_marks_peek(struct dk_marks *m, const char **ret)
{
    if (!m->began)
        look_for_begin(m);
    if (!m->began)
        return 0;
    look_for_end(m);
    *ret = m->buf + m->at;
    return m->scanned - m->at;
}

void dk_marks_take(struct dk_marks *m, size_t n)
{
    m->at += n;
    if (m->at == m->n)
        m->at = m->n = m->scanned = 0;
}

size_t dk_marks_rest(const struct dk_marks *m, const char **ret)
{
    *ret = m->buf + m->at;
    return m->n - m->at;
}
