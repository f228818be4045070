/*
 * Ping-pong over N connections, on one thread: each sends a message, waits until all of it is back, and sends the next.
 * Prints one JSON object with the round trips and their latencies.
 *
 *   echo_load --url 127.0.0.1:8080 [--connections 64] [--size 64] [--seconds 5]
 */
#define _GNU_SOURCE
#include "../load/load.h"

#define EVENTS 64
#define MAX_SIZE 4096

struct connection {
    int fd;
    bool is_open;
    size_t received;
    uint64_t sent_at;
    uint64_t number;
};

static struct histogram latencies;
static uint64_t answered;
static size_t size = 64;
static int epoll;

/* A message begins with its number: an answer to another one is not an echo. */
static void send_message(struct connection *connection, uint64_t now)
{
    char message[MAX_SIZE] = {0};
    connection->number++;
    connection->received = 0;
    connection->sent_at = now;
    memcpy(message, &connection->number, sizeof connection->number);
    ssize_t sent = send(connection->fd, message, size, MSG_NOSIGNAL);
    if (sent != (ssize_t)size)
        fail("a message could not be sent: %s", sent < 0 ? strerror(errno) : "the socket is full");
}

static void on_event(struct connection *connection)
{
    if (!connection->is_open) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length);
        if (error)
            fail("connect: %s", strerror(error));
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event) < 0)
            fail("epoll_ctl: %s", strerror(errno));
        connection->is_open = true;
        send_message(connection, now_ns());
        return;
    }

    char message[MAX_SIZE];
    ssize_t count = recv(connection->fd, message, sizeof message, 0);
    if (count < 0 && errno == EAGAIN)
        return;
    if (count <= 0)
        fail("a connection ended: %s", count < 0 ? strerror(errno) : "closed by the server");
    if (connection->received == 0
        && ((size_t)count < sizeof connection->number || memcmp(message, &connection->number, sizeof connection->number)))
        fail("what came back is not what was sent");
    connection->received += (size_t)count;
    if (connection->received > size)
        fail("more came back than was sent");
    if (connection->received == size) {
        uint64_t now = now_ns();
        record(&latencies, now - connection->sent_at);
        answered++;
        send_message(connection, now);
    }
}

int main(int argc, char **argv)
{
    const char *url = NULL;
    int count = 64;
    double seconds = 5;
    for (int i = 1; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--url")) url = value;
        else if (!strcmp(name, "--connections")) count = atoi(value);
        else if (!strcmp(name, "--size")) size = strtoul(value, NULL, 10);
        else if (!strcmp(name, "--seconds")) seconds = atof(value);
        else fail("unknown option: %s (see the head of this program's source)", name);
    }
    if (!url || count <= 0 || size < sizeof(uint64_t) || size > MAX_SIZE || seconds <= 0)
        fail("--url is needed, a message has 8 to %d bytes, and no number may be negative", MAX_SIZE);

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

    uint64_t cpu = cpu_ns(), now = now_ns(), end = now + (uint64_t)(seconds * (double)NANOSECONDS_PER_SECOND);
    for (; now < end; now = now_ns()) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, milliseconds_until(end, now));
        for (int i = 0; i < ready; i++)
            on_event(events[i].data.ptr);
    }

    printf("{\"seconds\": %.1f, \"generator_cpu_us_per_round_trip\": %.2f,\n ", seconds,
           answered ? (double)(cpu_ns() - cpu) / 1000 / (double)answered : 0);
    print_group("echo", &latencies, answered, 0, seconds);
    printf("}\n");
    return 0;
}
