/* Finds the end of an HTTP/1.1 answer that fits into a buffer, with a length or in chunks. */
#ifndef ANSWER_H
#define ANSWER_H

#include "load.h"

/* The end of the chunked body that begins at body, or NULL if more is to come. */
static inline const char *end_of_chunks(const char *body, const char *end)
{
    for (;;) {
        const char *line = memmem(body, (size_t)(end - body), "\r\n", 2);
        if (!line)
            return NULL;
        char *digits_end;
        unsigned long size = strtoul(body, &digits_end, 16);
        if (digits_end == body)
            fail("a chunk does not begin with its size");
        body = line + 2;
        if (size > (size_t)(end - body) || (size_t)(end - body) - size < 2)
            return NULL;
        if (size == 0)
            return body + 2;
        body += size + 2;
    }
}

/* True if the whole answer is there; a wrong one ends the program. The text ends with a zero byte. */
static inline bool is_complete_answer(const char *text, size_t filled)
{
    static const char status[] = "HTTP/1.1 200", length_field[] = "\r\nContent-Length: ", chunked[] = "\r\nTransfer-Encoding: chunked";
    const char *end = text + filled, *head_end = memmem(text, filled, "\r\n\r\n", 4);
    if (!head_end)
        return false;
    if (memcmp(text, status, sizeof status - 1) != 0)
        fail("the answer is %.*s", (int)strcspn(text, "\r"), text);
    const char *body = head_end + 4, *length = memmem(text, (size_t)(head_end - text), length_field, sizeof length_field - 1), *answer_end;
    if (length) {
        size_t size = strtoul(length + sizeof length_field - 1, NULL, 10);
        answer_end = size <= (size_t)(end - body) ? body + size : NULL;
    } else if (memmem(text, (size_t)(head_end - text) + 2, chunked, sizeof chunked - 1))
        answer_end = end_of_chunks(body, end);
    else
        fail("an answer has neither a length nor chunks");
    if (answer_end && answer_end < end)
        fail("more came than was asked for");
    return answer_end != NULL;
}

#endif
