/*
 * Clients that go away in the middle, with a reset. At fixed intervals one comes, and each goes a little later. In turns, they send half
 * of a request's head; part of a body that was announced to be longer; and a whole request, of whose long answer they read only the beginning.
 * Prints one JSON object that says how many have gone, and how many of them had begun to receive an answer.
 *
 *   abort --url 127.0.0.1:8080 [--answer-path /download/1000000] [--upload-path /upload] [--every 5] [--stay 20] [--seconds 3]
 *
 * --every N, --stay N: milliseconds from one client to the next, and until each goes.
 */
#define _GNU_SOURCE
#include "load.h"
#include <poll.h>

#define PIECE 4096
#define ANNOUNCED "1000000"

enum kind { IN_HEAD, IN_BODY, IN_ANSWER, KINDS };

struct client {
    int fd;
    enum kind kind;
};

static struct sockaddr_in address;
static char requests[KINDS][512 + PIECE];
static size_t lengths[KINDS];
static uint64_t gone, begun;

__attribute__((format(printf, 2, 3))) static void set_request(enum kind kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(requests[kind], sizeof requests[kind] - PIECE, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof requests[kind] - PIECE)
        fail("a path is too long");
    lengths[kind] = (size_t)length;
}

static struct client come(enum kind kind)
{
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .kind = kind};
    if (client.fd < 0 || connect(client.fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect: %s", strerror(errno));
    if (send(client.fd, requests[kind], lengths[kind], MSG_NOSIGNAL) != (ssize_t)lengths[kind])
        fail("send: %s", strerror(errno));
    return client;
}

/* A busy server may not have begun to answer yet; half of a request has no answer. */
static void go(const struct client *client)
{
    static const char status[] = "HTTP/1.1 200";
    char piece[PIECE];
    ssize_t got = recv(client->fd, piece, sizeof piece - 1, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN))
        fail("the server has ended a connection: %s", got < 0 ? strerror(errno) : "closed");
    if (got > 0) {
        piece[got] = 0;
        if (client->kind != IN_ANSWER || strncmp(piece, status, sizeof status - 1) != 0)
            fail("the answer to %s is %.*s", client->kind == IN_ANSWER ? "a request" : "half of a request", (int)strcspn(piece, "\r"),
                 piece);
        begun++;
    }

    /* What is closed with this is reset, whatever is unread or unsent. */
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    if (setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none) < 0 || close(client->fd) < 0)
        fail("reset: %s", strerror(errno));
    gone++;
}

static void wait_until(uint64_t due)
{
    for (uint64_t now = now_ns(); now < due; now = now_ns())
        poll(NULL, 0, milliseconds_until(due, now));
}

int main(int argc, char **argv)
{
    const char *url = NULL, *answer_path = "/download/1000000", *upload_path = "/upload";
    int every = 5, stay = 20;
    double seconds = 3;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--url")) url = value;
        else if (!strcmp(name, "--answer-path")) answer_path = value;
        else if (!strcmp(name, "--upload-path")) upload_path = value;
        else if (!strcmp(name, "--every")) every = atoi(value);
        else if (!strcmp(name, "--stay")) stay = atoi(value);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else fail("unknown option: %s (see the head of this program's source)", name);
    }
    if (!url || every <= 0 || stay < every || seconds <= 0)
        fail("--url is needed, numbers must be positive, and a client stays for as long as an interval at least");

    address = parse_address(url);
    set_request(IN_HEAD, "GET %s HTTP/1.1\r\nHos", answer_path);
    set_request(IN_BODY, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: " ANNOUNCED "\r\n\r\n", upload_path, url);
    set_request(IN_ANSWER, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", answer_path, url);
    /* The part of the body that comes: zeros, as the array has them. */
    lengths[IN_BODY] += PIECE;

    /* Each takes the place of the one that has been there the longest. */
    size_t places = (size_t)(stay / every);
    struct client *clients = calloc(places, sizeof *clients);
    if (!clients)
        fail("out of memory");
    uint64_t start = now_ns(), end = start + (uint64_t)(seconds * (double)NANOSECONDS_PER_SECOND), due = start, come_so_far = 0;
    for (; due < end; due += (uint64_t)every * NANOSECONDS_PER_MILLISECOND, come_so_far++) {
        wait_until(due);
        struct client *place = &clients[come_so_far % places];
        if (come_so_far >= places)
            go(place);
        *place = come((enum kind)(come_so_far % KINDS));
    }
    wait_until(end);
    for (size_t i = 0; i < places && i < come_so_far; i++)
        go(&clients[i]);
    if (begun == 0)
        fail("not one answer has begun to come within %d ms", stay);

    printf("{\"seconds\": %.3f, \"gone\": %" PRIu64 ", \"answers_begun\": %" PRIu64 "}\n",
           (double)(now_ns() - start) / NANOSECONDS_PER_SECOND, gone, begun);
    return 0;
}
