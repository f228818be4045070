/*
 * Ping-pong over N WebSockets, on one thread: each sends a masked binary message, waits until all of it is back, and sends the next.
 * Prints one JSON object with the round trips and their latencies.
 *
 *   websocket --url 127.0.0.1:8080 [--path /websocket] [--connections 64] [--size 64] [--seconds 3]
 */
#define _GNU_SOURCE
#include "load.h"

#define EVENTS 64
#define BUFFER_SIZE 2048
/* Longer ones have another form of header. */
#define MAX_SIZE 125
#define FINAL_BINARY 0x82
#define MASKED 0x80
#define MASK_SIZE 4
#define HEADER_SIZE 2

struct connection {
    int fd;
    bool is_open;
    bool is_upgraded;
    size_t filled;
    uint64_t sent_at;
    uint64_t number;
    unsigned char buffer[BUFFER_SIZE];
};

static struct histogram latencies;
static uint64_t answered;
static size_t size = 64;
static char request[512];
static size_t request_length;
static int epoll;

static void send_all(const struct connection *connection, const void *data, size_t length)
{
    ssize_t sent = send(connection->fd, data, length, MSG_NOSIGNAL);
    if (sent != (ssize_t)length)
        fail("a message could not be sent: %s", sent < 0 ? strerror(errno) : "the socket is full");
}

/* A message begins with its number: an answer to another one is not an echo. */
static void send_message(struct connection *connection, uint64_t now)
{
    static const unsigned char mask[MASK_SIZE] = {0x5a, 0xa5, 0x3c, 0xc3};
    unsigned char frame[HEADER_SIZE + MASK_SIZE + MAX_SIZE] = {FINAL_BINARY, (unsigned char)(MASKED | size)};
    unsigned char *payload = frame + HEADER_SIZE + MASK_SIZE;
    connection->number++;
    connection->filled = 0;
    connection->sent_at = now;
    memcpy(frame + HEADER_SIZE, mask, MASK_SIZE);
    memcpy(payload, &connection->number, sizeof connection->number);
    for (size_t i = 0; i < size; i++)
        payload[i] ^= mask[i % MASK_SIZE];
    send_all(connection, frame, HEADER_SIZE + MASK_SIZE + size);
}

static void on_connected(struct connection *connection)
{
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error)
        fail("connect: %s", strerror(error));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
    connection->is_open = true;
    send_all(connection, request, request_length);
}

static void on_handshake(struct connection *connection)
{
    static const char status[] = "HTTP/1.1 101";
    if (!memmem(connection->buffer, connection->filled, "\r\n\r\n", 4))
        return;
    if (memcmp(connection->buffer, status, sizeof status - 1) != 0)
        fail("the answer is %.*s", (int)strcspn((char *)connection->buffer, "\r"), (char *)connection->buffer);
    connection->is_upgraded = true;
    send_message(connection, now_ns());
}

static void on_message(struct connection *connection)
{
    if (connection->filled < HEADER_SIZE + size)
        return;
    const unsigned char *frame = connection->buffer;
    if (connection->filled > HEADER_SIZE + size || frame[0] != FINAL_BINARY || frame[1] != size
        || memcmp(frame + HEADER_SIZE, &connection->number, sizeof connection->number) != 0)
        fail("what came back is not what was sent");
    uint64_t now = now_ns();
    record(&latencies, now - connection->sent_at);
    answered++;
    send_message(connection, now);
}

static void on_event(struct connection *connection)
{
    if (!connection->is_open) {
        on_connected(connection);
        return;
    }

    ssize_t count = recv(connection->fd, connection->buffer + connection->filled, BUFFER_SIZE - 1 - connection->filled, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        fail("a connection ended: %s", count < 0 ? strerror(errno) : "closed by the server");
    connection->filled += (size_t)count;
    connection->buffer[connection->filled] = 0;
    if (connection->is_upgraded)
        on_message(connection);
    else
        on_handshake(connection);
}

int main(int argc, char **argv)
{
    const char *url = NULL, *path = "/websocket";
    int count = 64;
    double seconds = 3;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--url")) url = value;
        else if (!strcmp(name, "--path")) path = value;
        else if (!strcmp(name, "--connections")) count = atoi(value);
        else if (!strcmp(name, "--size")) size = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else fail("unknown option: %s (see the head of this program's source)", name);
    }
    if (!url || count <= 0 || size < sizeof(uint64_t) || size > MAX_SIZE || seconds <= 0)
        fail("--url is needed, a message has 8 to %d bytes, and no number may be negative", MAX_SIZE);

    /* The key is the one of RFC 6455; nobody checks that it is random. */
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                          path, url);
    if (length < 0 || (size_t)length >= sizeof request)
        fail("the path '%s' is too long", path);
    request_length = (size_t)length;

    struct sockaddr_in address = parse_address(url);
    struct connection *connections = calloc((size_t)count, sizeof *connections);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!connections || epoll < 0)
        fail("cannot start: %s", strerror(errno));
    for (int i = 0; i < count; i++) {
        connections[i].fd = open_socket(&address);
        struct epoll_event event = {.events = EPOLLOUT, .data.ptr = &connections[i]};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) < 0)
            fail("epoll_ctl: %s", strerror(errno));
    }

    uint64_t now = now_ns(), end = now + (uint64_t)(seconds * (double)NANOSECONDS_PER_SECOND);
    for (; now < end; now = now_ns()) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, milliseconds_until(end, now));
        for (int i = 0; i < ready; i++)
            on_event(events[i].data.ptr);
    }

    printf("{\"seconds\": %.1f,\n ", seconds);
    print_group("websocket", &latencies, answered, 0, seconds);
    printf("}\n");
    return 0;
}
